"""The networks as learners of a stack."""

from typing import Any

import numpy as np
import pytest
from test_stack import scattered

from labelweave import MultiTaskClassifier
from labelweave.errors import LabelweaveError
from labelweave.fitting import FitConfig
from labelweave.fitting._network_learners import NetworkLearner, network_learners
from labelweave.learners import JointLearner

X, Y, TRAIN, TABLE = scattered()
QUICK = {"hidden": [16], "batch_size": 64, "relations": {"kind": TABLE}}


def classifier(*learners: Any, **options: Any) -> MultiTaskClassifier:
    return MultiTaskClassifier(learners=list(learners) or None, **QUICK | options)


def left_out(model: MultiTaskClassifier) -> dict[str, str]:
    return {
        h["learner"]: h["left_out"] for h in model.history_ if "task" not in h and "learner" in h
    }


def test_both_networks_are_learners_and_candidates(tmp_path) -> None:
    model = classifier("logistic", {"network": {"steps": 15}}, {"shared_network": {"steps": 15}})
    model.fit(X, TRAIN)
    assert set(model.weights_["kind"]) == {"logistic", "network", "shared_network"}
    assert {"network", "shared_network"} <= set(model.guard_["kind"])
    p = model.predict_proba(X)
    model.save(tmp_path)
    again = MultiTaskClassifier.load(tmp_path).predict_proba(X)
    assert all(np.array_equal(p[name], again[name]) for name in p)
    assert model.score(X, Y) > 0.5


def test_a_network_may_be_the_only_learner() -> None:
    model = classifier({"shared_network": {"steps": 120, "learning_rate": 0.02}}).fit(X, TRAIN)
    assert model.weights_["tall"] == {"shared_network": pytest.approx(1)}
    assert model.score(X, Y) > 0.6


def test_each_task_alone_has_no_shared_network() -> None:
    options = {"method": "best_single_task"}
    model = classifier("logistic", {"network": {"steps": 30}}, "shared_network", **options)
    model.fit(X, TRAIN)
    assert set(model.weights_["kind"]) == {"logistic", "network"}


def test_networks_that_do_not_pay_their_time_are_left_out(monkeypatch) -> None:
    few = "a task has 8 labels, takes part by default from 1000 on"
    model = classifier(budget=0.05).fit(X, TRAIN)
    assert left_out(model) == {"network": few, "shared_network": few}
    monkeypatch.setattr("labelweave.fitting._network_learners.LEAST_LABELS", 100)
    model = classifier(budget=0.05, relations=()).fit(X, Y[["tall", "leaf"]])
    assert set(left_out(model)) == {"network", "shared_network"}
    assert all("over 15% of the budget" in reason for reason in left_out(model).values())
    weighted = classifier("logistic", "network").fit(X, TRAIN, sample_weight=np.ones(len(X)))
    assert left_out(weighted) == {"network": "takes no weights of rows"}


def test_the_time_is_a_fixed_model() -> None:
    learner = NetworkLearner("shared_network")
    assert isinstance(learner, JointLearner)
    model = classifier("logistic").fit(X, TRAIN)
    labels = model_labels(model)
    one = learner.seconds(labels, 6)
    assert NetworkLearner("network").seconds(labels, 6) > one > 0
    assert NetworkLearner("network", wanted=True).seconds(labels, 6) == 0


def model_labels(model: MultiTaskClassifier) -> Any:
    from labelweave.annotations import Annotations

    return Annotations.from_columns(model.tasks_, TRAIN)


def test_steps_are_bounded_where_the_user_does_not_say() -> None:
    def steps(config: FitConfig, options: dict[str, Any] | None) -> int:
        chosen = None if options is None else {"network": options}
        training = network_learners(None, config, chosen)[0].config.training  # type: ignore[arg-type]
        return training.total_steps(1000)

    few = FitConfig(training={"steps": 50})
    assert steps(FitConfig(), None) == steps(FitConfig(), {}) == 400
    assert steps(few, None) == 50
    assert steps(few, {"steps": 900}) == 900
    assert steps(FitConfig(training={"epochs": 2}), None) == 16
    assert steps(FitConfig(training={"epochs": 2}), {"steps": 7}) == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 5}, "learner 'network': no option 'step', expected 'steps'"),
        ({"steps": 0}, "learner 'network': option 'steps': should be greater than or equal to 1"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LabelweaveError) as error:
        classifier({"network": options}).fit(X, TRAIN)
    assert str(error.value).startswith(message)
