"""Two data sets annotate one task with different labels, a third another task: a study, whole."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from labelweave.errors import LabelweaveError, listing
from labelweave.experiments import Study
from labelweave.relations import NoisyOr, Relation, known_table
from labelweave.relations._operations import join_tables
from labelweave.tasks import Binary, Multiclass, Multilabel

KNOWN = "du-tao-martinez-2014"
FRAMES = {name: known_table(KNOWN, vocabulary=name).frame for name in ("disfa", "bp4d", "all-17")}
UNITS = {name: list(frame.columns[1:]) for name, frame in FRAMES.items()}
FEELINGS = list(FRAMES["all-17"].iloc[:, 0])
BOTH = [unit for unit in UNITS["all-17"] if unit in UNITS["disfa"] + UNITS["bp4d"]]


def write(folder, **changes):
    rng = np.random.default_rng(0)
    feeling = rng.integers(0, 7, 600)
    on = FRAMES["all-17"][BOTH].astype(float).fillna(0.2).to_numpy()[feeling]
    units = pd.DataFrame((rng.random(on.shape) < on).astype(int), columns=BOTH)
    inputs = units.to_numpy() @ rng.normal(size=(len(BOTH), 8)) + rng.normal(size=(600, 8))
    frame = pd.DataFrame(inputs.round(3), columns=[f"x{i}" for i in range(8)])
    named = pd.Series(FEELINGS, name="expression")[feeling].reset_index(drop=True)
    feelings = pd.concat([frame, named], axis=1)
    feelings[:150].to_csv(folder / "seven.csv", index=False)
    few = feelings[150:250]
    few[few["expression"].isin(FEELINGS[:4])].to_csv(folder / "four.csv", index=False)
    # disfa lacks the columns of the other units, bp4d has them empty
    pd.concat([frame, units[UNITS["disfa"]]], axis=1)[250:420].to_csv(
        folder / "disfa.csv", index=False
    )
    rest = units.astype(float)
    rest[[unit for unit in BOTH if unit not in UNITS["bp4d"]]] = np.nan
    pd.concat([frame, rest], axis=1)[420:].to_csv(folder / "bp4d.csv", index=False)
    names = ("disfa", "bp4d")
    study = {
        "name": "faces",
        "tasks": [{"name": "expression"}, {"name": "au", "kind": "multilabel", "labels": BOTH}],
        "sources": [{"path": f"{name}.csv"} for name in ("seven", "four", *names)],
        "relations": [
            {"known": KNOWN, "vocabulary": name, "source": "expression"} for name in names
        ],
        "relatedness": {"from": "given"},
        "network": {"hidden": [16]},
        "training": {"steps": 40, "batch_size": 32},
        "methods": ["full", {"method": "full", "relations": {"from": "all"}}],
        "seeds": 1,
        "statistics": {"replicates": 100},
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study | changes))
    return path


@pytest.mark.slow
def test_two_vocabularies_of_one_task_make_one_study(tmp_path, cli) -> None:
    path = write(tmp_path)
    seen = " ".join(cli("check", path).out.split())
    assert f"task expression: four has no row of {listing(sorted(FEELINGS[4:]))}" in seen
    assert "task au: disfa does not annotate 'AU7', 'AU10', 'AU14', 'AU23', 'AU24'" in seen
    assert "task au: bp4d does not annotate 'AU5', 'AU9', 'AU20', 'AU25', 'AU26'" in seen
    assert f"relation expression->au: {KNOWN} for disfa and {KNOWN} for bp4d, 112 of 119" in seen
    assert cli("run", path, "--jobs", 1).code == 0
    results = json.loads((tmp_path / "runs/faces/results.json").read_text())
    assert not results["failures"]
    (relation,) = results["relations"]
    all_units = known_table(KNOWN, vocabulary="all-17").relations(
        "expression", Study.from_file(path).data.tasks
    )[0]
    assert np.array_equal(relation["known"], all_units.mask)
    assert relation["table"] == pytest.approx(all_units.table)
    assert results["methods"]["full"]["au"]["mean_average_precision"]["mean"] > 0.35
    answer = cli("predict", tmp_path / "runs/faces", tmp_path / "disfa.csv")
    assert "au=AU7" in answer.out


def test_a_label_of_one_source_counts_on_its_rows_only(tmp_path) -> None:
    fold = Study.from_file(write(tmp_path)).first_split()
    codes, source = fold.train.annotations.labels["au"], np.array(fold.source_names)[fold.source]
    for name in ("disfa", "bp4d"):
        rows = codes[source == name]
        known = [unit in UNITS[name] for unit in BOTH]
        assert (rows[:, known] >= 0).all()
        assert (rows[:, ~np.array(known)] == -1).all()
    # both sides of the split have every label of both sources
    assert all((part.annotations.counts("au") > 0).all() for part in (fold.train, fold.test))


def test_tables_of_one_pair_are_joined_where_they_agree() -> None:
    kind, marks = Multiclass("kind", ("a", "b")), Multilabel("marks", ("x", "y"))
    first = Relation(kind, marks, [[1, 0], [0.2, 0]], [[True, False], [True, False]], origin="one")
    second = Relation(
        kind, marks, [[1, 0.3], [0, 0.4]], [[True, True], [False, True]], origin="two"
    )
    other = NoisyOr(marks, Binary("z"), [[1], [1]], [0])
    (joined, kept) = join_tables([first, other, second])
    assert kept is other
    assert joined.table.tolist() == [[1, 0.3], [0.2, 0.4]]
    assert joined.mask.all()
    assert str(joined.origin) == "one and two"
    against = Relation(kind, marks, [[0.9, 0.3], [0, 0.4]], origin="two")
    with pytest.raises(LabelweaveError) as caught:
        join_tables([first, against])
    assert str(caught.value) == (
        "relation kind->marks: row 'a', column 'x': one says 1, two 0.9, expected the same"
    )
    with pytest.raises(LabelweaveError, match="found the strengths 1 and 2 of two tables"):
        join_tables([first, Relation(kind, marks, np.ones((2, 2)), strength=2)])
