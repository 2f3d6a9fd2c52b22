from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from training_setup import Setup, accuracy, assert_same, raise_once

from labelweave.errors import LabelweaveError
from labelweave.estimator import MultiTaskClassifier
from labelweave.networks import backbone

QUICK = {
    "backbone": "cnn", "shape": (1, 8, 8), "channels": (8, 16), "hidden": (32,), "steps": 60,
    "method": "multi_task", "scale": "together",
}  # fmt: skip


def test_the_columns_are_the_pixels_channel_by_channel_and_row_by_row():
    body = backbone("cnn", 2 * 5 * 3, shape=[2, 5, 3], channels=[4], hidden=[6])
    images = torch.randn(2, 2, 5, 3)
    convolution, features = next(m for m in body.modules() if isinstance(m, nn.Conv2d)), []
    convolution.register_forward_hook(lambda _, given, out: features.append((given[0], out)))
    assert body(images.flatten(1)).shape == (2, 6)
    given, out = features[0]
    assert torch.equal(given, images)
    assert out.shape == (2, 4, 3, 2)  # height and width halved, rounded up


def test_an_image_is_seen_alone_whatever_the_batch():
    torch.manual_seed(0)
    body = backbone("cnn", 64, shape=[1, 8, 8], hidden=[8], dropout=0.0).train()
    images = torch.randn(6, 64)
    assert torch.allclose(body(images)[:1], body(images[:1]), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"shape": [1, 8, 9]},
            "cnn: found 64 inputs, expected 72 for shape [1, 8, 9] (constant columns are dropped "
            "unless the study says inputs: {scale: together})",
        ),
        (
            {},
            "cnn: shape [], expected channels, height and width, such as [1, 28, 28]",
        ),
        (
            {"shape": [8, 8]},
            "cnn: shape [8, 8], expected channels, height and width, such as [1, 28, 28]",
        ),
        (
            {"shape": [1, 8, 8], "channels": [6]},
            "cnn: channels [6], expected at least one, multiples of 4",
        ),
        (
            {"shape": [1, 8, 8], "hidden": []},
            "mlp: hidden sizes [], expected at least one above 0",
        ),
    ],
)
def test_bad_options_are_reported(options, message):
    with pytest.raises(LabelweaveError) as error:
        backbone("cnn", 64, **options)
    assert str(error.value) == message


def test_a_resumed_training_ends_as_an_unbroken_one(tmp_path):
    def setup(folder=None):
        torch.manual_seed(3)
        body = backbone("cnn", 4, shape=[1, 2, 2], channels=[4], hidden=[4])
        return Setup(folder, body, evaluations=4)

    unbroken, again = setup(), setup(tmp_path)
    unbroken.fit(40, accuracy)
    with pytest.raises(KeyboardInterrupt):
        setup(tmp_path).fit(40, raise_once(2, lambda: (_ for _ in ()).throw(KeyboardInterrupt)))
    again.fit(40, accuracy)
    assert_same(again.weights(), unbroken.weights())


def test_digits_are_learnt_and_the_saved_model_predicts_the_same(tmp_path: Path):
    images, digits = load_digits(return_X_y=True)
    inputs = images  # some pixels are constant
    labels = {"digit": digits[:600].astype(str), "loop": np.isin(digits[:600], (0, 6, 8, 9))}
    model = MultiTaskClassifier(**{"method": "full"} | QUICK).fit(inputs[:600], labels)
    found = model.predict(inputs[600:])
    assert (found["digit"] == digits[600:].astype(str)).mean() > 0.8
    model.save(tmp_path)
    again = MultiTaskClassifier.load(tmp_path)
    assert again.get_params()["shape"] == [1, 8, 8]
    before, after = model.predict_proba(inputs[600:650]), again.predict_proba(inputs[600:650])
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_columns_scaled_each_may_lack_the_constant_pixels():
    images, digits = load_digits(return_X_y=True)
    model = MultiTaskClassifier(**{"method": "full"} | QUICK | {"scale": "each"})
    with pytest.raises(LabelweaveError, match="found 61 inputs, expected 64 for shape"):
        model.fit(images, {"digit": digits})
