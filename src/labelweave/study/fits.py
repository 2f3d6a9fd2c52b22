"""The networks of an arm: trained one after the other, or side by side where that is the same."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from labelweave.data.batches import SeparateBatches
from labelweave.losses import Objective
from labelweave.networks import MultiTaskNetwork, SideBySide
from labelweave.study.fit import Fit
from labelweave.training import SMALL_STEP, Watch, adds_nothing


def train_fits(
    fits: Sequence[Fit], folder: Path | None, progress: bool, watch: Watch | None
) -> list[MultiTaskNetwork]:
    """Train the networks of an arm and return them.

    Small networks of one shape, batch size and number of steps are trained together, each on its
    own batches: up to rounding the same as one after the other, in about two thirds of the time.

    Args:
        fits: the networks to train, of one fold.
        folder: for checkpoints and logs; None = nowhere.
        progress: show a bar over the steps.
        watch: told of every evaluation on the validation rows.
    """
    trained: dict[int, MultiTaskNetwork] = {}
    for places in _groups(fits):
        group = [fits[i] for i in places]
        networks = _together(group, folder and folder / f"networks{places[0]}", progress)
        if networks is None:
            networks = [
                fit.train(folder and folder / f"network{i}", progress, watch)
                for i, fit in zip(places, group, strict=True)
            ]
        trained |= dict(zip(places, networks, strict=True))
    return [trained[i] for i in range(len(fits))]


def _groups(fits: Sequence[Fit]) -> Iterator[list[int]]:
    """Give the places of those that could be trained together."""
    groups: dict[object, list[int]] = {}
    for i, fit in enumerate(fits):
        alike = (fit.sampler.batch_size, fit.steps())
        groups.setdefault(alike if _separable(fit) else i, []).append(i)
    yield from groups.values()


def _separable(fit: Fit) -> bool:
    """Return whether a network needs nothing but its own batches and losses."""
    training = fit.config.training
    one_rate = training.backbone_rate == training.layer_decay == 1
    alone = len(fit.tasks) == 1 and not fit.teachers and fit.shift is None
    return alone and one_rate and fit.validate is None


def _together(
    fits: Sequence[Fit], folder: Path | None, progress: bool
) -> list[MultiTaskNetwork] | None:
    if len(fits) == 1:
        return None
    trainer = fits[0].trainer("training", folder, progress)
    if not adds_nothing(trainer.fabric):
        return None
    made = [fit.network() for fit in fits]
    # a larger step is all arithmetic, and as many such networks would take much memory
    work = sum(weight.numel() for weight in made[0].parameters()) * fits[0].sampler.batch_size
    networks = SideBySide.of(made) if work < SMALL_STEP else None
    if networks is None:
        return None
    objective = Objective(
        networks.tasks,
        losses=fits[0].losses,
        shares={name: share for fit in fits for name, share in fit.training.items()},
    )
    batches = SeparateBatches(
        fits[0].fold.train.inputs,
        fits[0].labels,
        [fit.sampler for fit in fits],
        [[task.name for task in fit.tasks] for fit in fits],
        trainer.fabric.device,
    )
    trainer.fit(networks, objective, batches, fits[0].steps())
    return networks.separate()
