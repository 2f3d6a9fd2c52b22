from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from study_example import parts, tables

from labelweave._estimator_settings import FITTABLE
from labelweave.annotations import Annotations
from labelweave.data import Source
from labelweave.errors import LabelweaveError
from labelweave.estimator import MultiTaskClassifier
from labelweave.relations import read_knowledge
from labelweave.tasks import Binary, Multiclass

COLUMNS = ["length", "width", "weight", "noise"]
QUICK: dict[str, Any] = {"steps": 60, "hidden": [16], "learning_rate": 0.02, "batch_size": 32}


X, Y = parts()
KNOWLEDGE = tables()[2]


def quick(**changes: Any) -> MultiTaskClassifier:
    return MultiTaskClassifier(**{"method": "full"} | QUICK | changes)


@pytest.fixture(scope="module")
def fitted() -> MultiTaskClassifier:
    return quick(relations={"kind": KNOWLEDGE}).fit(X, Y)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_every_task_is_learnt(fitted: MultiTaskClassifier) -> None:
    assert [task.name for task in fitted.tasks_] == ["kind", "round", "hole"]
    assert [relation.name for relation in fitted.relations_] == ["kind->round", "kind->hole"]
    assert fitted.score(X, Y) > 0.8
    assert fitted.n_features_in_ == 4
    assert fitted.feature_names_in_.tolist() == COLUMNS


def test_classes_name_the_columns_of_the_probabilities(fitted: MultiTaskClassifier) -> None:
    proba, predicted = fitted.predict_proba(X), fitted.predict(X)
    for name, classes in fitted.classes_.items():
        assert proba[name].shape == (240, len(classes))
        assert np.allclose(proba[name].sum(axis=1), 1, atol=1e-5)
        assert np.array_equal(classes[proba[name].argmax(axis=1)], predicted[name])


def test_integer_classes_come_back_as_integers() -> None:
    y = {"part": np.array([3, 1, 2] * 80), "grade": [5.0, None, 7.0] * 80}
    predicted = quick().fit(X, y).predict(X)
    assert predicted["part"].dtype.kind == "i"
    assert set(predicted["part"]) <= {1, 2, 3}
    assert set(predicted["grade"].tolist()) <= {5, 7}


def test_labels_may_come_in_any_form() -> None:
    tasks = [Multiclass("kind"), Multiclass("round"), Multiclass("hole")]
    annotations = Annotations.from_columns(tasks, Y)
    expected = quick().fit(X, Y).predict_proba(X)
    columns = {name: Y[name].to_numpy() for name in Y}
    for y in (columns, {name: list(column) for name, column in columns.items()}, annotations):
        assert same(quick().fit(X, y).predict_proba(X), expected)
    source = Source("X", X, annotations)
    assert same(quick(sampling="proportional").fit(source).predict_proba(X),
                quick(sampling="proportional").fit([source]).predict_proba(X))  # fmt: skip


def test_sources_bring_their_labels() -> None:
    tasks = [Multiclass("kind", ("bolt", "disc", "ring")), Binary("hole")]
    sources = [
        Source(name, table[COLUMNS], Annotations.from_columns(tasks, table))
        for name, table in zip("ab", tables()[:2], strict=True)
    ]
    model = quick().fit(sources)
    assert model.score(X, Y[["kind"]]) > 0.6
    with pytest.raises(LabelweaveError) as error:
        quick().fit(sources, Y)
    assert str(error.value) == "fit: sources bring their own labels, found y as well"


def test_a_series_is_one_task() -> None:
    model = quick().fit(X, Y["kind"])
    assert list(model.predict(X)) == ["kind"]


def test_blocks_are_multilabel_and_booleans_binary() -> None:
    block = Y[["round", "hole"]].to_numpy(dtype=float)
    y = {"form": block, "flat": (Y["kind"] == "disc").to_numpy()}
    model = quick().fit(X, y)
    assert [(task.kind, task.width) for task in model.tasks_] == [("multilabel", 2)] * 1 + [
        ("multilabel", 1)
    ]
    assert model.classes_["form"].tolist() == ["form0", "form1"]
    assert model.classes_["flat"].tolist() == [0, 1]
    predicted = model.predict(X)
    assert predicted["form"].shape == (240, 2)
    assert predicted["flat"].shape == (240,)
    unknown = np.isnan(block)
    changed = np.where(unknown, np.nan, 1 - block)
    whole = (model.score(X, {"form": block}), model.score(X, {"form": changed}))
    assert np.isclose(sum(whole), 1), "missing elements do not count"


