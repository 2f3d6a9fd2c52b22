import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning_fabric import Fabric
from scipy.optimize import minimize
from torchjd import aggregation, scalarization
from training_setup import Setup, accuracy, assert_same, raise_once

from labelweave.balancing import WEIGHTINGS, weighting
from labelweave.balancing._gradient_methods import factor, segments_of, task_gramian
from labelweave.errors import LabelweaveError
from labelweave.estimator import MultiTaskClassifier
from labelweave.losses import Objective
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.tasks import Binary, Multiclass
from labelweave.training import TrainingConfig
from labelweave.training._task_balancing import FeatureBalance, ParameterBalance, balance_of

BY_GRADIENT = [name for name, each in WEIGHTINGS.items() if each.kind == "gradient"]
BY_LOSS = [name for name, each in WEIGHTINGS.items() if each.kind == "loss"]
STATEFUL = ["uncertainty", "dwa", "famo"]


def made(choice, tasks=3):
    found, options = weighting(choice)
    return found.make([f"t{i}" for i in range(tasks)], options)


def random_gradients(seed, k=4, n=9, shared=0.0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((k, n)) + shared * rng.standard_normal(n)


def scaled(gradients):
    """The Gramian with a mean diagonal of 1, and the gradients to that scale."""
    G = gradients @ gradients.T
    size = G.diagonal().mean()
    return G / size, gradients / np.sqrt(size)


# gradient methods ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_equal_gradients_without_conflict_count_once_each(name):
    weights = made(name)(np.eye(4), 0)
    expected = 1 + 0.4 * np.ones(4) if name == "cagrad" else np.ones(4)
    np.testing.assert_allclose(weights, expected, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in BY_GRADIENT if n != "pcgrad"])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_tasks_does_not_matter(name, seed):
    G, _ = scaled(random_gradients(seed))
    order = np.random.default_rng(seed).permutation(4)
    found, permuted = made(name)(G, 0), made(name)(G[np.ix_(order, order)], 0)
    np.testing.assert_allclose(permuted, found[order], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["upgrad", "mgda", "nash_mtl", "config"])
@given(seed=st.integers(0, 10_000), k=st.integers(2, 6))
@settings(max_examples=30, deadline=None)
def test_no_task_loses_by_the_direction(name, seed, k):
    G, gradients = scaled(random_gradients(seed, k))
    direction = made(name)(G, 0) @ gradients
    assert (gradients @ direction > -1e-4).all()


@given(seed=st.integers(0, 10_000), k=st.integers(2, 6))
@settings(max_examples=30, deadline=None)
def test_mgda_is_at_least_as_short_as_torchjd(seed, k):
    G, gradients = scaled(random_gradients(seed, k))
    own = made("mgda")(G, 0) / k
    theirs = aggregation.MGDAWeighting()(torch.from_numpy(G)).numpy()
    assert (own >= 0).all()
    assert own.sum() == pytest.approx(1)
    assert np.linalg.norm(own @ gradients) <= np.linalg.norm(theirs @ gradients) + 1e-8


@given(seed=st.integers(0, 10_000), c=st.floats(0.05, 0.95))
@settings(max_examples=15, deadline=None)
def test_cagrad_solves_its_problem(seed, c):
    G, _ = scaled(random_gradients(seed, shared=0.5))
    k = len(G)
    reach = c * np.sqrt(G.mean())

    def value(w):
        return w @ G.mean(axis=1) + reach * np.sqrt(max(w @ G @ w, 1e-12))

    best = minimize(
        value, np.full(k, 1 / k), bounds=[(0, 1)] * k, method="SLSQP", tol=1e-12,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
    )  # fmt: skip
    extra = made({"cagrad": {"c": c}})(G, 0) - 1
    assert (extra >= -1e-9).all()
    assert value(extra / extra.sum()) <= best.fun + 1e-4
    length = np.sqrt(extra @ G @ extra)  # of what is added to the sum: k c |mean|
    assert length == pytest.approx(k * reach, rel=1e-2)


