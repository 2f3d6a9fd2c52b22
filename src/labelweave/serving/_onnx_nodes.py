"""Nodes of ONNX that no tensor operation gives: trees, converted classifiers, texts as codes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labelweave.errors import LabelweaveError, missing_package

OPSET, ML_OPSET, IR = 20, 4, 10  # that every onnxruntime since 1.18 reads
ML = "ai.onnx.ml"
TINY, FLOAT32_BITS = 1e-30, 23
CATEGORIES = "categories"  # the input of texts
STANDARDISED = "standardised inputs"  # (n, d) float64, what learners read
LEARNERS = "learners"  # (n, columns) float64, what nodes of learners give, side by side
Predict = Callable[[Tensor, Tensor | None], Tensor]  # of inputs, and of what nodes give
Nodes = Callable[[str], tuple[list[Any], list[Any], dict[str, int]]]


def number(value: float) -> Tensor:
    """Return a number as a tensor of float64; PyTorch's exporter rounds Python's to float32."""
    return torch.tensor(value, dtype=torch.float64)


def at_least(values: Tensor, low: float) -> Tensor:
    """Return values of float64, raised to a lowest one."""
    return torch.maximum(values, number(low))


def between(values: Tensor, low: float, high: float) -> Tensor:
    """Return values of float64, raised to a lowest one and lowered to a highest."""
    return torch.minimum(at_least(values, low), number(high))


@dataclass
class LearnerNodes:
    """What a graph computes by nodes of ONNX, side by side, (n, `width`) in all.

    Attributes:
        made: by place, what makes the nodes that compute the output of a given name: nodes,
            initializers, and versions of operator sets.
        width: columns in all.
    """

    made: list[Nodes] = field(default_factory=list)
    width: int = 0

    def add(self, nodes: Nodes, width: int) -> Predict:
        """Return what gives the columns of further nodes."""
        self.made.append(nodes)
        start, self.width = self.width, self.width + width
        return lambda _, given: _some(given)[:, start : start + width]

    def add_trees(self, trees: Nodes, width: int) -> Predict:
        """Return what gives the sums of trees, in the precision of float64."""
        halves = self.add(trees, 2 * width)
        return lambda X, given: halves(X, given)[:, :width] + halves(X, given)[:, width:]


def _some(given: Tensor | None) -> Tensor:
    assert given is not None
    return given


@dataclass(frozen=True)
class _Tree:
    """One tree as arrays of its nodes.

    A leaf adds its row of `values`, (nodes, c), to c columns from `place` on.
    """

    leaf: NDArray[np.bool_]
    feature: NDArray[np.integer]
    threshold: NDArray[np.float64]
    left: NDArray[np.integer]
    right: NDArray[np.integer]
    values: NDArray[np.float64]
    place: int


def forest_nodes(found: Sequence[Any], multiclass: bool) -> Nodes:
    """Return the nodes of the probabilities of forests of scikit-learn, in two halves.

    Args:
        found: one forest, or one a label.
        multiclass: of the one forest all classes, else of each forest the second.
    """
    trees = []
    for j, forest in enumerate(found):
        for each in forest.estimators_:
            tree = each.tree_
            values = tree.value[:, 0, 0 if multiclass else 1 :] / len(forest.estimators_)
            leaf = tree.children_left == -1
            ends = tree.children_left, tree.children_right
            trees.append(_Tree(leaf, tree.feature, tree.threshold, *ends, values, j))
    width = len(found[0].classes_) if multiclass else len(found)
    # scikit-learn's trees compare inputs of float32 with thresholds of float64
    return _tree_nodes(trees, width, narrow=True)


def boosting_nodes(found: Sequence[Any]) -> Nodes:
    """Return the nodes of the scores of gradient boosting, in two halves, without their base.

    Args:
        found: one `HistGradientBoostingClassifier`, or one of two classes a label.
    """
    trees, columns = [], sum(each.n_trees_per_iteration_ for each in found)
    for j, each in enumerate(found):
        for iteration in each._predictors:
            for k, predictor in enumerate(iteration):
                table = predictor.nodes
                leaf, ends = table["is_leaf"] == 1, (table["left"], table["right"])
                parts = table["feature_idx"], table["num_threshold"], *ends, table["value"][:, None]
                trees.append(_Tree(leaf, *parts, j + k))
    return _tree_nodes(trees, columns, narrow=False)


def _tree_nodes(trees: Sequence[_Tree], width: int, *, narrow: bool) -> Nodes:
    """Return what makes one node of all trees; it gives their sum in two halves, (n, 2 width).

    The node rounds its sums to float32, which is too coarse for the logarithm of 1 - p. The first
    half is of multiples of a step so large that their sums are not rounded; the second is the rest.

    Args:
        trees: the trees.
        width: columns in all.
        narrow: round the inputs to float32 first.
    """

    def made(name: str) -> tuple[list[Any], list[Any], dict[str, int]]:
        from onnx import TensorProto, helper, numpy_helper

        def inner(kind: str, fill: float = 0) -> NDArray[Any]:
            return np.concatenate([np.where(t.leaf, fill, getattr(t, kind)) for t in trees])

        sizes = [len(tree.leaf) for tree in trees]
        numbers = np.repeat(np.arange(len(trees)), sizes)
        places = np.concatenate([np.arange(size) for size in sizes])
        leaf = np.concatenate([tree.leaf for tree in trees])
        starts = np.cumsum([0, *sizes])
        # a tree of one node keeps its zeros: ONNX refuses empty lists
        cells = [
            np.nonzero(t.leaf[:, None] & ((t.values != 0) | (len(t.leaf) == 1))) for t in trees
        ]
        rows = np.concatenate([r + start for (r, _), start in zip(cells, starts, strict=False)])
        columns = np.concatenate([c + t.place for (_, c), t in zip(cells, trees, strict=True)])
        values = np.concatenate([t.values[cell] for cell, t in zip(cells, trees, strict=True)])
        bound = sum(float(np.abs(tree.values[tree.leaf]).max()) for tree in trees)
        step = 2.0 ** (np.ceil(np.log2(max(bound, TINY))) - FLOAT32_BITS)
        coarse = np.trunc(values / step) * step
        values = np.concatenate([coarse, values - coarse])
        rows, columns = np.tile(rows, 2), np.concatenate([columns, columns + width])
        ints = {
            "nodes_treeids": numbers,
            "nodes_nodeids": places,
            "nodes_featureids": inner("feature"),
            "nodes_truenodeids": inner("left"),
            "nodes_falsenodeids": inner("right"),
            "target_treeids": numbers[rows],
            "target_nodeids": places[rows],
            "target_ids": columns,
        }
        floats = {
            "nodes_values_as_tensor": inner("threshold", 0.0),
            "target_weights_as_tensor": values,
        }
        read, casts = STANDARDISED, []
        if narrow:
            read = f"{name} rounded"
            kinds = (TensorProto.FLOAT, TensorProto.DOUBLE)
            names = [STANDARDISED, f"{name} float32", read]
            casts = [
                helper.make_node("Cast", [a], [b], to=kind)
                for a, b, kind in zip(names, names[1:], kinds, strict=False)
            ]
        node = helper.make_node(
            "TreeEnsembleRegressor", [read], [name], domain=ML, n_targets=2 * width,
            nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
            **{key: found.astype(np.int64).tolist() for key, found in ints.items()},
            **{key: numpy_helper.from_array(v.astype(np.float64)) for key, v in floats.items()},
        )  # fmt: skip
        return [*casts, node], [], {ML: 3}

    return made


def converted_nodes(found: Any, place: str) -> Nodes:
    """Return the nodes of skl2onnx for another classifier of scikit-learn.

    Raises:
        LabelweaveError: there are none.
    """
    reason = f"'{type(found).__module__}.{type(found).__qualname__}'"
    if not hasattr(found, "predict_proba"):
        raise _no_converter(place, f"{reason} has no predict_proba")
    try:
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import DoubleTensorType
    except ImportError as error:
        raise missing_package(f"export: {place}", error, "export") from None
    try:
        model = to_onnx(
            found, initial_types=[("X", DoubleTensorType([None, found.n_features_in_]))],
            options={"zipmap": False}, target_opset={"": OPSET, ML: 3},
        )  # fmt: skip
    except Exception as error:  # of many kinds, by converter
        raise _no_converter(place, f"skl2onnx: {type(error).__name__} for {reason}") from None

    def made(name: str) -> tuple[list[Any], list[Any], dict[str, int]]:
        from onnx.compose import add_prefix

        graph = add_prefix(model, f"{name}/").graph
        ends = {graph.input[0].name: STANDARDISED, graph.output[1].name: name}
        for node in graph.node:
            node.input[:] = [ends.get(each, each) for each in node.input]
            node.output[:] = [ends.get(each, each) for each in node.output]
        versions = {each.domain: each.version for each in model.opset_import}
        return list(graph.node), list(graph.initializer), versions

    return made


def _no_converter(place: str, reason: str) -> LabelweaveError:
    return LabelweaveError(
        f"export: {place}: found no converter ({reason}), expected a learner of the library or a "
        "classifier that skl2onnx converts; 'labelweave finish' makes a network of the stack"
    )


def put_learners(made: Any, learners: LearnerNodes) -> None:
    """Put the nodes of learners into an ONNX graph, in place of its input `LEARNERS`.

    They read its output `STANDARDISED`, which is no output any longer.

    Args:
        made: the model; changed in place.
        learners: the nodes.
    """
    from onnx import TensorProto, helper

    nodes, wide = [], []
    versions = {each.domain: each.version for each in made.opset_import}
    for i, make in enumerate(learners.made):
        found, initializers, asked = make(f"learner {i}")
        wide.append(f"learner {i} float64")
        nodes += [
            *found, helper.make_node("Cast", [f"learner {i}"], [wide[-1]], to=TensorProto.DOUBLE)
        ]  # fmt: skip
        made.graph.initializer.extend(initializers)
        versions = asked | versions
    nodes.append(helper.make_node("Concat", wide, [LEARNERS], axis=1))
    former = list(made.graph.node)
    place = next(i for i, node in enumerate(former) if STANDARDISED in node.output) + 1
    _replace(made.graph.node, [*former[:place], *nodes, *former[place:]])
    _replace(made.graph.input, [each for each in made.graph.input if each.name != LEARNERS])
    _replace(made.graph.output, [each for each in made.graph.output if each.name != STANDARDISED])
    _replace(made.opset_import, [helper.make_opsetid(*each) for each in versions.items()])


def _replace(listed: Any, by: Sequence[Any]) -> None:
    del listed[:]
    listed.extend(by)


def read_text(made: Any, categories: Mapping[str, list[str]]) -> None:
    """Put in front of an ONNX graph what turns the texts of categories into their codes."""
    from onnx import TensorProto, helper

    codes, nodes, columns = "category_codes", [], []
    for node in made.graph.node:
        for i, name in enumerate(node.input):
            if name == CATEGORIES:
                node.input[i] = codes
    for j, kept in enumerate(categories.values()):
        place = f"category_place_{j}"
        made.graph.initializer.append(helper.make_tensor(place, TensorProto.INT64, [1], [j]))
        nodes.append(
            helper.make_node("Gather", [CATEGORIES, place], [f"category_text_{j}"], axis=1)
        )
        nodes.append(
            helper.make_node(
                "LabelEncoder",
                [f"category_text_{j}"],
                [f"category_code_{j}"],
                domain=ML,
                keys_strings=kept,
                values_int64s=list(range(len(kept))),
                default_int64=len(kept),
            )
        )
        columns.append(f"category_code_{j}")
    nodes.append(helper.make_node("Concat", columns, [codes], axis=1))
    _replace(made.graph.node, [*nodes, *made.graph.node])
    for given in made.graph.input:
        if given.name == CATEGORIES:
            given.type.tensor_type.elem_type = TensorProto.STRING
    made.opset_import.append(helper.make_opsetid(ML, ML_OPSET))