def test_minus_one_is_asked_for() -> None:
    codes = Y["kind"].map({"bolt": 0, "disc": 1, "ring": 2}).fillna(-1).astype(int)
    assert (codes == -1).sum() == 90
    with pytest.raises(LabelweaveError) as error:
        quick().fit(X, {"kind": codes.to_numpy()})
    assert str(error.value) == (
        "y, task 'kind': found -1, which may be a class or mean 'no label'; "
        "say missing=[-1], or missing=[] where it is a class"
    )
    gaps = quick(missing=[-1]).fit(X, {"kind": codes.to_numpy()})
    assert gaps.classes_["kind"].tolist() == [0, 1, 2]
    seen = codes >= 0
    assert np.isclose(
        gaps.score(X, {"kind": codes}), (gaps.predict(X)["kind"] == codes)[seen].mean()
    )
    whole = quick(missing=[]).fit(X, {"kind": codes.to_numpy()})
    assert whole.classes_["kind"].tolist() == [-1, 0, 1, 2]
    listed = quick(tasks=[Multiclass("kind", (-1, 0, 1, 2))]).fit(X, {"kind": codes.to_numpy()})
    assert listed.classes_["kind"].tolist() == [-1, 0, 1, 2]


def test_the_random_state_decides_everything() -> None:
    models = [quick(random_state=seed).fit(X, Y) for seed in (1, 1, 2)]
    first, again, other = (model.predict_proba(X) for model in models)
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize("method", FITTABLE)
def test_every_method_fits(method: str) -> None:
    stacked = method in ("coupled", "best_single_task", "student")
    learners = ["logistic", "kernel_logistic"] if stacked else None
    model = quick(method=method, relations={"kind": KNOWLEDGE}, learners=learners).fit(X, Y)
    networks = getattr(model.model_, "networks", [])
    stack = method in ("coupled", "best_single_task")
    assert len(networks) == (0 if stack else 3 if method == "single_task" else 1)
    assert model.score(X, Y) > 0.6


def test_relations_may_be_objects() -> None:
    tasks = [Multiclass("kind", ("bolt", "disc", "ring")), Binary("round"), Binary("hole")]
    relations = read_knowledge(KNOWLEDGE, "kind", tasks)
    objects = quick(tasks=tasks, relations=relations).fit(X, Y).predict_proba(X)
    mapping = quick(tasks=tasks, relations={"kind": KNOWLEDGE}).fit(X, Y).predict_proba(X)
    assert same(objects, mapping)


def test_early_stopping_takes_validation_rows() -> None:
    model = quick(validation=0.25, patience=2, steps=200).fit(X, Y)
    assert model.score(X, Y) > 0.7


