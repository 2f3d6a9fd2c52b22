"""Answers that fit together: what they are by hand, and on the command line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import CommandLine
from trust_example import HOT, KIND, OF_HOT, OF_SHAPE, RELATIONS, SHAPE, classifier, rows

from labelweave import LabelweaveError, Multiclass, Multilabel, NoisyOr, Relation
from labelweave.coupling._posterior import make_link
from labelweave.trust import coherent, contradictions, model_relations, predict_coherent
from labelweave.trust._forest import links_of

RATES = {"kind": np.full(6, 1 / 6), "shape": np.full(3, 1 / 3), "hot": np.array([0.5])}


def test_the_joint_answer_gives_up_the_less_sure_task():
    p = {
        "kind": np.array([[0.5, 0.45, 0.0, 0.0, 0.05, 0.0]]),  # k0 is round, k1 long
        "shape": np.array([[0.02, 0.96, 0.02]]),
        "hot": np.array([[0.9]]),
    }
    links = links_of(RELATIONS, RATES)
    apart, together = (coherent(p, used, [KIND, SHAPE, HOT]) for used in ([], links))
    assert [int(apart[n][0]) for n in ("kind", "shape")] == [0, 1]
    assert [int(together[n][0]) for n in ("kind", "shape")] == [1, 1]
    assert together["hot"].tolist() == [[1]]


def test_joint_answers_never_contradict_exact_tables():
    rng = np.random.default_rng(0)
    p = {"kind": rng.dirichlet(np.ones(6), 200), "shape": rng.dirichlet(np.ones(3), 200),
         "hot": rng.random((200, 1))}  # fmt: skip
    found = coherent(p, links_of(RELATIONS, RATES), [KIND, SHAPE, HOT])
    np.testing.assert_array_equal(OF_SHAPE[found["kind"]].argmax(axis=1), found["shape"])
    np.testing.assert_array_equal(OF_HOT[found["kind"]], found["hot"])


def test_contradictions_by_hand():
    p = {"kind": np.eye(6)[[0, 1]], "shape": np.eye(3)[[0, 0]], "hot": np.array([[1.0], [0.0]])}
    found = contradictions(p, links_of(RELATIONS, RATES))
    # smoothing leaves 2 % of the base rate in a table
    assert found["kind->shape"].tolist() == pytest.approx([0.02 * 2 / 3, 1 - 0.02 / 3])
    assert found["kind->hot"].tolist() == pytest.approx([0.01, 0.99])


def test_causes_of_a_noisy_or_imply_by_all_their_combinations():
    signs, form = Multilabel("signs", ("x", "y")), Multilabel("form", ("u",))
    link = make_link(
        NoisyOr(signs, form, np.array([[0.8], [0.5]]), np.array([0.1])),
        {"signs": np.full(2, 0.5), "form": np.array([0.5])},
    )
    implied = 0.98 * (1 - 0.9 * 0.2 * (1 - 0.3 * 0.5)) + 0.01
    found = contradictions({"signs": np.array([[1.0, 0.3]]), "form": np.array([[0.25]])}, [link])
    assert found["signs->form"][0] == pytest.approx(implied - 0.25)


def test_tables_and_noisy_ors_imply_without_smoothing_and_nothing_where_they_are_unknown():
    a, b = Multiclass("a", ("u", "v")), Multilabel("b", ("x", "y"))
    known = np.array([[True, True], [True, False]])
    table = Relation(a, b, np.array([[0.0, 1.0], [0.5, 0.0]]), known)
    p = {
        "a": np.array([[1.0, 0], [0.2, 0.8], [0, 1.0]]),
        "b": np.array([[0.25, 1], [0.4, 0.1], [0.1, 0.9]]),
    }
    assert contradictions(p, [table])["a->b"].tolist() == pytest.approx([0.25, 0.0, 0.4])
    same = Relation(a, Multiclass("c", ("r", "s")), np.eye(2))
    p = {"a": np.array([[1.0, 0], [0.5, 0.5]]), "c": np.array([[0.0, 1], [0.5, 0.5]])}
    assert contradictions(p, [same])["a->c"].tolist() == pytest.approx([1, 0])
    causes = NoisyOr(
        Multilabel("s", ("m", "n")), b, np.array([[0.8, 0.5], [0.5, 0.0]]), np.array([0.1, 0.0]),
        np.array([[True, True], [True, False]]),
    )  # fmt: skip
    p = {"s": np.array([[1.0, 0.3], [0.0, 0.9]]), "b": np.array([[0.25, 0.5], [0.1, 0.7]])}
    implied = 1 - 0.9 * (1 - 0.8 * p["s"][:, 0]) * (1 - 0.5 * p["s"][:, 1])
    # n is likely on in the second row, and what it does to y is unknown
    expected = [max(abs(implied[0] - 0.25), 0.0), abs(implied[1] - 0.1)]
    assert contradictions(p, [causes])["s->b"].tolist() == pytest.approx(expected)


def test_a_fitted_classifier_answers_coherently_and_one_without_relations_refuses():
    X, labels = rows(300, 5)
    found = predict_coherent(classifier(), X)
    assert (found["kind"] == labels["kind"]).mean() > 0.6
    shape = np.array(SHAPE.names)[OF_SHAPE[KIND.encode(found["kind"])].argmax(axis=1)]
    apart = classifier().predict(X)
    fits = (found["shape"] == shape).mean()
    assert fits > 0.97
    assert fits >= (apart["shape"] == np.array(SHAPE.names)[
        OF_SHAPE[KIND.encode(apart["kind"])].argmax(axis=1)]).mean()  # fmt: skip
    assert not model_relations(classifier("best_single_task").model_)
    with pytest.raises(LabelweaveError, match=r"^the model keeps no relations, expected one of"):
        predict_coherent(classifier("best_single_task").model_, X)
    with pytest.raises(LabelweaveError, match=r"^relation kind->shape: found no probabilities of"):
        contradictions({"kind": np.ones((1, 6)) / 6}, model_relations(classifier()))


def test_predict_coherent_on_the_command_line(tmp_path: Path, cli: CommandLine):
    X, _ = rows(40, 6)
    X.to_csv(tmp_path / "rows.csv", index=False)
    classifier().save(tmp_path / "model")
    cli("predict", tmp_path / "model", tmp_path / "rows.csv", "--coherent", "--out",
        tmp_path / "out.csv")  # fmt: skip
    given = pd.read_csv(tmp_path / "out.csv")
    assert given["kind predicted"].tolist() == predict_coherent(classifier(), X)["kind"].tolist()
