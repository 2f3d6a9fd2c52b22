"""A study of a coupled stack and a network, and what `finish` makes of each; fitted once."""

import shutil
from pathlib import Path

import pytest
from image_example import write_image_study
from study_example import write_study

from labelweave.experiments import Study
from labelweave.fitting._versions import current_version
from labelweave.serving import finish

TRAINING = {"steps": 150, "batch_size": 32, "learning_rate": 0.02}


@pytest.fixture(scope="package")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a study file that has run; a test may look but not write."""
    path = write_study(
        tmp_path_factory.mktemp("serving"),
        methods=["single_task", "full", "coupled"],
        learners=["logistic"],
        training=TRAINING,
    )
    Study.from_file(path).run(jobs=1, progress=False)
    return path


@pytest.fixture(scope="package")
def network(finished_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the final model of the method 'full', apart from its study and data."""
    made = finish(finished_study, "full", new_version=True)
    return copied(made, tmp_path_factory.mktemp("network") / "model")


@pytest.fixture(scope="package")
def stack(finished_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the final model of 'coupled': its student, with the stack."""
    made = finish(finished_study, "coupled", full=True, new_version=True)
    return copied(made, tmp_path_factory.mktemp("stack") / "model")


@pytest.fixture(scope="package")
def pictures_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the final model of a network that reads images."""
    path = write_image_study(
        tmp_path_factory.mktemp("pictures"), 30, methods=["multi_task"], relations=None,
        training={"steps": 5, "batch_size": 32}, split={"test": 20},
    )  # fmt: skip
    Study.from_file(path).run(jobs=1, progress=False)
    return finish(path, "multi_task")


def copied(model: Path, to: Path) -> Path:
    """Copy the version in use; it is the only one of the copy."""
    other = shutil.ignore_patterns("versions", "current.json")
    return shutil.copytree(current_version(model).folder, to, ignore=other)
