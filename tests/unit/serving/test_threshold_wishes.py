import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

import labelweave
from labelweave.errors import LabelweaveError
from labelweave.serving._thresholds import ThresholdRule

CASES = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def case(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.permutation(np.arange(40) % 3 == 0).astype(int)
    return (rng.normal(labels, 1).round(1) / 8 + 0.5).clip(0, 1), labels


def every_cut(p: np.ndarray) -> list[float]:
    return [*np.unique(p), 1.1]


@settings(max_examples=20)  # each looks at every cut
@given(CASES)
def test_f1_and_cost_are_the_best_of_all_cuts(rng: np.random.Generator) -> None:
    p, labels = case(rng)
    cut = ThresholdRule("f1").choose(p, labels, "x")
    best = max(f1_score(labels, p >= c, zero_division=0) for c in every_cut(p))
    assert f1_score(labels, p >= cut) == pytest.approx(best)

    def cost(c: float) -> float:
        on = p >= c
        return 5 * float((labels[~on] == 1).sum()) + float((labels[on] == 0).sum())

    assert cost(ThresholdRule("cost", 5).choose(p, labels, "x")) <= min(
        map(cost, every_cut(p)[:-1])
    )


@settings(max_examples=20)  # each looks at every cut
@given(CASES, st.sampled_from([0.4, 0.6, 0.9, 1.0]))
def test_recall_is_reached_with_the_highest_cut_and_precision_with_the_most_hits(
    rng: np.random.Generator, value: float
) -> None:
    p, labels = case(rng)
    cut = ThresholdRule("recall", value).choose(p, labels, "x")
    assert recall_score(labels, p >= cut) >= value
    higher = [c for c in every_cut(p) if c > cut and (p >= c).sum() < (p >= cut).sum()]
    assert all(recall_score(labels, p >= c) < value for c in higher)
    rule = ThresholdRule("precision", value)
    reached = {
        c: recall_score(labels, p >= c)
        for c in every_cut(p)[:-1]
        if precision_score(labels, p >= c, zero_division=0) >= value - 1e-12
    }
    if not reached:
        with pytest.raises(LabelweaveError, match="no threshold has a precision of"):
            rule.choose(p, labels, "x")
        return
    cut = rule.choose(p, labels, "x")
    assert precision_score(labels, p >= cut) >= value - 1e-12
    assert recall_score(labels, p >= cut) == pytest.approx(max(reached.values()))


@pytest.mark.parametrize("text", ["f2", "f1:1", "precision", "recall:0", "recall:1.1", "cost:-1"])
def test_another_wish_is_refused(text: str) -> None:
    with pytest.raises(LabelweaveError, match=rf"^threshold of 'a': found '{text}', expected f1, "):
        ThresholdRule.parse(text, "a")
    with pytest.raises(LabelweaveError, match="found 3 labels of one value, expected both"):
        ThresholdRule("f1").choose(np.array([0.1, 0.2, 0.3]), np.zeros(3), "a")


def test_finish_keeps_thresholds_that_are_asked_for(
    finished_study: Path, tmp_path: Path, cli: CommandLine
) -> None:
    study = shutil.copytree(finished_study.parent, tmp_path / "study") / finished_study.name
    arguments = ["finish", study, "--method", "full", "--new-version"]
    found = {}
    for wish in ("recall:1", "precision:0.8"):
        assert cli(*arguments, "--threshold", f"form={wish}").code == 0
        final = labelweave.load(study.parent / "runs/parts/model")
        assert final.facts.rules == {"form": wish}
        found[wish] = final.model.thresholds["form"]
    assert found["recall:1"][1] < found["precision:0.8"][1], "of 'hole'"
    assert cli.refused(*arguments, "--threshold", "kind=f1") == (
        "threshold: found 'kind', expected a task of labels, 'form'"
    )
    assert cli.refused(*arguments, "--threshold", "form") == (
        "--threshold: found 'form', expected TASK=WISH, as in a=f1"
    )
