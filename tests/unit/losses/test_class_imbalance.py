import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from study_example import as_json, content, write_study
from torch.nn import functional as F

from labelweave.class_priors import labelled_prior, log_odds, score_prior
from labelweave.errors import LabelweaveError
from labelweave.experiments import Study, StudyConfig
from labelweave.losses import Objective, Reweighted, Supervised
from labelweave.losses._supervised import asymmetric, focal
from labelweave.losses._task_losses import freed
from labelweave.model import Model
from labelweave.relations import Noise
from labelweave.tasks import Binary, Multiclass, Multilabel

KIND = Multiclass("kind", ("a", "b", "c"))
MARKS = Multilabel("marks", ("p", "q"))
TASKS = (KIND, MARKS)


def batch(seed=0, n=12, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    logits = {t.name: torch.tensor(rng.normal(size=(n, t.width)), dtype=dtype) for t in TASKS}
    labels = {
        "kind": torch.tensor(rng.integers(-1, 3, n)),
        "marks": torch.tensor(rng.integers(-1, 2, (n, 2)), dtype=torch.int8),
    }
    return logits, labels


def terms(losses, logits, labels, shares=None):
    loss = Reweighted(TASKS, losses, shares or {})(logits, labels)
    return dict(zip(loss.names, loss.means(), strict=True))


def of_elements(scores, codes):
    """The labelled elements of a multilabel task: the scores, and whether they are on."""
    seen = codes >= 0
    return scores[seen], codes[seen] == 1


@given(st.integers(0, 1000), st.floats(0, 5))
def test_focal_is_its_formula(seed, gamma):
    logits, labels = batch(seed)
    found = terms({"kind": {"focal": gamma}, "marks": {"focal": {"gamma": gamma}}}, logits, labels)
    seen = labels["kind"] >= 0
    p = torch.softmax(logits["kind"][seen], 1)[torch.arange(int(seen.sum())), labels["kind"][seen]]
    expected = (-((1 - p) ** gamma) * p.log()).mean() if len(p) else torch.tensor(0.0)
    torch.testing.assert_close(found["supervised/kind"], expected.double(), rtol=1e-4, atol=1e-6)
    z, on = of_elements(logits["marks"], labels["marks"])
    p = torch.where(on, torch.sigmoid(z), torch.sigmoid(-z))
    expected = (-((1 - p) ** gamma) * p.log()).mean() if len(p) else torch.tensor(0.0)
    torch.testing.assert_close(found["supervised/marks"], expected.double(), rtol=1e-4, atol=1e-6)


@given(st.integers(0, 1000), st.floats(0, 3), st.floats(0, 5), st.floats(0, 0.5))
def test_asymmetric_is_its_formula(seed, positive, negative, margin):
    logits, labels = batch(seed)
    options = {"positive": positive, "negative": negative, "margin": margin}
    found = terms({"marks": {"asymmetric": options}}, logits, labels)["supervised/marks"]
    z, on = of_elements(logits["marks"], labels["marks"])
    p = torch.sigmoid(z)
    shifted = (p - margin).clamp(min=1e-8)
    losses = torch.where(
        on, -((1 - p) ** positive) * p.log(), -(shifted**negative) * torch.log(1 - shifted)
    )
    torch.testing.assert_close(found, losses.mean(), rtol=1e-4, atol=1e-6)


def test_positive_weights_make_both_sides_weigh_the_same():
    logits, labels = batch(n=200)
    shares = torch.tensor([0.02, 0.25])
    found = terms({"marks": {"positive_weights": 20}}, logits, labels, {"marks": shares})
    weight = torch.tensor([20.0, 3.0], dtype=torch.float64)
    seen = labels["marks"] >= 0
    every = F.binary_cross_entropy_with_logits(
        logits["marks"], labels["marks"].double().clamp(min=0), pos_weight=weight, reduction="none"
    )
    torch.testing.assert_close(found["supervised/marks"], every[seen].mean())


@pytest.mark.parametrize("loss", ["focal", "asymmetric", {"positive_weights": {"limit": 5}}])
def test_gradients_and_missing_labels(loss):
    logits, labels = batch(1)
    shares = {"marks": torch.tensor([0.1, 0.4])}
    made = Reweighted(TASKS, {"marks": loss}, shares)

    def value(scores):
        return made({**logits, "marks": scores}, labels).means().sum()

    scores = logits["marks"].clone().requires_grad_()
    assert torch.autograd.gradcheck(value, (scores,), atol=1e-4)
    (gradient,) = torch.autograd.grad(value(scores), scores)
    assert (gradient[labels["marks"] < 0] == 0).all()
    assert (gradient[labels["marks"] >= 0] != 0).any()


@pytest.mark.parametrize("extreme", [-60.0, 60.0])
@pytest.mark.parametrize("loss", ["focal", "asymmetric", {"focal": 0.5}])
def test_certain_scores_have_finite_gradients(loss, extreme):
    logits, labels = batch(2, dtype=torch.float32)
    scores = torch.full_like(logits["marks"], extreme).requires_grad_()
    total = Reweighted(TASKS, {"marks": loss}, {})({**logits, "marks": scores}, labels).means()
    (gradient,) = torch.autograd.grad(total.sum(), scores)
    assert torch.isfinite(gradient).all()


def test_without_options_that_matter_all_are_the_cross_entropy():
    logits, labels = batch(3)
    expected = Supervised(TASKS)(logits, labels).means()
    for loss in (
        {"focal": 0}, {"asymmetric": {"negative": 0, "margin": 0}}, {"positive_weights": 1},
    ):  # fmt: skip
        shares = {"marks": [0.1, 0.2]}
        found = Reweighted(TASKS, {"marks": loss}, shares)(logits, labels).means()
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert focal(torch.zeros(1, 2), 2.0).tolist() == [[0.0, 0.0]]
    assert asymmetric(torch.log(torch.tensor([[0.97, 0.03, 0.5, 0.5]])), _asymmetric()).min() >= 0


def _asymmetric():
    from labelweave.losses._task_losses import AsymmetricOptions

    return AsymmetricOptions()


# losses that free the scores from the class shares ------------------------------------------------


def test_balanced_softmax_is_the_cross_entropy_of_shifted_scores():
    """Ren et al.: -log n_y e^z_y / sum n_j e^z_j."""
    logits, labels = batch(4, n=30)
    training = np.array([0.7, 0.2, 0.1])
    spoken = score_prior(KIND, training, freed("balanced_softmax", KIND))
    np.testing.assert_allclose(spoken, 1 / 3)
    shift = {
        "kind": (log_odds(KIND, training) - log_odds(KIND, spoken))[None],
        "marks": np.zeros((1, 2)),
    }
    source = torch.zeros(30, dtype=torch.int64)
    found = Objective(TASKS, shift=shift)(logits, labels, source=source)
    weighted = logits["kind"] + torch.tensor(training).log()
    expected = F.cross_entropy(weighted, labels["kind"], ignore_index=-1)
    torch.testing.assert_close(found.raw[0], expected, rtol=1e-5, atol=1e-6)


@given(st.floats(0, 1))
def test_what_tau_leaves_and_what_training_adds_make_the_training_prior(tau):
    for task, training in ((KIND, np.array([0.7, 0.2, 0.1])), (MARKS, np.array([0.05, 0.6]))):
        spoken = score_prior(task, training, tau)
        rest = log_odds(task, training) - log_odds(task, spoken)
        expected = tau * log_odds(task, training)
        if task is KIND:  # up to a constant
            rest, expected = rest - rest.mean(), expected - expected.mean()
        np.testing.assert_allclose(rest, expected, atol=1e-9)


def rare_study(folder, loss, **changes):
    """Write a study in which a rare kind is hard to see, with a loss for it."""
    tasks = content()["tasks"]
    tasks[0] = {"name": "kind", "loss": loss}
    return Study.from_file(write_study(folder, tasks=tasks, **changes))


def test_a_study_trains_with_separate_losses(tmp_path):
    plain = rare_study(tmp_path / "plain", "cross_entropy", methods=["multi_task"])
    found = {"plain": as_json(plain.compare(jobs=1, progress=False))}
    for loss in ("balanced_softmax", "focal"):
        study = rare_study(tmp_path / loss, loss, methods=["multi_task", "full"])
        found[loss] = as_json(study.compare(jobs=1, progress=False))
        assert not found[loss]["failures"]
    for loss in ("balanced_softmax", "focal"):
        for method in ("single_task", "multi_task"):
            values = [
                found[f]["methods"][method]["kind"]["log_loss"]["mean"] for f in ("plain", loss)
            ]
            assert not np.isclose(*values)
    (run,) = [run for run in found["balanced_softmax"]["runs"] if run["method"] == "multi_task"]
    folder = tmp_path / "balanced_softmax" / "runs" / "parts" / "runs" / run["folder"] / "model"
    model = Model.load(folder)
    np.testing.assert_allclose(model.priors["training"]["kind"], 1 / 3)
    assert list(model.priors["drawn"]) == ["kind"]
    split = plain.first_split()
    drawn = labelled_prior(split.train.annotations, "kind")
    np.testing.assert_allclose(model.priors["drawn"]["kind"], drawn, atol=1e-9)
    # what relations are estimated from is under the prior of the labels
    p, q = model.probabilities(split.train.inputs), model.drawn_probabilities(split.train.inputs)
    odds = np.log(q["kind"] / p["kind"])
    expected = np.log(drawn) - np.log(1 / 3)
    np.testing.assert_allclose(
        odds - odds[:, :1], np.tile(expected - expected[0], (len(odds), 1)), atol=0.01
    )
    assert (p["form"] == q["form"]).all()
    json.dumps(found["focal"])


@pytest.mark.parametrize(
    ("task", "error"),
    [
        (
            {"name": "kind", "loss": "focel"},
            "no such loss 'focel', expected 'cross_entropy', 'balanced_softmax', "
            "'logit_adjusted', 'focal', 'asymmetric', 'positive_weights'; did you mean 'focal'?",
        ),
        (
            {"name": "kind", "loss": {"focal": {"gama": 2}}},
            "loss 'focal': no such option 'gama', expected 'gamma'; did you mean 'gamma'?",
        ),
        (
            {"name": "kind", "loss": "asymmetric"},
            "task 'kind': the loss 'asymmetric' is for multilabel or binary tasks, found a "
            "multiclass one",
        ),
        (
            {"name": "on", "kind": "binary", "loss": "balanced_softmax"},
            "task 'on': the loss 'balanced_softmax' is for multiclass tasks, found a multilabel "
            "or binary one",
        ),
    ],
)
def test_losses_that_make_no_sense(task, error):
    with pytest.raises(ValueError, match="loss") as caught:
        StudyConfig.model_validate(content(tasks=[task]))
    assert error in str(caught.value)


def test_losses_and_label_noise():
    confusion = np.array([[[[0.9, 0.1], [0.1, 0.9]]]])
    noise = Noise(Binary("on"), confusion)
    with pytest.raises(LabelweaveError) as caught:
        Objective((Binary("on"),), noise=[noise], losses={"on": "focal"})
    assert str(caught.value) == (
        "task 'on': the loss 'focal' does not go with label noise that is estimated, expected "
        "'cross_entropy'"
    )
    tasks = content()["tasks"]
    tasks[0] = {"name": "kind", "loss": "focal"}
    method = {"method": "full", "relations": {"from": "all"}, "noise": "estimate"}
    with pytest.raises(ValueError, match="does not go with the loss of task 'kind'"):
        StudyConfig.model_validate(content(tasks=tasks, methods=[method]))
