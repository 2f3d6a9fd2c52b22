import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from command_line import CommandLine
from filelock import FileLock
from hypothesis import settings
from study_example import write_study

from labelweave.experiments import Study
from labelweave.report import write_report

torch.set_num_threads(1)
settings.register_profile("labelweave", deadline=None, max_examples=50)
settings.load_profile("labelweave")


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Give what calls the command line as a terminal would, without a new process."""
    return CommandLine(monkeypatch, capsys)


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Let Ctrl-C work as in a terminal, also where tests run in the background and ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the study file of one study of all methods, trained once a session.

    All workers share it, so a test may look but not write; `trained_copy` is for those that do.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    path = shared / "trained" / "study.yaml"
    with FileLock(shared / "trained.lock"):
        if not path.exists():
            being = write_study(
                shared / "being_trained",
                methods=None,
                scatter=[
                    {"name": "kind_lab", "tasks": ["kind"], "per_class": 2},
                    {"name": "form_lab", "tasks": ["form"]},
                ],
                seeds=[1, 2],
                training={
                    "steps": 100, "batch_size": 32, "learning_rate": 0.02, "sampling": "equal",
                },
                couplings={"distribution_matching": {"weight": 1}, "co_annotation": {"weight": 1}},
            )  # fmt: skip
            study = Study.from_file(being)
            write_report(study.run(jobs=1, progress=False), study.output)
            being.parent.rename(path.parent)  # whole, or not there
    return path


@pytest.fixture(scope="module")
def trained_copy(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the study file of a copy of the trained study, which a module's tests may change."""
    folder = tmp_path_factory.mktemp("copy") / "trained"
    return shutil.copytree(trained.parent, folder) / trained.name
