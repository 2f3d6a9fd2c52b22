"""Methods with a separate sampling and weighting."""

from pathlib import Path

import numpy as np
import pytest
from study_example import as_json, write_study

from labelweave.data._batch_shares import BatchShares
from labelweave.errors import LabelweaveError
from labelweave.experiments import Study
from labelweave.experiments._runs import plan_run

OWN = {
    "method": "multi_task",
    "name": "mine",
    "training": {"sampling": "equal", "weighting": "mgda"},
}


def keys(folder: Path, **changes: object) -> dict[str, str]:
    """Write a study and return the key of each method's run."""
    study = Study.from_file(write_study(folder, **changes))
    split = study.first_split()
    prints = split.fingerprint()
    return {
        method: plan_run(method, split, prints, study.config, folder).key
        for method in study.methods
    }


def test_the_wording_of_messages_does_not_change_a_run(tmp_path: Path) -> None:
    split = Study.from_file(write_study(tmp_path)).first_split()
    before = split.fingerprint()
    split.encoder.notes_ = ["the same in other words"]
    assert split.fingerprint() == before
    split.encoder.scale = "together"
    assert split.fingerprint()["data"] != before["data"]


def test_a_method_has_separate_training(tmp_path: Path) -> None:
    study = Study.from_file(write_study(tmp_path, methods=["multi_task", OWN]))
    results = as_json(study.compare(jobs=1, progress=False))
    assert set(results["methods"]) == {"single_task", "multi_task", "mine"}
    assert results["method_titles"]["mine"].endswith("; sampling equal; weighting mgda")
    means = [
        results["methods"][method]["kind"]["log_loss"]["mean"] for method in ("multi_task", "mine")
    ]
    assert not np.isclose(*means)
    # the same training, given to the whole study, is the same run
    whole = as_json(
        Study.from_file(
            write_study(
                tmp_path / "whole",
                methods=["multi_task"],
                training={"steps": 40, "batch_size": 32, **OWN["training"]},  # type: ignore[dict-item]
            )
        ).compare(jobs=1, progress=False)
    )
    assert whole["methods"]["multi_task"] == results["methods"]["mine"]


def test_the_weighting_is_no_part_of_networks_of_one_task(tmp_path: Path) -> None:
    training = {"steps": 40, "batch_size": 32}
    plain = keys(tmp_path / "a", methods=["multi_task"], training=training)
    weighed = keys(
        tmp_path / "b", methods=["multi_task"], training={**training, "weighting": "mgda"}
    )
    assert plain["single_task"] == weighed["single_task"]
    assert plain["multi_task"] != weighed["multi_task"]


@pytest.mark.parametrize(
    ("training", "error"),
    [
        (
            {"weighting": {"constant": {"weights": {"king": 2}}}},
            "weighting 'constant': no task 'king', expected 'kind', 'form'; did you mean 'kind'?",
        ),
        (
            {"sampling": {"equal": {"balance": "form"}}},
            "sampling: option 'balance': 'form' has several labels, expected a multiclass or "
            "binary task: 'kind'",
        ),
    ],
)
def test_tasks_that_are_not_there_are_reported_before_any_training(
    tmp_path: Path, training: dict[str, object], error: str
) -> None:
    method = {"method": "multi_task", "name": "mine", "training": training}
    study = Study.from_file(write_study(tmp_path, methods=[method]))
    with pytest.raises(LabelweaveError) as caught:
        study.splits()
    assert str(caught.value).startswith(error)


def test_a_study_prints_what_a_batch_is_made_of(tmp_path: Path) -> None:
    study = Study.from_file(write_study(tmp_path))
    frame = study.batch_shares().to_frame()
    assert frame["source"].tolist() == ["a", "b", "all"]
    assert frame["rows"].tolist()[-1] == pytest.approx(32)
    assert any(isinstance(line, BatchShares) for line in study.describe())