@given(seed=st.integers(0, 10_000), k=st.integers(2, 6))
@settings(max_examples=30, deadline=None)
def test_nash_bargains(seed, k):
    G, _ = scaled(random_gradients(seed, k))
    w = made("nash_mtl")(G, 0)
    assert (w > 0).all()
    gains = w * (G @ w)
    np.testing.assert_allclose(gains, gains.mean(), rtol=1e-3)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_torchjd_gives_the_same(seed):
    G, gradients = scaled(random_gradients(seed, shared=0.3))
    J = torch.from_numpy(gradients)
    pair, pair_J = scaled(random_gradients(seed, k=2))
    cases = [
        ("config", G, J, aggregation.ConFIG()(J)),
        ("aligned_mtl", G, J, 4 * aggregation.AlignedMTL()(J)),
        # the order of two gradients does not matter
        ("pcgrad", pair, torch.from_numpy(pair_J), aggregation.PCGrad()(torch.from_numpy(pair_J))),
    ]
    for name, gramian, jacobian, expected in cases:
        direction = torch.from_numpy(made(name)(gramian, 0)) @ jacobian
        torch.testing.assert_close(direction, expected, rtol=1e-4, atol=1e-4)


def test_upgrad_by_torchjd_and_its_own_solver():
    pytest.importorskip("quadprog")
    for seed in range(10):
        G, gradients = scaled(random_gradients(seed))
        J = torch.from_numpy(gradients)
        direction = torch.from_numpy(made("upgrad")(G, 0)) @ J
        # theirs is regularised by 1e-4
        torch.testing.assert_close(direction, 4 * aggregation.UPGrad()(J), rtol=0.01, atol=0.01)


def test_pcgrad_draws_its_order_by_the_step():
    G, _ = scaled(random_gradients(1, k=5))
    draws = [made("pcgrad")(G, step).tolist() for step in range(5)]
    assert made("pcgrad")(G, 3).tolist() == draws[3]
    assert len({tuple(draw) for draw in draws}) > 1


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_gradients_that_are_equal_or_opposed_stop_nothing(name):
    for gradients in (np.ones((3, 2)), np.array([[1.0, 0], [-1, 0], [0, 1e-3]])):
        assert np.isfinite(made(name)(scaled(gradients)[0], 0)).all()


def test_a_gramian_with_rounding_has_a_factor():
    G = np.ones((3, 3))
    G[0, 1] = G[1, 0] = 1 + 1e-7
    root = factor(G)
    np.testing.assert_allclose(root.T @ root, G, atol=1e-6)


# gradients at a network ---------------------------------------------------------------------------

TASKS = (Multiclass("kind", ("a", "b", "c")), Binary("on"), Multiclass("size", ("s", "l")))
LABELS = {
    "kind": torch.tensor([0, 1, 2, -1, -1, 0]),
    "on": torch.tensor([[1], [-1], [0], [1], [0], [-1]], dtype=torch.int8),
    "size": torch.tensor([-1, 0, 1, -1, 1, 0]),
}
FIXED = np.array([0.5, 2.0, 3.0])


def network_and_inputs(dtype=torch.float64):
    torch.manual_seed(0)
    network = MultiTaskNetwork(backbone("mlp", 4, hidden=[5, 6], dropout=0.0), TASKS).to(dtype)
    return network, torch.randn(6, 4, dtype=dtype)


def jacobian(network, inputs, labels=LABELS):
    """The gradients of every task's supervised loss for the backbone, by PyTorch."""
    total = Objective(TASKS)(network(inputs), labels)
    del total
    rows = []
    for i in range(3):
        factors = torch.eye(3, dtype=inputs.dtype)[i]
        loss = Objective(TASKS)(network(inputs), labels, weigh=lambda *_, f=factors: f).total
        grads = torch.autograd.grad(loss, list(network.backbone.parameters()))
        rows.append(torch.cat([g.flatten() for g in grads]))
    return torch.stack(rows)


