"""Differentially private training: what is spent, what each row learns, and what comes out."""

import numpy as np
import pandas as pd
import pytest
import torch
from trust_example import HOT, KIND, OF_SHAPE, RELATIONS, SHAPE, rows

from labelweave import Annotations, LabelweaveError, Source
from labelweave.trust import PrivateFit, fit_private
from labelweave.trust._private import (
    cut_gradients,
    least_noise,
    row_targets,
    spent_epsilon,
)

pytest.importorskip("opacus")
TASKS = [KIND, SHAPE, HOT]
PUBLIC = rows(100, 61)[0]


def source(name: str, seed: int, labelled: list[str], n: int = 300) -> Source:
    X, y = rows(n, seed)
    return Source(name, X, Annotations.from_columns(TASKS, {each: y[each] for each in labelled}))


def made(**options: object) -> PrivateFit:
    sources = [source("kinds", 62, ["kind"]), source("shapes", 63, ["shape", "hot"])]
    return fit_private(
        sources,
        **{"epsilon": 8.0, "public": PUBLIC, "steps": 30, "seed": 0, "hidden": (16,), **options},
    )


def test_what_is_spent_is_what_opacus_counts():
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    for _ in range(50):
        accountant.step(noise_multiplier=1.3, sample_rate=0.05)
    counted = accountant.get_epsilon(1e-5)
    assert counted <= spent_epsilon(0.05, 1.3, 1e-5, 50) <= counted * 1.03  # of fewer orders


def test_the_least_noise_spends_the_epsilon_and_no_more():
    noises = [least_noise(epsilon, 0.1, 1e-5, 100) for epsilon in (0.5, 1.0, 4.0)]
    assert noises == sorted(noises, reverse=True)
    for epsilon, noise in zip((0.5, 1.0, 4.0), noises, strict=True):
        spent = spent_epsilon(0.1, noise, 1e-5, 100)
        assert spent <= epsilon
        assert spent == pytest.approx(epsilon, rel=0.01)


def test_each_row_has_its_largest_gradient():
    first, second = torch.zeros(3, 2), torch.zeros(2)
    first.grad_sample = torch.arange(24.0).reshape(4, 3, 2)
    second.grad_sample = torch.ones(4, 2)
    before = torch.cat([first.grad_sample.flatten(1), second.grad_sample], dim=1)
    clips = torch.tensor([1.0, 0.25, 1000.0, 2.0])
    cut_gradients([first, second], clips)
    after = torch.cat([first.grad_sample.flatten(1), second.grad_sample], dim=1)
    norms = before.norm(dim=1)
    torch.testing.assert_close(after.norm(dim=1), torch.minimum(norms, clips), rtol=1e-4, atol=0)
    torch.testing.assert_close(after / after.norm(dim=1)[:, None], before / norms[:, None])


def test_a_source_with_a_smaller_epsilon_has_more_noise():
    mixed = made(epsilon={"kinds": 1.0, "shapes": 8.0}, steps=2)
    assert mixed.noises["kinds"] > mixed.noises["shapes"]
    assert mixed.epsilons["kinds"] == pytest.approx(1, rel=0.01)
    assert mixed.epsilons["shapes"] == pytest.approx(8, rel=0.01)


def test_a_row_learns_its_labels_and_what_tables_infer_from_them():
    labels = Annotations(
        tuple(TASKS),
        {"kind": np.array([1, -1, -1]), "shape": np.array([-1, 2, -1]),
         "hot": np.array([[-1], [1], [-1]], np.int8)},
    )  # fmt: skip
    targets, weights = row_targets(labels, RELATIONS)
    np.testing.assert_array_equal(weights["kind"], [1, 0.5, 0])
    np.testing.assert_array_equal(weights["shape"], [0.5, 1, 0])
    np.testing.assert_array_equal(weights["hot"][:, 0], [0.5, 1, 0])
    np.testing.assert_allclose(targets["kind"][0], np.eye(6)[1])
    # flat and hot: only k2 is both
    np.testing.assert_allclose(targets["kind"][1], np.eye(6)[2], atol=1e-3)
    np.testing.assert_allclose(targets["shape"][0], OF_SHAPE[1], atol=1e-3)
    np.testing.assert_allclose(targets["hot"][:2, 0], [1, 1], atol=1e-3)


def test_a_row_learns_nothing_from_other_rows():
    _, y = rows(40, 64)
    labels = Annotations.from_columns(TASKS, {"kind": y["kind"]})
    whole, alone = row_targets(labels, RELATIONS)[0], row_targets(labels[3:4], RELATIONS)[0]
    for name, target in alone.items():
        np.testing.assert_array_equal(target[0], whole[name][3])


def test_the_model_predicts_and_is_saved(tmp_path):
    from labelweave.fitting import load_model

    fitted = made(relations=RELATIONS)
    assert fitted.epsilons["kinds"] == fitted.epsilons["shapes"] <= 8
    X, y = rows(300, 65)
    p = fitted.model.predict_proba(X)
    shapes = np.array(SHAPE.names)[p["shape"].argmax(axis=1)]
    assert (shapes == y["shape"]).mean() > 0.5  # a third is chance
    fitted.model.save(tmp_path / "model")
    np.testing.assert_array_equal(
        load_model(tmp_path / "model").predict_proba(X)["kind"], p["kind"]
    )


def test_columns_are_what_the_public_rows_say():
    """Nothing that the encoder keeps depends on a private row."""
    odd = source("odd", 66, ["kind", "shape", "hot"])
    odd.inputs.loc[0, "site"] = "secret place"
    odd.inputs.loc[1, "heat"] = 1e6
    encoders = [
        fit_private(each, 2.0, PUBLIC, steps=1, seed=0).model.encoder.to_dict()
        for each in (odd, source("plain", 67, ["kind", "shape", "hot"]))
    ]
    assert encoders[0] == encoders[1]
    assert "secret place" not in str(encoders[0])


def test_the_seed_decides():
    first, again, other = made(steps=3), made(steps=3), made(steps=3, seed=1)
    p, q, r = (each.model.predict_proba(PUBLIC)["kind"] for each in (first, again, other))
    np.testing.assert_array_equal(p, q)
    assert not np.array_equal(p, r)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 0}, "epsilon: found 0, expected a number from 0.01 to 100"),
        ({"epsilon": {"kinds": 1.0}}, "epsilon: found none of source 'shapes', expected one"),
        ({"epsilon": {"kinds": 1.0, "shapes": 1.0, "shape": 1}},
         "epsilon: no source 'shape', expected 'kinds', 'shapes'; did you mean 'shapes'?"),
        ({"delta": 0.5}, "delta: found 0.5, expected a number from 1e-12 to 0.1"),
        ({"steps": 0}, "steps: found 0, expected a number from 1 to 1e+06"),
    ],
)  # fmt: skip
def test_bad_settings_are_one_line(options: dict, message: str):
    with pytest.raises(LabelweaveError) as caught:
        made(**options)
    assert str(caught.value) == message


def test_other_tasks_are_refused():
    X, y = rows(20, 68)
    other = Source("other", X, Annotations.from_columns([KIND], pd.DataFrame({"kind": y["kind"]})))
    with pytest.raises(LabelweaveError, match="source 'other': other tasks than 'kinds'"):
        fit_private([source("kinds", 62, ["kind"], 20), other], 1.0, PUBLIC)
