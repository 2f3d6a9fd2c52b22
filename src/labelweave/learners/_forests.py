"""Forests as a few arrays: writing and reading tree by tree takes longer than growing them."""

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree._tree import Tree

FORESTS = (ExtraTreesClassifier, RandomForestClassifier)


def packed(classifier: Any) -> Any:
    """Return a fitted forest as its first tree and the nodes of all; anything else as it is."""
    if type(classifier) not in FORESTS or classifier.n_outputs_ != 1:
        return classifier
    trees = [tree.tree_.__getstate__() for tree in classifier.estimators_]
    shell = copy(classifier)
    shell.estimators_ = classifier.estimators_[:1]
    return {
        "forest": shell,
        "nodes": np.concatenate([tree["nodes"] for tree in trees]),
        "values": np.concatenate([tree["values"] for tree in trees]),
        "counts": np.array([tree["node_count"] for tree in trees], np.int64),
        "depths": np.array([tree["max_depth"] for tree in trees], np.int64),
        "seeds": np.array([tree.random_state for tree in classifier.estimators_], np.int64),
    }


def unpacked(found: Any) -> Any:
    """Return what `packed` packed, which predicts bitwise the same.

    Raises:
        ValueError: arrays that are no trees.
    """
    if not isinstance(found, dict):
        return found
    forest, first = found["forest"], found["forest"].estimators_[0]
    counts, nodes, values = (found[name] for name in ("counts", "nodes", "values"))
    if counts.sum() != len(nodes) or len(nodes) != len(values) or (counts < 1).any():
        raise ValueError(f"found {len(nodes)} nodes, expected {counts.sum()}")
    _check(nodes, np.repeat(counts, counts), first.n_features_in_)
    ends = np.cumsum(counts)
    classes = np.array([first.n_classes_], np.intp)
    trees = []
    for end, count, depth, seed in zip(ends, counts, found["depths"], found["seeds"], strict=True):
        part = slice(end - count, end)
        tree = copy(first)
        tree.random_state = int(seed)
        tree.tree_ = Tree(first.n_features_in_, classes, 1)
        state = {"max_depth": int(depth), "node_count": int(count)}
        # sklearn takes its own copy of both arrays
        tree.tree_.__setstate__(state | {"nodes": nodes[part], "values": values[part]})
        trees.append(tree)
    forest.estimators_ = trees
    return forest


def _check(nodes: NDArray[Any], sizes: NDArray[np.int64], features: int) -> None:
    """Refuse nodes that lead out of their tree: a prediction would read foreign memory."""
    inner = nodes["left_child"] != -1
    sizes, nodes = sizes[inner], nodes[inner]
    good = (nodes["feature"] >= 0) & (nodes["feature"] < features)
    for child in ("left_child", "right_child"):
        good &= (nodes[child] > 0) & (nodes[child] < sizes)
    if not good.all():
        raise ValueError("found nodes that lead out of their tree")
