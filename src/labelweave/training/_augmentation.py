"""Images of a training batch changed at random, the whole batch at once."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from labelweave.errors import missing_package
from labelweave.training._config import AugmentConfig

Augment = Callable[[Tensor, int], Tensor]
ERASED = (0.02, 0.2)  # share of an image, as in the paper's small half


def augmentation(config: AugmentConfig | None, seed: int, process: int = 0) -> Augment:
    """Return what changes the images of a step's batch, uint8 to float of 0 to 255.

    A step always changes its images in the same way, whatever else draws random numbers, so that a
    run that goes on after a stop ends as an unbroken one.

    Args:
        config: what to change; None = nothing.
        seed: decides all changes, with the step's number.
        process: of a data-parallel run.

    Raises:
        LabelweaveError: kornia is not installed.
    """
    if config is None or config == AugmentConfig():
        return lambda images, step: images
    try:
        from kornia import augmentation as kornia
    except ImportError as error:
        raise missing_package("training.augment", error, "vision") from None

    @cache
    def changes(channels: int, height: int, width: int) -> nn.Sequential:
        ways: list[nn.Module] = []
        if config.crop:
            ways.append(kornia.RandomResizedCrop(
                (height, width), scale=((1 - config.crop) ** 2, 1.0),
                ratio=(width / height, width / height),
            ))  # fmt: skip
        if config.flip:
            ways.append(kornia.RandomHorizontalFlip(p=config.flip))
        if config.jitter:
            low, high = 1 - config.jitter, 1 + config.jitter
            ways.append(kornia.RandomBrightness((low, high), p=1.0))
            ways.append(kornia.RandomContrast((low, high), p=1.0))
            if channels == 3:
                ways.append(kornia.RandomSaturation((low, high), p=1.0))
        if config.erase:
            ways.append(kornia.RandomErasing(scale=ERASED, p=config.erase))
        return nn.Sequential(*ways)

    def augment(images: Tensor, step: int) -> Tensor:
        state = np.random.SeedSequence([seed, step, process]).generate_state(1, np.uint64)
        # kornia draws from the one global generator of the CPU, which dropout needs as it is
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(state[0] >> 1))
            changed: Tensor = changes(*images.shape[1:])(images.float() / 255)
        return changed * 255

    return augment
