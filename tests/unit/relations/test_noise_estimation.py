"""Label noise estimated without a clean label."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from study_example import as_json, content, draw_nothing, tables, write_study

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.experiments import Study, parse_study
from labelweave.relations import Relation, estimate_noise, relate
from labelweave.relations._label_noise import symmetric, unmix
from labelweave.report import write_report
from labelweave.results import plain
from labelweave.serving._finish import fit_all
from labelweave.tasks import Multiclass, Multilabel

KIND = Multiclass("kind", tuple(range(12)))
SHAPE = Multiclass("shape", ("a", "b", "c", "d"))
SIGNS = Multilabel("signs", ("x", "y"))


def counts_of(table, confusion, rows, rng):
    return np.stack([rng.multinomial(rows, row @ confusion) for row in table])[None].astype(float)


def base_of(counts):
    total = counts.sum(axis=(0, 1)) + 0.5
    return total / total.sum()


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3])
def test_counts_of_sharp_classes_give_table_and_confusion(classes, rate):
    rng = np.random.default_rng(5)
    table = np.eye(classes)[np.arange(32) % classes]
    counts = counts_of(table, symmetric(classes, rate), 40, rng)
    found = unmix(counts, base_of(counts))
    assert np.abs(found.table - table).max(axis=1).mean() < 0.06
    assert np.abs(found.confusion[0] - symmetric(classes, rate)).max() < 0.08
    assert found.wrong.sum() / found.support.sum() == pytest.approx(rate, abs=0.03)
    assert found.gain > 3
    assert found.support.sum() > 0.9 * counts.sum()


@pytest.mark.parametrize("vagueness", [0.3, 1.0])
def test_vague_classes_are_not_taken_for_noise(vagueness):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        table = rng.dirichlet(np.full(4, vagueness), 32)
        counts = counts_of(table, np.eye(4), 40, rng)
        assert unmix(counts, base_of(counts)).support.sum() < 0.6 * counts.sum()


def test_a_given_clean_table_separates_noise_from_vagueness():
    rng = np.random.default_rng(6)
    table = rng.dirichlet(np.ones(3), 20)
    counts = counts_of(table, symmetric(3, 0.2), 200, rng)
    found = unmix(counts, base_of(counts), clean=table)
    assert np.abs(found.confusion[0] - symmetric(3, 0.2)).max() < 0.08
    assert np.array_equal(found.table, table)


def simulated(rates, seed=0, rows=1500):
    """Kinds labelled on no row, shapes and signs by two data sources that err at their rates."""
    rng = np.random.default_rng(seed)
    kind, source = rng.integers(12, size=rows), np.arange(rows) % 2
    wrong = np.array(rates)[source]
    shape, signs = kind % 4, np.stack([kind % 2, kind // 6], axis=1)
    other = (shape + rng.integers(1, 4, rows)) % 4
    found = np.where(rng.random(rows) < wrong, other, shape)
    hit = rng.random((rows, 2)) < wrong[:, None]
    codes = {"shape": found, "signs": np.where(hit, 1 - signs, signs)}
    p = np.exp(1.5 * rng.normal(3 * np.eye(12)[kind]))
    p /= p.sum(axis=1, keepdims=True)
    tables = (np.eye(4)[np.arange(12) % 4], np.stack([np.arange(12) % 2, np.arange(12) // 6], 1))
    relations = [Relation(KIND, t, table) for t, table in zip((SHAPE, SIGNS), tables, strict=True)]
    clean = {"shape": shape, "signs": signs}
    annotations = Annotations((KIND, SHAPE, SIGNS), codes)
    return annotations, {"kind": p.astype(np.float32)}, source, relations, clean


def blurred(relations, rate):
    """The tables as they would be estimated from the labels found."""
    return [
        Relation(r.source, r.target, r.table @ symmetric(4, rate))
        if isinstance(r.target, Multiclass)
        else Relation(r.source, r.target, (1 - rate) * r.table + rate * (1 - r.table))
        for r in relations
    ]


def test_each_source_gets_its_own_noise_and_wrong_labels_are_named():
    annotations, p, source, true, clean = simulated((0.05, 0.35))
    found = estimate_noise(annotations, p, blurred(true, 0.2), sources=source)
    assert [noise.task.name for noise in found.found] == ["shape", "signs"]
    for noise in found.found:
        for rate, expected in zip(noise.rate, (0.05, 0.35), strict=True):
            assert rate == pytest.approx(expected, abs=0.04)
        assert (noise.low < noise.rate).all()
        assert (noise.rate < noise.high).all()
    shape = found.found[0].confusion
    assert shape[1] == pytest.approx(symmetric(4, 0.35), abs=0.1)
    for relation, expected in zip(found.relations, true, strict=True):
        assert np.abs(relation.table - expected.table).mean() < 0.02
    first = found.mislabelled[:100]
    wrong = [(annotations.labels[m.task][m.row] != clean[m.task][m.row]).any() for m in first]
    assert np.mean(wrong) > 0.95
    probabilities = [each.probability for each in found.mislabelled]
    assert probabilities == sorted(probabilities, reverse=True)


def test_clean_labels_stay_as_they_are():
    annotations, p, source, true, _ = simulated((0.0, 0.0))
    found = estimate_noise(annotations, p, true, sources=source)
    assert found.found == ()
    assert found.mislabelled == ()
    assert all(a is b for a, b in zip(found.relations, true, strict=True))
    for noise in found.examined:
        eye = np.eye(noise.confusion.shape[-1])
        assert np.abs(noise.confusion - eye).max() < 0.03


def test_relate_estimates_the_noise_of_what_it_uses():
    annotations, p, source, _, _ = simulated((0.3, 0.3))
    rng = np.random.default_rng(7)
    kinds = np.where(np.arange(len(annotations)) < 150, p["kind"].argmax(axis=1), -1)
    labels = Annotations(annotations.tasks, {**annotations.labels, "kind": kinds})
    predictions = {
        **p, "shape": rng.dirichlet(np.ones(4), len(labels)), "signs": rng.random((len(labels), 2)),
    }  # fmt: skip
    related = relate(
        labels, predictions, [("kind", "shape"), ("kind", "signs")], sources=source, noise=True
    )
    assert [r.name for r in related.noise.relations] == [r.name for r in related.relations]
    assert related.noise.found[0].rate == pytest.approx(0.3, abs=0.06)
    written = json.loads(json.dumps(plain(related.summary())))["noise"]
    assert written["found"]["shape"] == ["shape"]
    assert written["mislabelled"] > 100


CHANGES = {
    "methods": [
        "multi_task",
        {"method": "full", "relations": {"from": "predictions"}, "noise": "estimate"},
    ],
    "relations": [{"source": "kind", "targets": ["form"]}],
    "training": {"steps": 60, "batch_size": 64},
}


def noisy_study(folder):
    path = write_study(folder, **CHANGES)
    b = tables()[1]
    rng = np.random.default_rng(0)
    b["round"] = np.where(rng.random(len(b)) < 0.25, 1 - b["round"], b["round"])
    b.to_csv(folder / "b.csv", index=False)
    return path


def test_a_study_estimates_noise_and_names_rows(tmp_path, cli):
    path = noisy_study(tmp_path)
    study = Study.from_file(path)
    found = study.run(jobs=1, progress=False)
    write_report(found, study.output, draw=draw_nothing)
    results = as_json(found)
    assert list(results["methods"]) == ["single_task", "multi_task", "full.predictions.noise"]
    assert not results["failures"]
    assert results["method_titles"]["full.predictions.noise"].endswith("label noise estimated")
    named = pd.read_csv(tmp_path / "runs" / "parts" / "mislabelled.csv")
    assert list(named.columns) == [
        "source", "row", "task", "label", "found", "likely", "probability", "seeds",
    ]  # fmt: skip
    assert set(named["source"]) <= {"b"}
    written = results["relatedness"]["predictions"]["noise"]
    assert [each["task"] for each in written["examined"]] == ["form"]
    page = (tmp_path / "runs" / "parts" / "report.html").read_text()
    assert "Wrong labels, estimated" in page
    answer = cli("relate", path, "--from", "predictions", "--no-tables")
    assert answer.code == 0
    assert "Wrong labels, estimated" in answer.out


def test_noise_without_estimated_relations_is_one_line():
    methods = [{"method": "full", "noise": "estimate"}]
    with pytest.raises(LabelweaveError) as error:
        parse_study(content(methods=methods))
    assert "method 'full': noise is estimated with its relations, expected " \
        "'relations: {from: ...}' as well" in str(error.value)  # fmt: skip
    given = [{"method": "full", "relations": {"from": "given"}, "noise": "estimate"}]
    with pytest.raises(LabelweaveError, match="estimated with relations that are checked"):
        parse_study(content(methods=given))
    with pytest.raises(LabelweaveError, match=r"found '\.noises', expected '\.noise' or nothing"):
        parse_study(content(methods=["full.predictions.noises"]))


def shapes_study(folder, methods):
    """Twelve kinds on some rows, the shape that follows from it on others, 30 % of them wrong."""
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(12), 100)
    X = rng.normal(size=(len(kind), 6)) + 3 * rng.normal(size=(12, 6))[kind]
    shape = np.array(SHAPE.classes)[kind % 4]
    wrong = rng.random(len(kind)) < 0.3
    seen = np.where(
        wrong, np.array(SHAPE.classes)[(kind + rng.integers(1, 4, len(kind))) % 4], shape
    )
    frame = pd.DataFrame(X, columns=list("uvwxyz"))
    first = np.arange(len(kind)) % 4 == 0
    frame[first].assign(kind=[f"k{k}" for k in kind[first]]).to_csv(folder / "a.csv", index=False)
    frame[~first].assign(shape=seen[~first]).to_csv(folder / "b.csv", index=False)
    study = content(
        methods=methods, learners=["logistic"], tasks=[{"name": "kind"}, {"name": "shape"}],
        relations=[{"source": "kind", "targets": ["shape"]}], relatedness=None,
        training={"steps": 200, "batch_size": 64}, split={"test": 0.1},
    )  # fmt: skip
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


@pytest.mark.slow
def test_coupled_and_its_student_leave_out_labels_that_are_likely_wrong(tmp_path):
    study = Study.from_file(shapes_study(tmp_path, ["coupled", "student.predictions.noise"]))
    assert study.methods == [
        "single_task", "multi_task", "coupled", "coupled.predictions.noise",
        "student.predictions.noise",
    ]  # fmt: skip
    results = study.compare(jobs=1, progress=False)
    assert not results.failures
    splits = study._trained.splits
    (related,) = study._trained.related["predictions"]
    for name in ("coupled.predictions.noise", "student.predictions.noise"):
        found, given = (splits[m][0].train.annotations.labels for m in (name, "coupled"))
        lost = {task: int((given[task] != found[task]).sum()) for task in given}
        assert lost["shape"] == len(related.noise.mislabelled) > 100
        assert lost["kind"] == 0
        assert results.score(name, results.tasks[0]).mean is not None
    # the final model leaves them out as well, whichever of the two it is
    split = study.first_split()
    for name in ("coupled.predictions.noise", "student.predictions.noise"):
        made = fit_all(study, study.config.method(name), split, progress=False)
        kept, given = made.split.train.annotations.labels, split.train.annotations.labels
        assert (kept["shape"] != given["shape"]).sum() > 100
        assert made.split.relations == split.relations


def test_coupled_has_no_origin_without_noise():
    with pytest.raises(LabelweaveError) as error:
        parse_study(content(methods=["coupled.predictions"]))
    assert "'coupled' weighs its relations itself, expected 'coupled' or " \
        "'coupled.predictions.noise'" in str(error.value)  # fmt: skip
