import sys

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from training_setup import assert_same

from labelweave.annotations import Annotations
from labelweave.balancing import Proportional
from labelweave.data._batches import Batches
from labelweave.data._row_store import Block, StoredInputs, as_keys
from labelweave.errors import LabelweaveError
from labelweave.losses import Objective
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.tasks import Multiclass
from labelweave.training import AugmentConfig, Trainer, TrainingConfig
from labelweave.training._augmentation import augmentation

pytest.importorskip("kornia")
ALL = AugmentConfig(flip=0.5, crop=0.2, jitter=0.2, erase=0.5)
ROWS = 24


def images(rows: int = 16, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (rows, channels, 12, 10)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def changed(step: int = 0, seed: int = 0, process: int = 0, **config: float) -> torch.Tensor:
    return augmentation(AugmentConfig(**config), seed, process)(images(), step)


@pytest.mark.parametrize("channels", [1, 3])
def test_changed_images_have_the_shape_and_range_of_pixels(channels):
    found = augmentation(ALL, 0)(images(64, channels), 0)
    assert found.shape == (64, channels, 12, 10)
    assert found.dtype == torch.float32
    assert found.min() >= 0
    assert found.max() <= 255.001
    assert not torch.equal(found, images(64, channels).float())


def test_a_step_changes_its_images_in_one_way_whatever_else_draws():
    augment, before = augmentation(ALL, 3), torch.get_rng_state()
    first = augment(images(), 7)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    augment(images(), 8)
    assert torch.equal(augment(images(), 7), first)
    assert torch.equal(augmentation(ALL, 3)(images(), 7), first)
    others = [augment(images(), 8), augmentation(ALL, 4)(images(), 7)]
    others.append(augmentation(ALL, 3, process=1)(images(), 7))
    assert not any(torch.equal(other, first) for other in others)


def test_flip_mirrors_so_many_images():
    every = changed(flip=1.0)
    torch.testing.assert_close(every, images().flip(3).float(), rtol=0, atol=1e-3)
    some = augmentation(AugmentConfig(flip=0.25), 0)(images(2000), 0)
    same = (some - images(2000).float()).abs().amax(dim=(1, 2, 3)) < 1e-3
    assert 0.2 < 1 - same.float().mean() < 0.3


def test_crop_zooms_in_no_further_than_it_says():
    ramp = torch.arange(100, dtype=torch.uint8).repeat(500, 1, 100, 1)
    found = augmentation(AugmentConfig(crop=0.3), 0)(ramp, 0)
    span = (found[:, 0, 50].amax(dim=1) - found[:, 0, 50].amin(dim=1)) / 99
    assert span.min() > 0.66
    assert span.max() > 0.95
    # height and width are cut by the same share
    torch.testing.assert_close(found[:, :, 0], found[:, :, -1], rtol=0, atol=0.1)


def test_jitter_changes_colours_no_further_than_it_says():
    grey = torch.full((500, 3, 4, 4), 128, dtype=torch.uint8)
    found = augmentation(AugmentConfig(jitter=0.2), 0)(grey, 0)
    # brightness moves by up to .2 of white, contrast then scales that by up to 1.2
    assert found.max() <= (128 + 51) * 1.2 + 0.1
    assert found.min() >= (128 - 51) * 0.8 - 0.1
    assert found.std() > 10


def test_erase_blackens_a_part_of_so_many_images():
    white = torch.full((1000, 3, 40, 40), 255, dtype=torch.uint8)
    found = augmentation(AugmentConfig(erase=0.25), 0)(white, 0)
    shares = (found[:, 0] == 0).float().mean(dim=(1, 2))
    assert 0.2 < (shares > 0).float().mean() < 0.3
    assert shares.max() < 0.22
    assert shares[shares > 0].min() > 0.01


def test_nothing_to_change_leaves_pixels_as_they_are():
    for config in (None, AugmentConfig()):
        assert augmentation(config, 0)(images(), 0).dtype == torch.uint8


def training(folder=None, **config) -> tuple[Trainer, MultiTaskNetwork, Batches, Objective]:
    task = Multiclass("kind", ["a", "b"])
    pixels = images(ROWS).numpy()
    inputs = StoredInputs([Block(pixels, np.arange(ROWS), as_keys([str(i) for i in range(ROWS)]))])
    labels = Annotations([task], {"kind": np.arange(ROWS) % 2})
    torch.manual_seed(0)
    body = backbone("cnn", (3, 12, 10), channels=[4], hidden=[8])
    network = MultiTaskNetwork(body, [task])
    config = TrainingConfig(accelerator="cpu", augment=ALL, **config)
    trainer = Trainer(config, seed=1, folder=folder)
    batches = Batches(inputs, labels, Proportional([np.arange(ROWS)], 8, 0))
    return trainer, network, batches, Objective([task], [], {})


def test_an_interrupted_run_ends_with_the_weights_of_an_unbroken_one(tmp_path):
    trainer, network, batches, objective = training()
    trainer.fit(network, objective, batches, 20)
    expected = network.state_dict()
    trainer, network, batches, objective = training(tmp_path, checkpoint_seconds=1e-9)
    draw = batches.sampler

    def broken(step: int):
        if step == 11:
            raise KeyboardInterrupt
        return draw(step)

    batches.sampler = broken
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(network, objective, batches, 20)
    trainer, network, batches, objective = training(tmp_path)
    trainer.fit(network, objective, batches, 20)
    assert_same(network.state_dict(), expected)
    # and the images were in fact changed
    trainer, plain, batches, objective = training()
    trainer.config = trainer.config.model_copy(update={"augment": None})
    trainer.fit(plain, objective, batches, 20)
    assert not torch.equal(plain.heads.weight, network.heads.weight)


def test_kornia_that_is_not_there_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia", None)
    with pytest.raises(LabelweaveError) as error:
        augmentation(ALL, 0)
    assert str(error.value) == (
        "training.augment needs the package kornia, which is not installed: "
        "pip install 'labelweave[vision]'"
    )
    augmentation(None, 0)


def test_shares_out_of_range_are_refused():
    for wrong in ({"flip": 1.5}, {"crop": 1.0}, {"jitter": -0.1}, {"blur": 0.1}):
        with pytest.raises(ValidationError):
            AugmentConfig(**wrong)
