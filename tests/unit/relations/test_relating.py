from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.experiments import parse_study
from labelweave.experiments._relating import study_lines
from labelweave.relations import NoisyOr, Relation, read_knowledge, relate
from labelweave.relations._counting import confusion_counts
from labelweave.report import write_heat_map
from labelweave.tasks import Binary, Multiclass, Multilabel

KIND = Multiclass("kind", ("a", "b", "c", "d"))
COLOUR = Multiclass("colour", ("red", "green", "blue"))
MARKS = Multilabel("marks", ("spots", "stripes"))
OTHER = Binary("other")
TASKS = (KIND, COLOUR, MARKS, OTHER)
COLOURS = np.array([0, 1, 2, 1])
SPOTS = np.array([1, 1, 0, 0])
STRIPES = np.array([0, 1, 0, 1])
TABLE = Relation(KIND, COLOUR, np.eye(3)[COLOURS])


def world(seed=0, n=600):
    """Kinds on 80 rows, the rest labelled with what follows from the kind and a coin."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 4, n)
    labels = {
        "kind": kind.copy(),
        "colour": COLOURS[kind],
        "marks": np.stack([SPOTS[kind], STRIPES[kind]], axis=1).astype(np.int8),
        "other": rng.integers(0, 2, (n, 1)).astype(np.int8),
    }
    labels["kind"][80:] = -1
    for name in ("colour", "marks", "other"):
        labels[name] = labels[name].copy()
        labels[name][:80] = -1
    predictions = {
        "kind": soft(rng, np.eye(4)[kind]),
        "colour": soft(rng, np.eye(3)[COLOURS[kind]]),
        "marks": np.clip(
            np.stack([SPOTS[kind], STRIPES[kind]], 1) * 0.8 + rng.normal(0.1, 0.03, (n, 2)), 0, 1
        ),
        "other": rng.uniform(0.3, 0.7, (n, 1)),
    }
    return Annotations(TASKS, labels), predictions


def soft(rng, truth):
    scores = np.exp(3 * truth + rng.normal(size=truth.shape))
    return scores / scores.sum(axis=1, keepdims=True)


def test_tables_are_found_without_a_row_that_carries_both_labels() -> None:
    annotations, predictions = world()
    found = relate(annotations, predictions, [("kind", "colour"), ("kind", "marks")])
    assert found.table("kind->colour").to_numpy() == pytest.approx(np.eye(3)[COLOURS], abs=0.1)
    assert found.table("kind->marks")["spots"].to_numpy() == pytest.approx(SPOTS, abs=0.1)
    assert [relation.name for relation in found.relations] == ["kind->colour", "kind->marks"]
    assert all(0 < relation.strength <= 1 for relation in found.relations)
    assert not found.left_out


def test_an_unrelated_task_is_left_out_with_the_reason() -> None:
    annotations, predictions = world()
    found = relate(annotations, predictions, [("kind", "colour"), ("kind", "other")])
    assert found.evidence["kind->other"].verdict == "not related"
    assert [relation.name for relation in found.relations] == ["kind->colour"]
    assert "not clearly above 0" in str(found.left_out["kind->other"])
    assert "kind" in found.proposal.tasks
    assert "colour" in found.proposal.tasks
    assert ("kind", "other") in found.proposal.apart


def test_a_shuffled_expert_table_is_rejected_as_given_and_repaired_as_a_prior() -> None:
    annotations, predictions = world()
    wrong = TABLE.permuted(1)
    given = relate(annotations, predictions, knowledge=[wrong], origin="knowledge")
    assert given.relations == ()
    assert given.evidence["kind->colour"].verdict == "contradicted by the data"
    assert given.estimate("kind->colour").wrong_rows()
    pairs = [("kind", "colour")]
    repaired = relate(annotations, predictions, pairs, knowledge=[wrong], origin="all")
    assert repaired.table("kind->colour").to_numpy() == pytest.approx(TABLE.table, abs=0.1)


def test_a_true_expert_table_is_used_as_it_is() -> None:
    annotations, predictions = world()
    found = relate(annotations, predictions, knowledge=[TABLE], origin="knowledge")
    assert np.array_equal(found.relations[0].table, TABLE.table)
    assert found.estimate("kind->colour").wrong_rows() == []


def test_a_true_expert_table_stands_and_one_with_wrong_rows_is_corrected() -> None:
    annotations, predictions = world()
    pairs = [("kind", "colour")]
    found = relate(annotations, predictions, pairs, knowledge=[TABLE], origin="all")
    assert np.array_equal(found.relations[0].table, TABLE.table)
    rows = TABLE.table.copy()
    rows[[0, 1]] = rows[[1, 0]]
    wrong = Relation(KIND, COLOUR, rows)
    found = relate(annotations, predictions, pairs, knowledge=[wrong], origin="all")
    assert found.relations[0].table == pytest.approx(TABLE.table, abs=0.1)


def test_both_directions_between_two_tasks_are_not_counted_twice() -> None:
    annotations, predictions = world()
    found = relate(annotations, predictions, [("kind", "colour"), ("colour", "kind")])
    assert len(found.relations) == 1
    (reason,) = found.left_out.values()
    assert "count twice" in str(reason)


def test_without_pairs_every_pair_is_looked_at_and_a_noisy_or_without_news_is_left_out() -> None:
    annotations, predictions = world()
    found = relate(annotations, predictions)
    assert "marks->other" in found.evidence
    assert "over the own predictions" in str(found.left_out["marks->other"])
    assert all(isinstance(relation.source, Multiclass) for relation in found.relations)
    table = found.table("marks->other")
    assert list(table.index) == ["spots", "stripes", "leak"]


def test_a_noisy_or_that_adds_information_is_among_the_relations() -> None:
    rng = np.random.default_rng(0)
    modes, fails = Multilabel("modes", ("a", "b")), Binary("fails")
    causes = rng.random((600, 2)) < 0.4
    codes = {"modes": causes.astype(int), "fails": causes.any(axis=1, keepdims=True).astype(int)}
    seen = {"modes": np.where(np.arange(600)[:, None] < 100, codes["modes"], -1),
            "fails": np.where(np.arange(600)[:, None] < 100, -1, codes["fails"])}  # fmt: skip
    annotations = Annotations((modes, fails), seen)
    # the head of the modes sees them, the one of the failure knows its rate only
    predictions = {"modes": np.where(causes, 0.9, 0.1), "fails": np.full((600, 1), 0.6)}
    for origin in ("predictions", "all"):
        expert = NoisyOr(modes, fails, np.full((2, 1), 0.9), [0.05], strength=0.5)
        found = relate(annotations, predictions, knowledge=[expert], origin=origin)
        (relation,) = found.relations
        assert isinstance(relation, NoisyOr)
        assert relation.weights.min() > 0.85
        assert relation.strength == pytest.approx(0.5 * found.evidence["modes->fails"].trust)
    found = relate(annotations, predictions, knowledge=[expert], origin="knowledge")
    assert np.array_equal(found.relations[0].weights, expert.weights)
    found = relate(annotations, predictions, [("modes", "fails")], origin="annotations")
    assert str(found.left_out["modes->fails"]) == "no row has labels for both tasks"


def test_the_same_seed_gives_the_same_relatedness() -> None:
    annotations, predictions = world()
    first, second = (relate(annotations, predictions, seed=3).summary() for _ in range(2))
    assert first == second


def test_tables_written_for_an_expert_are_read_back(tmp_path) -> None:
    annotations, predictions = world()
    found = relate(annotations, predictions, [("kind", "colour"), ("kind", "marks")])
    files = found.to_csv(tmp_path / "tables")
    assert [path.name for path in files] == ["kind to colour.csv", "kind to marks.csv"]
    for path in files:
        (relation,) = read_knowledge(path, "kind", TASKS)
        table = found.estimate(relation.name).relation.table
        assert relation.table == pytest.approx(table, abs=1e-3)
    edited = pd.read_csv(files[1], index_col=0)
    assert list(edited.columns) == ["marks=spots", "marks=stripes"]


def test_names_that_start_a_formula_are_texts_in_a_table_and_names_when_read(tmp_path) -> None:
    annotations, predictions = world()
    kind = Multiclass("kind", ("=1+1", "-x", "plain", "+y"))
    named = Annotations([kind, *TASKS[1:]], annotations.labels)
    found = relate(named, predictions, [("kind", "colour")])
    (file,) = found.to_csv(tmp_path)
    assert [line.partition(",")[0] for line in file.read_text("utf-8").splitlines()] == [
        "kind", "'=1+1", "'-x", "plain", "'+y",
    ]  # fmt: skip
    (relation,) = read_knowledge(file, "kind", [kind, *TASKS[1:]])
    assert relation.source.names == kind.names
    (file,) = found.to_csv(tmp_path, formulas=True)
    assert "\n=1+1," in file.read_text("utf-8")


def test_lines_for_a_study_file_are_the_relations_that_hold(tmp_path) -> None:
    annotations, predictions = world()
    found = relate(annotations, predictions, [("kind", "colour"), ("kind", "marks")])
    used = [relation.target.name for relation in found.relations]
    lines = study_lines(found, tmp_path)
    pasted = yaml.safe_load("\n".join(lines[1:]))
    assert pasted["relations"] == [{"source": "kind", "targets": used}]
    assert pasted["relatedness"] == {"from": "all"}
    assert pasted.get("only", []) == list(found.proposal.tasks)
    files = found.to_csv(tmp_path / "tables")
    pasted = yaml.safe_load("\n".join(study_lines(found, tmp_path, files)[1:]))
    assert [each["table"] for each in pasted["relations"]] == [
        f"tables/kind to {name}.csv" for name in used
    ]
    tasks = [{"name": "kind"}, {"name": "colour"}]
    parse_study({"name": "x", "tasks": tasks, "sources": [{"path": "a.csv"}]} | pasted)
    none = replace(found, relations=())
    assert study_lines(none, tmp_path) == [
        "No relation holds on held-out rows: there is nothing to paste."
    ]


def test_a_heat_map_is_written_as_picture(tmp_path) -> None:
    annotations, predictions = world()
    found = relate(annotations, predictions, [("kind", "colour")])
    table = found.table("kind->colour")
    assert b"<svg" in write_heat_map(table, tmp_path / "map.svg").read_bytes()
    assert write_heat_map(table, tmp_path / "map.png").read_bytes()[1:4] == b"PNG"
    with pytest.raises(LabelweaveError, match=r"found ending '\.gif', expected \.svg or \.png"):
        write_heat_map(table, tmp_path / "map.gif")
    with pytest.raises(LabelweaveError, match="did you mean 'kind->colour'"):
        found.table("kind->color")


def test_confusion_counts_are_the_counts_of_labelled_elements() -> None:
    annotations, predictions = world()
    counts = confusion_counts(annotations, predictions)
    assert counts["kind"].sum() == 80
    assert counts["marks"].shape == (2, 2, 2)
    assert counts["marks"].sum() == 2 * 520
    right = (predictions["kind"][:80].argmax(axis=1) == annotations.labels["kind"][:80]).sum()
    assert np.trace(counts["kind"]) == right


def test_bad_input_gives_one_line() -> None:
    annotations, predictions = world()
    with pytest.raises(LabelweaveError, match=r"relations from 'prediction': .*'predictions'"):
        relate(annotations, predictions, origin="prediction")  # type: ignore[arg-type]
    with pytest.raises(LabelweaveError, match="relations from knowledge: found no table"):
        relate(annotations, predictions, origin="knowledge")
    with pytest.raises(LabelweaveError, match="did you mean 'colour'"):
        relate(annotations, predictions, [("kind", "color")])


@pytest.mark.parametrize("origin", ["knowledge", "all"])
@pytest.mark.parametrize("n", [0, 4, 12])
def test_an_experts_table_is_not_refused_for_want_of_labels(origin, n) -> None:
    annotations, predictions = world()
    labels = {name: codes.copy() for name, codes in annotations.labels.items()}
    labels["colour"][80 + n :] = -1
    few = Annotations(TASKS, labels)
    found = relate(few, predictions, [("kind", "colour")], knowledge=[TABLE], origin=origin)
    assert [relation.name for relation in found.relations] == ["kind->colour"]
    np.testing.assert_array_equal(found.relations[0].table, TABLE.table)
