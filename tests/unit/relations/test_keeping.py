from dataclasses import replace

import numpy as np
import pytest
from study_example import as_json, write_study
from test_relating import TABLE, world

from labelweave._messages import Message
from labelweave.errors import LabelweaveError
from labelweave.experiments import Study
from labelweave.fitting import _relating as relating
from labelweave.relations import HeldOut, NoisyOr, load_relatedness, relate, save_relatedness

METHODS = [
    "multi_task",
    "full",
    {"method": "full", "relations": {"from": "predictions"}, "noise": "estimate"},
]


@pytest.fixture(scope="module")
def found():
    annotations, predictions = world()
    kept = HeldOut(annotations, predictions)
    return relate(annotations, predictions, knowledge=[TABLE], held_out=kept, noise=True)


def test_a_kept_relatedness_is_bitwise_what_was_found(found, tmp_path):
    save_relatedness(found, tmp_path / "one.safetensors")
    again = load_relatedness(tmp_path / "one.safetensors")
    assert again.summary() == found.summary()
    for ours, theirs in zip(again.relations, found.relations, strict=True):
        assert type(ours) is type(theirs)
        assert (ours.name, ours.origin) == (theirs.name, theirs.origin)
        assert ours.strength == theirs.strength
        part = "weights" if isinstance(ours, NoisyOr) else "table"
        assert getattr(ours, part).tobytes() == getattr(theirs, part).tobytes()
        assert np.array_equal(ours.mask, theirs.mask)
        assert not getattr(ours, part).flags.writeable
    assert again.transfer_weights.keys() == found.transfer_weights.keys()
    assert all(
        again.transfer_weights[name].tobytes() == found.transfer_weights[name].tobytes()
        for name in found.transfer_weights
    )
    assert again.proposal == found.proposal
    assert isinstance(again.proposal.reason, Message)
    assert again.noise.mislabelled == found.noise.mislabelled
    # and what is read can be used and kept like what was found
    assert replace(again.relations[0], strength=1.0).permuted(0).table.shape
    save_relatedness(again, tmp_path / "two.safetensors")
    one, two = ((tmp_path / f"{n}.safetensors").read_bytes() for n in ("one", "two"))
    assert one == two


def test_a_damaged_file_or_none_is_found_anew(found, tmp_path):
    path = tmp_path / "kept.safetensors"
    assert load_relatedness(path) is None
    save_relatedness(found, path)
    whole = path.read_bytes()
    other = whole.replace(b"Estimate", b"Unknown!")
    for damaged in (b"", whole[: len(whole) // 2], other):
        path.write_bytes(damaged)
        assert load_relatedness(path) is None


@pytest.mark.slow
def test_a_study_finds_its_relations_once(tmp_path, monkeypatch):
    path = write_study(
        tmp_path, methods=METHODS, seeds=[3, 4], relatedness={"from": "all", "folds": 2}
    )
    first = as_json(Study.from_file(path).run(jobs=1, progress=False))
    kept = sorted((tmp_path / "runs" / "parts" / "relatedness").iterdir())
    # all and predictions of both seeds, and the given table judged on the first
    assert [each.name.rpartition("-")[0] for each in kept] == [
        "all-seed3", "all-seed4", "knowledge-seed3", "predictions-seed3", "predictions-seed4",
    ]  # fmt: skip

    def fail(*_, **__):
        raise AssertionError("looked for again")

    with monkeypatch.context() as patch:
        patch.setattr(relating, "relate", fail)
        again = as_json(Study.from_file(path).run(jobs=1, progress=False))
    assert again | {"created": 0} == first | {"created": 0}
    # another setting is another content
    changed = write_study(
        tmp_path,
        methods=METHODS,
        seeds=[3, 4],
        relatedness={"from": "all", "folds": 2, "strength": 6},
    )
    monkeypatch.setattr(relating, "relate", fail)
    with pytest.raises((AssertionError, LabelweaveError), match="looked for again"):
        Study.from_file(changed).run(jobs=1, progress=False)
