"""A version opens what the one before it wrote, and predicts what it predicted."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from format_example import FOLDER, predicted, write_format

from labelweave.errors import LabelweaveError
from labelweave.serving import _final
from labelweave.serving._final import FORMAT

KEPT = [FOLDER / str(number) for number in (FORMAT - 1, FORMAT) if number > 0]


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: f"format {folder.name}")
def test_a_kept_model_predicts_what_it_did(folder: Path) -> None:
    """A format that rises needs its folder: see `tests/support/format_example.py`."""
    then, now = json.loads((folder / "predicted.json").read_text("utf-8")), predicted(folder)
    assert now["seen"] == then["seen"]
    # the same comparisons; how strong each is may change with `monitor`, and so their order
    assert sorted(now["signals"]) == sorted(then["signals"])
    assert now["tasks"].keys() == then["tasks"].keys()
    for task, figures in then["tasks"].items():
        assert now["tasks"][task]["labels"] == figures["labels"]
        np.testing.assert_allclose(
            now["tasks"][task]["probabilities"], figures["probabilities"], rtol=0, atol=1e-5
        )


def test_kept_models_are_small_and_stay_as_they_are() -> None:
    size = sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file())
    assert size < 30_000 * len(list(FOLDER.iterdir()))
    with pytest.raises(LabelweaveError, match="a kept format is never written again"):
        write_format(KEPT[-1])


def test_the_next_format_is_refused_in_one_line(tmp_path: Path) -> None:
    copy = shutil.copytree(KEPT[-1], tmp_path / "kept")
    facts = json.loads((copy / "model/final.json").read_text("utf-8"))
    (copy / "model/final.json").write_text(json.dumps(facts | {"format": FORMAT + 1}))
    with pytest.raises(
        LabelweaveError, match=f"found format {FORMAT + 1}, expected at most {FORMAT}; it was"
    ):
        predicted(copy)


@pytest.mark.parametrize("swaps", [1, 1000])
def test_a_model_that_is_replaced_while_it_is_read_is_read_again_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swaps: int
) -> None:
    """Else the facts of one model would stand next to the weights of another."""
    model, left = tmp_path / "model", swaps
    shutil.copytree(KEPT[-1] / "model", model)
    read = _final.load_model

    def replaced(folder: Path) -> object:
        nonlocal left
        if left:
            left -= 1
            shutil.copytree(KEPT[-1] / "model", tmp_path / "new")
            facts = json.loads((model / "final.json").read_text("utf-8"))
            facts["study"] = f"the other {left}"
            (tmp_path / "new" / "final.json").write_text(json.dumps(facts), "utf-8")
            model.rename(tmp_path / f"old{left}")
            (tmp_path / "new").rename(model)
        return read(folder)

    monkeypatch.setattr(_final, "load_model", replaced)
    if swaps == 1:
        assert _final.load(model).facts.study == "the other 0"
    else:
        with pytest.raises(LabelweaveError, match="replaced by another process while it was read"):
            _final.load(model)
