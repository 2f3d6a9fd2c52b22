"""A coupled stack as a graph: its messages, its learners, and the whole of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch
from command_line import CommandLine
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from study_example import tables

from labelweave.coupling import Candidate
from labelweave.coupling._posterior import Link, joint_posterior, make_link
from labelweave.errors import LabelweaveError
from labelweave.fitting._network_learners import NetworkModel
from labelweave.fitting._stack import StackModel, load_model
from labelweave.learners import Learner, Member, TaskStack, fit_task, resolve_learners
from labelweave.learners._registry import LEARNERS
from labelweave.model import Model
from labelweave.relations import NoisyOr, Relation
from labelweave.serving._graph import PredictionGraph
from labelweave.serving._learner_graph import learner_graph
from labelweave.serving._message_graph import MessageGraph
from labelweave.serving._onnx_nodes import (
    IR,
    ML,
    ML_OPSET,
    OPSET,
    STANDARDISED,
    LearnerNodes,
    put_learners,
)
from labelweave.serving._onnx_nodes import LEARNERS as GIVEN
from labelweave.tasks import Binary, Multiclass, Multilabel, Task

TASKS: list[Task] = [
    Multiclass("a", ("a0", "a1", "a2")), Multiclass("b", ("b0", "b1")), Binary("f"),
    Multilabel("m", ("m0", "m1", "m2")), Multiclass("c", ("c0", "c1", "c2", "c3")),
    Multilabel("n", ("n0", "n1")), Multilabel("o", ("o0", "o1", "o2")),
]  # fmt: skip


def rows(count: int) -> pd.DataFrame:
    return tables(count, seed=9)[0].drop(columns="kind")[:count]


def rate_of(task: Task, rng: np.random.Generator) -> np.ndarray:
    if isinstance(task, Multiclass):
        return rng.dirichlet(np.full(task.width, 5.0))
    return rng.uniform(0.2, 0.8, task.width)


def link_of(source: Task, target: Task, rng: np.random.Generator) -> Link:
    """Return a random table or noisy-OR with unknown entries and a strength a direction."""
    shape = (source.width, target.width)
    known = rng.uniform(size=shape) > 0.2
    rates = {task.name: rate_of(task, rng) for task in (source, target)}
    relation: Relation | NoisyOr
    if isinstance(source, Multilabel):
        assert isinstance(target, Multilabel)
        relation = NoisyOr(
            source, target, rng.uniform(size=shape), rng.uniform(size=shape[1]), known
        )
    elif isinstance(target, Multiclass):
        known = np.repeat(known[:, :1], shape[1], axis=1)
        relation = Relation(source, target, rng.dirichlet(np.ones(shape[1]), shape[0]), known)
    else:
        relation = Relation(source, target, rng.uniform(size=shape), known)
    return make_link(relation, rates).with_strengths(*rng.uniform(size=2))


def forest(rng: np.random.Generator) -> list[Link]:
    """Return relations of a random forest; a multilabel task is no source of a multiclass one."""
    order = list(rng.permutation(len(TASKS)))
    links = []
    for i, place in enumerate(order[1:], start=1):
        new, old = TASKS[place], TASKS[order[rng.integers(i)]]
        if rng.uniform() < 0.2:
            continue  # the root of another tree
        source, target = (old, new) if rng.uniform() < 0.5 else (new, old)
        if isinstance(source, Multilabel) and isinstance(target, Multiclass):
            source, target = target, source
        links.append(link_of(source, target, rng))
    return links


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_the_messages_are_those_of_the_joint_posterior(seed: int) -> None:
    rng = np.random.default_rng(seed)
    links = forest(rng)
    p = {
        task.name: rng.dirichlet(np.ones(task.width), 3)
        if isinstance(task, Multiclass)
        else rng.uniform(size=(3, task.width))
        for task in TASKS
    }
    wanted = joint_posterior(p, links)
    found = MessageGraph(links)({name: torch.from_numpy(each) for name, each in p.items()})
    assert found.keys() == wanted.keys()
    for name, each in wanted.items():
        np.testing.assert_allclose(found[name].numpy(), each, rtol=0, atol=1e-9)


def outputs(nodes: LearnerNodes, X: np.ndarray) -> torch.Tensor | None:
    """Return what the nodes of learners give, in a graph of nothing else."""
    if not nodes.width:
        return None
    double, columns = TensorProto.DOUBLE, X.shape[1]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], [STANDARDISED]),
         helper.make_node("Identity", [GIVEN], ["found"])],
        "learners",
        [helper.make_tensor_value_info("x", double, ["n", columns]),
         helper.make_tensor_value_info(GIVEN, double, ["n", nodes.width])],
        [helper.make_tensor_value_info("found", double, ["n", nodes.width]),
         helper.make_tensor_value_info(STANDARDISED, double, ["n", columns])],
    )  # fmt: skip
    versions = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=IR)
    put_learners(model, nodes)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return torch.from_numpy(np.asarray(session.run(["found"], {"x": X})[0]))


OTHERS = {"naive_bayes": GaussianNB(), "neighbours": KNeighborsClassifier(3)}


@pytest.mark.parametrize("kind", ["classes", "two_classes", "labels", "one_label"])
@pytest.mark.parametrize("key", [*LEARNERS, *OTHERS])
def test_a_learner_predicts_the_same_as_a_graph(key: str, kind: str) -> None:
    (learner,) = resolve_learners([OTHERS.get(key, key)])
    if key in ("extra_trees", "random_forest"):
        learner = learner.with_options(trees=5)
    if key == "boosting":
        learner = learner.with_options(iterations=4)
    rng = np.random.default_rng(1)
    X, new = rng.normal(size=(60, 4)), rng.normal(size=(40, 4)) * 2
    task: Task
    if kind in ("classes", "two_classes"):
        # a class in between that no row has
        task = Multiclass("t", ("p", "q", "r", "s"))
        score = X[:, 0] + 0.3 * rng.normal(size=60)
        codes = np.digitize(score, [-0.5, 0.5] if kind == "classes" else [0])
        codes = np.array([0, 2, 3])[codes]
    else:
        task = Multilabel("t", ("p", "q", "r")) if kind == "labels" else Binary("t")
        codes = (X[:, : task.width] + 0.3 * rng.normal(size=(60, task.width)) > 0).astype(int)
        codes[:, 1:2] = 1  # always on: nothing is fitted to it
    model = fit_task(learner, task, X, codes, seed=0)
    nodes = LearnerNodes()
    predict = learner_graph(model, "t", nodes)
    found = predict(torch.from_numpy(new), outputs(nodes, new)).numpy()
    wanted = model.predict(new)
    assert found.shape == wanted.shape
    # skl2onnx rounds to float32 in between
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 if key in OTHERS else 1e-11)


def test_boosting_that_found_no_split_is_a_graph_too() -> None:
    rng = np.random.default_rng(0)
    X, new, task = rng.normal(size=(15, 3)), rng.normal(size=(9, 3)), Multilabel("t", ("p", "q"))
    model = fit_task(LEARNERS["boosting"], task, X, rng.integers(2, size=(15, 2)))
    nodes = LearnerNodes()
    predict = learner_graph(model, "t", nodes)
    found = predict(torch.from_numpy(new), outputs(nodes, new)).numpy()
    np.testing.assert_allclose(found, model.predict(new), rtol=0, atol=1e-9)


def test_a_learner_without_a_converter_is_named() -> None:
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(40, 3)), np.arange(40) % 3
    task, end = Multiclass("t", ("p", "q", "r")), "'labelweave finish' makes a network of the stack"

    class Own(GaussianNB):
        """A class that no converter knows."""

    for classifier, reason in [
        (Own(), rf"skl2onnx: MissingShapeCalculator for '{__name__}.*Own'"),
        (RidgeClassifier(), r"'sklearn.linear_model._ridge.RidgeClassifier' has no predict_proba"),
    ]:
        (learner,) = resolve_learners([classifier])
        model = fit_task(learner, task, X, codes)
        match = (
            rf"^export: task 't': learner '{type(classifier).__name__}': found no converter "
            rf"\({reason}\), expected a learner of the library or a classifier that skl2onnx "
            rf"converts; {end}$"
        )
        with pytest.raises(LabelweaveError, match=match):
            learner_graph(model, "t", LearnerNodes())


@pytest.fixture(scope="module")
def mixed(stack: Path, network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the stack with trees, a classifier of the user's and a network, as a folder."""
    model, networks = load_model(stack / "full"), load_model(network)
    assert isinstance(model, StackModel)
    assert isinstance(networks, Model)
    rng, (kind, form) = np.random.default_rng(0), model.tasks
    X = rng.normal(size=(60, len(model.stack.centre)))
    (bayes,) = resolve_learners([GaussianNB()])

    def members(task: Task, learner: Learner, weight: float) -> TaskStack:
        size = 60 if isinstance(task, Multiclass) else (60, task.width)
        fitted = fit_task(learner, task, X, rng.integers(2, size=size))
        others = Member("network", 1 - weight, 1.0, None)
        return TaskStack(task, (Member(learner.key, weight, 0.7, fitted), others))

    trees = LEARNERS["extra_trees"].with_options(trees=3)
    changed = replace(
        model.stack,
        alone={"kind": members(kind, trees, 0.6), "form": members(form, bayes, 0.5)},
        self_trained={"kind": members(kind, trees, 0.8)},
        joint={"network": NetworkModel(networks)},
        guards={
            "kind": [Candidate("alone", 0.1, 1.0, 0.0), Candidate("coupled", 0.3, 0.9, 0.0),
                     Candidate("network", 0.6, 1.2, 0.0)],
            "form": [Candidate("coupled", 0.2, 1.1, 0.0), Candidate("alone", 0.0, 1.0, 0.0),
                     Candidate("self_trained_coupled", 0.8, 0.9, 0.0)],
        },
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("mixed") / "model"
    replace(model, stack=changed).save(folder)
    return folder


def test_the_graph_gives_the_stacks_probabilities_and_labels(stack: Path, mixed: Path) -> None:
    frame = rows(50)
    frame.loc[frame.index % 3 == 0, "length"] = np.nan
    for folder in (stack / "full", mixed):
        model = load_model(folder)
        assert isinstance(model, StackModel)
        graph = PredictionGraph(model)
        assert graph.stack is not None
        arrays = {k: torch.from_numpy(v) for k, v in graph.arrays(model.typed(frame)).items()}
        features = torch.from_numpy(model.encoder.transform(model.typed(frame)))
        learnt = outputs(graph.stack.nodes, graph.stack.standardised(features).numpy())
        given = [*graph(**arrays, learners=learnt)]
        found = dict(zip(graph.outputs, given, strict=learnt is None))
        p = model.predict_proba(frame)
        for name, wanted in p.items():
            assert found[name].dtype == torch.float32
            np.testing.assert_allclose(found[name].detach().numpy(), wanted, rtol=0, atol=1e-6)
        assert np.array_equal(found["form predicted"].numpy(), model.decide(p)["form"])


@pytest.mark.slow
def test_a_stack_is_one_file_of_onnx(mixed: Path, tmp_path: Path, cli: CommandLine) -> None:
    rows(60).to_csv(tmp_path / "rows.csv", index=False)
    answer = cli("export", mixed, "--rows", tmp_path / "rows.csv")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"Written: {mixed / 'model.onnx'}\nLargest difference")
    session = onnxruntime.InferenceSession(mixed / "model.onnx")
    assert [each.name for each in session.get_inputs()] == ["numbers", "categories"]
    assert [each.name for each in session.get_outputs()] == [
        "kind", "form", "kind predicted", "form predicted",
    ]  # fmt: skip
    graph = onnx.load(mixed / "model.onnx").graph
    assert "TreeEnsembleRegressor" in {node.op_type for node in graph.node}
    arrays = [numpy_helper.to_array(each) for each in graph.initializer]
    numbers = {each.item() for each in arrays if each.size == 1 and each.dtype == np.float64}
    # the exporter would round 1 - 1e-9 to 1
    assert {1e-9, 1 - 1e-9, 1e-12} <= numbers
    model = load_model(mixed)
    for count in (1, 2, 100):
        part = rows(100)[:count].assign(colour="never seen")
        read = {
            "numbers": part.drop(columns="colour").to_numpy(np.float64),
            "categories": part[["colour"]].to_numpy(object),
        }
        found = session.run(["kind", "form"], read)
        for p, wanted in zip(found, model.predict_proba(part).values(), strict=True):
            assert np.abs(p - wanted).max() < 1e-6