def test_a_saved_classifier_predicts_the_same(fitted: MultiTaskClassifier, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    loaded = MultiTaskClassifier.load(tmp_path / "model")
    assert same(loaded.predict_proba(X), fitted.predict_proba(X))
    assert same(loaded.predict(X), fitted.predict(X))
    assert same(loaded.classes_, fitted.classes_)
    assert loaded.score(X, Y) == fitted.score(X, Y)
    assert loaded.hidden == [16]


def test_parameters_are_scikit_learns() -> None:
    model = quick(relations={"kind": KNOWLEDGE}, random_state=4)
    copy = clone(model)
    assert copy.get_params().keys() == model.get_params().keys()
    assert copy.get_params()["random_state"] == 4
    assert copy.set_params(steps=7) is copy
    assert (copy.steps, model.steps) == (7, 60)
    assert not hasattr(copy, "model_")
    assert "MultiTaskClassifier(" in repr(copy)


def test_searches_and_cross_validation_cut_a_data_frame_of_labels() -> None:
    splits = KFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(quick(), X, Y, cv=splits)
    assert scores.shape == (3,)
    assert (scores > 0.6).all()
    grid = {"learning_rate": np.array([1e-6, 0.02]), "batch_size": np.array([32])}
    search = GridSearchCV(quick(), grid, cv=splits, error_score="raise").fit(X, Y)
    assert search.best_params_ == {"learning_rate": 0.02, "batch_size": 32}
    assert search.predict(X)["kind"].shape == (240,)


def test_a_pipeline_ends_with_it() -> None:
    pipeline = make_pipeline(StandardScaler(), quick()).fit(X, Y)
    assert pipeline.score(X, Y) > 0.7
    assert pipeline.predict_proba(X)["kind"].shape == (240, 3)


def test_inputs_are_arrays_lists_or_frames(fitted: MultiTaskClassifier) -> None:
    of_array = quick().fit(X.to_numpy(), Y)
    of_lists = quick().fit(X.to_numpy().tolist(), Y)
    assert same(of_array.predict_proba(X.to_numpy()), of_lists.predict_proba(X.to_numpy().tolist()))
    assert same(fitted.predict(X), fitted.predict(X[COLUMNS[::-1]])), "columns go by name"


def message(call: Any, *arguments: Any) -> str:
    with pytest.raises(LabelweaveError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_inputs_that_do_not_fit_are_reported(fitted: MultiTaskClassifier) -> None:
    array = quick().fit(X.to_numpy(), Y)
    assert message(array.predict, np.ones((2, 5))) == (
        "X: found 5 columns, expected 4 as in training"
    )
    assert message(array.predict, np.ones(4)) == "X: found shape (4,), expected (rows, columns)"
    assert message(fitted.predict, X.rename(columns={"width": "widht"})) == (
        "no input column 'width', found 'length', 'widht', 'weight', 'noise'; did you mean 'widht'?"
    )
    assert message(quick().fit, X) == "fit: found no y, expected labels by task"
    assert message(quick().fit, X, Y["kind"].to_numpy()) == (
        "y: found ndarray, expected labels by task: a dictionary, a data frame or Annotations"
    )
    assert message(quick().fit, X, Y[100:200]) == (
        "source 'X': found annotations of 100 rows, expected 240 as in the inputs"
    )
    assert message(fitted.score, X, {"kind": ["blt"] * 240}) == (
        "row 1, column 'kind': unknown label 'blt'; expected 'bolt', 'disc', 'ring'; "
        "did you mean 'bolt'?"
    )
    assert message(fitted.score, X, {"kind": [None] * 240}) == (
        "score: found no label of any task, expected at least one"
    )


def test_without_fit_there_is_nothing_to_predict() -> None:
    for call in (quick().predict, quick().predict_proba, lambda X: quick().score(X, Y)):
        with pytest.raises(NotFittedError, match="not fitted yet; call fit first"):
            call(X)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"steps": 0}, "'steps': should be greater than or equal to 1, found 0"),
        ({"hidden": []}, "'hidden': should have at least 1 item, found a list of 0"),
        ({"hidden": 16}, "'hidden': should be a valid list, found 16"),
        ({"hidden": [0]}, "'hidden.0': should be greater than or equal to 1, found 0"),
        ({"dropout": 1.5}, "'dropout': should be less than 1, found 1.5"),
        ({"batch_size": 0}, "'batch_size': should be greater than or equal to 1, found 0"),
        ({"learning_rate": np.nan}, "'learning_rate': should be a finite number, found nan"),
        ({"weight_decay": -1}, "'weight_decay': should be greater than or equal to 0, found -1"),
        ({"patience": 0}, "'patience': should be greater than or equal to 1, found 0"),
        (
            {"validation": 1.5},
            "'validation': found 1.5, expected a share below 1 or a whole number of rows",
        ),
        ({"categorical": "width"}, "'categorical': should be a valid list, found 'width'"),
        ({"random_state": None}, "'random_state': found None, expected a whole number from 0 up"),
        ({"random_state": -1}, "'random_state': found -1, expected a whole number from 0 up"),
        (
            {"backbone": "mpl"},
            "'backbone': no such backbone 'mpl', expected 'linear', 'mlp', 'cnn', 'hf:...', "
            "'timm:...', 'module:...'; did you mean 'mlp'?",
        ),
        (
            {"sampling": "equall"},
            "'sampling': no such sampling 'equall', expected 'proportional', 'equal', "
            "'temperature', 'round_robin', 'labels'; did you mean 'equal'?",
        ),
        (
            {"method": "fulll"},
            "'method': found 'fulll', expected 'coupled', 'student', 'best_single_task', 'full', "
            "'distribution_matching', 'co_annotation', 'distillation', 'multi_task', "
            "'single_task'; did you mean 'full'?",
        ),
        (
            {"couplings": {"co_anotation": {}}},
            "'couplings': no such coupling 'co_anotation', expected 'distribution_matching', "
            "'co_annotation', 'distillation'; did you mean 'co_annotation'?",
        ),
        ({"tasks": ["kind"]}, "'tasks': found 'kind', expected Multiclass, Multilabel or Binary"),
        (
            {"relations": "k.csv"},
            "'relations': found 'k.csv', expected a list of relations, or a dictionary from a "
            "task to its table",
        ),
    ],
)
def test_every_parameter_is_checked(changes: dict[str, Any], expected: str) -> None:
    found = message(quick(**changes).fit, X, Y)
    assert found == f"MultiTaskClassifier: parameter {expected}"


def test_early_stopping_without_validation_rows_is_reported() -> None:
    assert message(quick(patience=3).fit, X, Y) == (
        "early stopping (patience) needs validation rows, found none; set their number or share"
    )