def backward(network, inputs, balance, labels=LABELS):
    network.zero_grad()
    logits = network(inputs)
    loss = Objective(TASKS)(logits, labels, weigh=lambda *given: balance.weigh(0, *given))
    balance.backward(loss.total, logits)
    balance.close()
    grads = [p.grad.flatten() for p in network.backbone.parameters()]
    return torch.cat(grads), network.heads.weight.grad.clone()


def test_the_gramian_at_the_features_is_that_of_each_task_s_gradient():
    network, inputs = network_and_inputs()
    features = network.backbone(inputs).detach().requires_grad_()
    scores = network.heads(features)
    parts = dict(zip(LABELS, torch.split(scores, network.widths, dim=1), strict=True))
    rows = []
    for i in range(3):
        factors = torch.eye(3, dtype=torch.float64)[i]
        loss = Objective(TASKS)(parts, LABELS, weigh=lambda *_, f=factors: f).total
        rows.append(torch.autograd.grad(loss, features, retain_graph=True)[0].flatten())
    (D,) = torch.autograd.grad(Objective(TASKS)(parts, LABELS).total, scores)
    found = task_gramian(D, network.heads.weight.detach(), segments_of(network.widths).double())
    expected = torch.stack(rows) @ torch.stack(rows).T
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", [FeatureBalance, ParameterBalance])
def test_the_backbone_gets_the_combination_and_the_heads_their_own(kind):
    network, inputs = network_and_inputs(torch.float32)
    rows = jacobian(network, inputs)
    loss = Objective(TASKS)(network(inputs), LABELS).total
    plain = torch.autograd.grad(loss, network.heads.weight)[0]
    seen = []

    def method(gramian, step):
        seen.append(gramian)
        return FIXED

    found, heads = backward(network, inputs, kind(Fabric(accelerator="cpu"), method, network))
    expected = torch.tensor(FIXED, dtype=torch.float32) @ rows
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(heads, plain)
    if kind is ParameterBalance:
        np.testing.assert_allclose(seen[0], scaled(rows.double().numpy())[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", [FeatureBalance, ParameterBalance])
def test_a_task_without_labels_does_not_enter_a_gradient_method(kind):
    network, inputs = network_and_inputs(torch.float32)
    labels = {**LABELS, "on": torch.full_like(LABELS["on"], -1)}
    sizes = []

    def method(gramian, step):
        sizes.append(gramian.shape)
        return np.array([2.0, 2.0])

    balance = kind(Fabric(accelerator="cpu"), method, network)
    found, _ = backward(network, inputs, balance, labels)
    assert sizes == [(2, 2)]
    assert balance.weights.tolist() == [2.0, 1.0, 2.0]
    torch.testing.assert_close(found, 2 * jacobian(network, inputs, labels).sum(dim=0))


def test_a_linear_backbone_shares_nothing():
    network = MultiTaskNetwork(backbone("linear", 4), TASKS)
    balance = balance_of("mgda", network, Fabric(accelerator="cpu"))
    logits = network(torch.randn(6, 4))
    loss = Objective(TASKS)(logits, LABELS, weigh=lambda *given: balance.weigh(0, *given))
    balance.backward(loss.total, logits)
    assert balance.weights is None
    assert network.heads.weight.grad is not None


# loss weightings ----------------------------------------------------------------------------------

ALL = torch.tensor([True, True, True])


@pytest.mark.parametrize("name", BY_LOSS)
def test_equal_losses_count_once_each_to_begin_with(name):
    weights = made(name)(torch.full((3,), 0.7), ALL)
    torch.testing.assert_close(weights, torch.ones(3))


@pytest.mark.parametrize("name", BY_LOSS)
def test_a_missing_task_is_not_taken_as_solved(name):
    """What stands in its place changes no weight of the others and nothing that is learnt."""
    present = torch.tensor([True, False, True])
    runs = []
    for missing in (0.0, 5.0):
        weigh = made({"dwa": {"window": 3}} if name == "dwa" else name)
        rng = np.random.default_rng(0)
        weights = []
        for step in range(12):
            values = torch.tensor(rng.uniform(0.2, 2, 3), dtype=torch.float32)
            seen = present if step % 3 else ALL
            values = torch.where(seen, values, missing)
            weights.append(weigh(values, seen)[seen])
            weigh.update(values, torch.where(seen, 0.9 * values**1.1, missing), seen)
        runs.append((torch.cat(weights), weigh.state_dict()))
    torch.testing.assert_close(runs[0][0], runs[1][0], rtol=0, atol=0)
    assert_same(runs[0][1], runs[1][1])


@pytest.mark.parametrize("name", STATEFUL)
def test_a_task_that_stays_away_keeps_what_was_learnt_for_it(name):
    weigh = made({"dwa": {"window": 2}} if name == "dwa" else name)
    for _ in range(4):
        weigh(torch.tensor([2.0, 1.5, 0.3]), ALL)
        weigh.update(torch.tensor([2.0, 1.5, 0.3]), torch.tensor([1.0, 1.4, 0.3]), ALL)
    of_task = {k: v[1].clone() for k, v in weigh.state_dict().items() if v.ndim}
    present = torch.tensor([True, False, True])
    for _ in range(4):
        weigh(torch.tensor([2.0, 0.0, 0.3]), present)
        weigh.update(torch.tensor([2.0, 0.0, 0.3]), torch.tensor([1.0, 0.0, 0.2]), present)
    if name == "dwa":  # the last average stands for the windows without it
        assert weigh.older[1] == weigh.newer[1] == of_task["newer"]
    else:
        assert_same({k: v[1] for k, v in weigh.state_dict().items() if v.ndim}, of_task)


def test_learnt_weights_settle_at_one_over_the_loss():
    values = torch.tensor([0.5, 1.0, 2.0])
    weigh = made({"uncertainty": {"rate": 0.05}})
    for _ in range(200):
        weights = weigh(values, ALL)
    torch.testing.assert_close(weights, 1 / values, rtol=0.02, atol=0)


def test_torchjd_gives_the_same_weights():
    rng = np.random.default_rng(0)
    losses = torch.tensor(rng.uniform(0.2, 2, (12, 3)), dtype=torch.float32)
    dwa, famo = made({"dwa": {"window": 3}}), made("famo")
    their_dwa, their_famo = scalarization.DWA(), scalarization.FAMO(3)
    for step, values in enumerate(losses):
        for own, theirs in ((dwa, their_dwa), (famo, their_famo)):
            given = values.clone().requires_grad_()
            theirs(given).backward()
            scale = 3 / given.grad.sum()
            torch.testing.assert_close(own(values, ALL), scale * given.grad, rtol=1e-4, atol=1e-5)
        after = losses[(step + 1) % 12]
        famo.update(values, after, ALL)
        their_famo.update(after)
        if step % 3 == 2:
            their_dwa.step()


@given(values=st.lists(st.floats(0.01, 5), min_size=2, max_size=6))
def test_what_the_stateless_ones_are(values):
    v = torch.tensor(values)
    here = torch.ones(len(v), dtype=torch.bool)
    stch = made({"stch": {"mu": 0.5}}, len(v))(v, here)
    torch.testing.assert_close(stch, len(v) * torch.softmax(v / 0.5, 0), rtol=1e-3, atol=1e-4)
    mean = made("geometric_mean", len(v))(v, here)
    torch.testing.assert_close(mean, len(v) / v / (1 / v).sum(), rtol=1e-3, atol=1e-4)


def test_constant_factors():
    weights = made({"constant": {"weights": {"t1": 2.5}}})(torch.ones(3), ALL)
    assert weights.tolist() == [1.0, 2.5, 1.0]


# in a training ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "choice",
    [
        "uncertainty",
        {"dwa": {"window": 20}},
        "famo",
        "pcgrad",
        {"cagrad": {"gradients": "parameters"}},
    ],
    ids=str,
)
@pytest.mark.usefixtures("interrupts")
def test_a_resumed_run_ends_as_an_unbroken_one(tmp_path, choice):
    def interrupt():
        raise KeyboardInterrupt

    unbroken = Setup(evaluations=10, weighting=choice)
    records = unbroken.fit(60, validate=accuracy).records
    with pytest.raises(KeyboardInterrupt):
        Setup(tmp_path, evaluations=10, weighting=choice).fit(60, validate=raise_once(4, interrupt))
    again = Setup(tmp_path, evaluations=10, weighting=choice)
    assert again.fit(60, validate=accuracy).records == records
    assert_same(again.weights(), unbroken.weights())
    plain = Setup(evaluations=10)
    plain.fit(60, validate=accuracy)
    assert any(
        (a != b).any()
        for a, b in zip(plain.weights().values(), again.weights().values(), strict=True)
    )


def test_a_network_of_one_task_has_no_weighting():
    network = MultiTaskNetwork(backbone("mlp", 4), TASKS[:1])
    assert balance_of("mgda", network, Fabric(accelerator="cpu")) is None


@pytest.mark.parametrize(
    ("choice", "error"),
    [
        ("upgrat", "no such weighting 'upgrat', expected"),
        ("upgrat", "; did you mean 'upgrad'?"),
        ({"cagrad": {"d": 1}}, "weighting 'cagrad': no such option 'd', expected"),
        (
            {"cagrad": {"c": -1}},
            "weighting 'cagrad': option 'c' should be greater than or equal to 0, found -1",
        ),
        (
            {"cagrad": 0.4},
            "weighting 'cagrad': found 0.4, expected options by name: 'gradients', 'c'",
        ),
        ({}, "weighting: found 0 names (), expected one with its options"),
        ({"sum": {}, "mgda": {}}, "weighting: found 2 names ('sum', 'mgda'), expected one"),
        ({"constant": {"weights": {"t1": -1}}}, "should be 0 to 1e+45 for 't1'"),
    ],
)
def test_bad_choices(choice, error):
    with pytest.raises(LabelweaveError) as caught:
        weighting(choice)
    assert error in str(caught.value)
    with pytest.raises(ValueError, match="weighting"):
        TrainingConfig(weighting=choice)


def test_a_constant_for_a_task_that_is_not_there():
    with pytest.raises(LabelweaveError) as caught:
        made({"constant": {"weights": {"t11": 2}}})
    assert str(caught.value) == (
        "weighting 'constant': no task 't11', expected 't0', 't1', 't2'; did you mean 't1'?"
    )


def test_parameters_and_mixed_precision():
    with pytest.raises(
        ValueError, match="gradients of parameters are not taken in mixed precision"
    ):
        TrainingConfig(weighting={"upgrad": {"gradients": "parameters"}}, precision="bf16-mixed")


def test_the_classifier_takes_a_weighting_and_a_sampling():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), {"a": rng.integers(0, 2, 40), "b": rng.integers(0, 3, 40)}
    options = {"method": "multi_task", "steps": 3, "hidden": [4]}
    choice = {"weighting": {"cagrad": {"c": 0.2}}, "sampling": {"temperature": 0.3}}
    assert MultiTaskClassifier(**options, **choice).fit(X, y).predict(X)["a"].shape == (40,)
    with pytest.raises(LabelweaveError, match="parameter 'weighting': no such weighting 'upgrat'"):
        MultiTaskClassifier(**options, weighting="upgrat").fit(X, y)
