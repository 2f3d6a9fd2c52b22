"""Joining without pooling rows: what leaves a site, how it is protected, what it is good for."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import CommandLine
from trust_example import HOT, KIND, RELATIONS, SHAPE, classifier, rows

from labelweave import Annotations, LabelweaveError, Multilabel, MultiTaskClassifier, Source
from labelweave.relations import count_relation, read_relations
from labelweave.trust import Exchange, make_exchange, read_exchange, write_exchange
from labelweave.trust._exchange import labels_as_columns, tables_of_relations
from labelweave.trust._protected_counts import Protection, class_counts, joint_counts

OWN, OWN_LABELS = rows(400, 41)
SHARED, TRUTH = rows(60, 42)
IDS = np.array([f"part {i}" for i in range(60)], object)
LABELS = Annotations.from_columns([KIND, SHAPE, HOT], OWN_LABELS)


def made(**options: object) -> Exchange:
    return make_exchange(classifier(), SHARED, "north", labels=OWN_LABELS, **options)


def test_an_exchange_is_read_as_it_was_written(tmp_path: Path):
    written = made(ids=IDS, relations=RELATIONS[:1])
    write_exchange(written, tmp_path / "a.json")
    read = read_exchange(tmp_path / "a.json")
    assert (read.name, read.tasks, read.keys) == (written.name, written.tasks, written.keys)
    assert read.protection == "counts below 10 hidden, others rounded down to multiples of it"
    for name in ("kind", "shape", "hot"):
        np.testing.assert_array_equal(read.probabilities[name], written.probabilities[name])
        np.testing.assert_array_equal(read.counts[name], written.counts[name])
    assert read.tables.keys() == written.tables.keys()
    for pair, counts in read.tables.items():
        np.testing.assert_array_equal(counts, written.tables[pair])
    np.testing.assert_array_equal(read.relations[0].table, RELATIONS[0].table)


def test_nothing_of_the_rows_leaves(tmp_path: Path):
    write_exchange(made(ids=IDS), tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    assert set(content) == {
        "format", "name", "tasks", "protection", "noise", "rows", "keys", "counts", "tables",
        "relations", "predictions",
    }  # fmt: skip
    text = (tmp_path / "a.json").read_text()
    for secret in ("part 7", "north_site", "long_axis", *OWN["heat"].head(50).map(repr)):
        assert secret not in text


def test_counts_are_those_of_the_labels():
    np.testing.assert_array_equal(class_counts(LABELS, KIND), LABELS.counts("kind"))
    cross = pd.crosstab(OWN_LABELS["kind"], OWN_LABELS["shape"])
    found = joint_counts(LABELS, KIND, SHAPE)
    np.testing.assert_array_equal(found, cross.reindex(index=KIND.names, columns=SHAPE.names))
    cross = pd.crosstab(OWN_LABELS["kind"], OWN_LABELS["hot"])
    found = joint_counts(LABELS, KIND, HOT)[:, 0]
    np.testing.assert_array_equal(found, cross.reindex(index=KIND.names, columns=[0, 1]))


def test_small_counts_are_hidden_and_no_difference_gives_them_away():
    counts = np.array([[57, 3, 0], [9, 10, 40]])
    hidden, totals = Protection(10).apply([counts, counts.sum(axis=1)], 2, np.random.default_rng())
    np.testing.assert_array_equal(hidden, [[50, -1, -1], [-1, 10, 40]])
    np.testing.assert_array_equal(totals, [60, 50])  # 60 - 50: anything from 1 to 19


def test_noise_is_discrete_laplace_of_the_promised_scale():
    protection = Protection(epsilon=0.5)
    assert protection.noise(3) == 6
    zero = np.full(200_000, 10_000)
    noised = protection.apply([zero], 3, np.random.default_rng(0))[0] - 10_000
    # P(noise = k) is proportional to exp(-|k| / 6)
    a = np.exp(-1 / 6)
    assert noised.mean() == pytest.approx(0, abs=0.1)
    assert noised.var() == pytest.approx(2 * a / (1 - a) ** 2, rel=0.02)
    for k in (0, 3, 12):
        expected = (1 - a) / (1 + a) * a**k
        assert (noised == k).mean() == pytest.approx(expected, rel=0.05)


def test_epsilon_covers_all_cells_of_a_row():
    # three tasks and three tables: a row is in one cell of each
    assert made(epsilon=2.0, seed=0).noise == 6 / 2
    several = Multilabel("marks", ("a", "b"))
    assert made(epsilon=2.0).counts["hot"].shape == (1, 2)
    assert several.width == 2


def test_counted_tables_come_close_to_those_of_the_rows():
    truth = count_relation(LABELS, "kind", "shape").table
    for options in ({}, {"epsilon": 5.0, "seed": 1}):
        found = {each.name: each for each in made(**options).known_relations}
        assert set(found) == {"kind->shape", "kind->hot", "shape->hot"}
        assert np.abs(found["kind->shape"].table - truth).max() < 0.1


def test_noise_alone_makes_no_table():
    apart = OWN_LABELS.astype(object)
    apart.loc[:199, "kind"] = None
    apart.loc[200:, ["shape", "hot"]] = None
    for seed in range(20):
        exchange = make_exchange(
            classifier(), SHARED, "north", labels=apart, epsilon=1.0, seed=seed
        )
        assert {each.name for each in exchange.known_relations} <= {"shape->hot"}


def test_shared_rows_are_matched_by_identifier():
    order = np.random.default_rng(0).permutation(60)
    source = made(ids=IDS).source(SHARED.iloc[order], IDS[order])
    straight = made().source(SHARED)
    for name, codes in source.annotations.labels.items():
        np.testing.assert_array_equal(codes, straight.annotations.labels[name][order])
    some = np.where(np.arange(60) < 30, IDS, [f"other {i}" for i in range(60)])
    labelled = made(ids=IDS).source(SHARED, some).annotations.labelled("kind")
    np.testing.assert_array_equal(labelled, np.arange(60) < 30)


def test_labels_are_the_likeliest_above_a_least_probability():
    exchange = made()
    p = exchange.probabilities["kind"]
    codes = exchange.source(SHARED, least=0.7).annotations.labels["kind"]
    np.testing.assert_array_equal(codes, np.where(p.max(axis=1) >= 0.7, p.argmax(axis=1), -1))
    only = made(answers="labels")
    np.testing.assert_array_equal(only.probabilities["kind"], np.eye(6)[p.argmax(axis=1)])


def test_draws_are_as_frequent_as_the_probabilities_and_copies_stay_together():
    given = made()
    copies = given.source(SHARED, draws=100, seed=3)
    assert len(copies) == 60 * 100
    assert len(set(copies.groups.tolist())) == 60
    np.testing.assert_array_equal(copies.inputs["heat"][:100], SHARED["heat"][0])
    for task in (KIND, SHAPE):
        codes = copies.annotations.labels[task.name].reshape(60, 100)
        shares = np.stack([(codes == c).mean(axis=1) for c in range(task.width)], axis=1)
        assert np.abs(shares - given.probabilities[task.name]).max() < 0.2
        assert np.abs((shares - given.probabilities[task.name]).mean(axis=0)).max() < 0.02
    on = copies.annotations.labels["hot"].reshape(60, 100).mean(axis=1)
    assert abs((on - given.probabilities["hot"][:, 0]).mean()) < 0.02


def test_fewer_decimals_leave_probabilities_that_sum_to_one(tmp_path: Path):
    rounded, whole = made(decimals=1), made()
    p = rounded.probabilities["kind"]
    assert len(np.unique(p)) < len(np.unique(whole.probabilities["kind"]))
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=0.004)
    assert np.abs(p - whole.probabilities["kind"]).max() < 0.25
    write_exchange(rounded, tmp_path / "a.json")
    np.testing.assert_array_equal(read_exchange(tmp_path / "a.json").probabilities["kind"], p)


def test_the_other_site_gains_by_the_exchange():
    X, y = rows(60, 43)
    kinds = Annotations.from_columns([KIND], {"kind": y["kind"]})
    exchange = made(tasks=["shape", "hot"])
    tasks = [KIND, SHAPE, HOT]
    labels = Annotations(tuple(tasks), kinds.labels)
    options = {"learners": ["logistic"], "relations": RELATIONS}
    new, truth = rows(400, 44)
    shared = exchange.source(SHARED, tasks=tasks)
    both = MultiTaskClassifier(**options).fit([Source("south", X, labels), shared])
    for name in ("shape", "hot"):
        assert both.score(new, {name: truth[name]}) > 0.6  # of which it has no label


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": IDS[:5]}, "ids: found shape (5,), expected (60,)"),
        ({"ids": np.repeat("x", 60)},
         "ids: found an identifier of several rows, expected each once"),
        ({"ids": np.r_[IDS[:59], [None]]},
         "ids: found a missing one, expected an identifier for each row"),
        ({"tasks": ["kinds"]},
         "tasks: no task 'kinds', expected 'kind', 'shape', 'hot'; did you mean 'kind'?"),
        ({"tasks": ["kind"], "relations": RELATIONS},
         "relation kind->shape: no task 'shape', expected 'kind'"),
        ({"least": 1}, "least: found 1, expected a number from 2 to 1e+06"),
        ({"epsilon": 0}, "epsilon: found 0, expected a number from 0.001 to 100"),
        ({"answers": "label"},
         "answers: found 'label', expected 'probabilities', 'labels'; did you mean 'labels'?"),
    ],
)  # fmt: skip
def test_an_exchange_refuses(options: dict, message: str):
    with pytest.raises(LabelweaveError) as caught:
        made(**options)
    assert str(caught.value) == message


def test_other_rows_are_refused():
    for exchange, arguments, message in (
        (made(), (SHARED[:9],), "shared rows: found 9, expected the 60 of the exchange"),
        (made(), (SHARED, IDS), "ids: found some, expected none: the exchange has none"),
        (made(ids=IDS), (SHARED,),
         "ids: found none, expected the identifiers of the shared rows"),
        (made(ids=IDS), (SHARED, [f"x{i}" for i in range(60)]),
         "ids: found none of the identifiers of the exchange"),
    ):  # fmt: skip
        with pytest.raises(LabelweaveError) as caught:
            exchange.source(*arguments)
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2},
         "found format 2, expected at most 1; it was written by a newer labelweave"),
        ({"counts": {"kind": [1, 2]}}, "counts of 'kind': found the shape (2,), expected (6,)"),
        ({"counts": {"kinds": [1]}},
         "no task 'kinds', expected 'kind', 'shape', 'hot'; did you mean 'kind'?"),
        ({"tables": [{"source": "hot", "target": "kind", "counts": [[1]]}]},
         "table hot->kind: expected a multiclass task and another task"),
        ({"tables": [{"source": "kind", "target": "shape", "counts": [[1], [1, 2]]}]},
         "table kind->shape: no table, expected the shape (6, 3)"),
        ({"rows": 61}, "predictions of 'kind': found the shape (60, 6), expected (61, 6)"),
        ({"keys": ["0" * 24]}, "keys: expected 60, each once"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_line(tmp_path: Path, change: dict, message: str):
    path = tmp_path / "a.json"
    write_exchange(made(), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(LabelweaveError) as caught:
        read_exchange(path)
    assert str(caught.value) == f"{path}: {message}"


def test_probabilities_of_a_file_sum_to_one(tmp_path: Path):
    path = tmp_path / "a.json"
    write_exchange(made(), path)
    content = json.loads(path.read_text())
    content["predictions"]["kind"][0] = [0.5] * 6
    path.write_text(json.dumps(content))
    with pytest.raises(LabelweaveError, match="'kind': probabilities that do not sum to 1"):
        read_exchange(path)


def test_the_command_writes_and_reads(tmp_path: Path, cli: CommandLine):
    classifier().save(tmp_path / "model")
    SHARED.assign(part=IDS).to_csv(tmp_path / "shared.csv", index=False)
    OWN.assign(**OWN_LABELS).to_csv(tmp_path / "own.csv", index=False)
    table = tables_of_relations(RELATIONS[:1])["kind"]
    table.to_csv(tmp_path / "kind.csv")
    answer = cli(
        "exchange", tmp_path / "model", tmp_path / "shared.csv", "--ids", "part", "--labelled",
        tmp_path / "own.csv", "--relation", f"kind={tmp_path / 'kind.csv'}", "--out",
        tmp_path / "north.json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert "predictions of 60 shared rows: kind, shape, hot" in answer.out
    assert "tables: kind->shape, kind->hot, shape->hot" in answer.out

    answer = cli("exchange", tmp_path / "north.json", tmp_path / "shared.csv", "--ids", "part",
                 "--out", tmp_path / "given")  # fmt: skip
    assert answer.code == 0, answer.err
    assert (
        f"- {{path: {tmp_path / 'given' / 'shared.csv'}, name: north, split: train}}" in answer.out
    )
    found = pd.read_csv(tmp_path / "given" / "shared.csv")
    source = made(ids=IDS).source(SHARED, IDS)
    for name, column in labels_as_columns(source).items():
        assert found[name].tolist() == column.tolist()
    read = read_relations(tmp_path / "given" / "table1.csv", "kind", [KIND, SHAPE, HOT])
    assert [each.name for each in read] == ["kind->shape", "kind->hot"]
    np.testing.assert_allclose(read[0].table, RELATIONS[0].table, atol=1e-6)

    answer = cli("exchange", tmp_path / "north.json", tmp_path / "shared.csv", "--ids", "part",
                 "--draws", 2, "--out", tmp_path / "drawn")  # fmt: skip
    assert "name: north, split: train, group: shared_row}" in answer.out
    drawn = pd.read_csv(tmp_path / "drawn" / "shared.csv")
    assert drawn["shared_row"].value_counts().unique().tolist() == [2]
    assert drawn["kind"].isin(KIND.names).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model", "shared.csv"],
         "--out: found none, expected a file to write or a folder to read to"),
        (["model", "shared.csv", "--out", "a.txt"],
         "--out: found 'a.txt', expected the name of a .json file"),
        (["a.json", "shared.csv", "--out", "b", "--epsilon", "1"],
         "--epsilon: found it with a file to read, expected a model"),
    ],
)  # fmt: skip
def test_the_command_refuses(cli: CommandLine, arguments: list[str], message: str):
    assert cli.refused("exchange", *arguments) == message
