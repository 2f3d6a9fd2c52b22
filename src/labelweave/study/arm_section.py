"""An arm of a study file that differs from the usual one of its kind."""

from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from labelweave.balancing import sampling, weighting
from labelweave.errors import listing, nearest
from labelweave.relations import Origin
from labelweave.study.arms import ARMS, NOISE, Arm, find_arm
from labelweave.study.section import Section

TAUGHT = ("distillation",)  # what a coupled arm can have besides


class OriginSection(Section):
    """Which evidence an arm's relations come from.

    Attributes:
        from: knowledge (the expert's tables), annotations (counts of co-labelled rows), predictions
            (of an uncoupled network, with the counts) or all; only what holds on held-out rows
            is used. Or given: the tables as they are, unchecked.
    """

    origin: Origin | Literal["given"] = Field(alias="from")


class ArmTrainingSection(Section):
    """What an arm's training can have of its own.

    Attributes:
        sampling: how batches are mixed, in place of the study's.
        weighting: how the tasks are weighed, in place of the study's.
    """

    sampling: str | dict[str, Any] | None = None
    weighting: str | dict[str, Any] | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.sampling is not None:
            sampling(self.sampling)
        if self.weighting is not None:
            weighting(self.weighting)
        return self

    def chosen(self) -> dict[str, Any]:
        """Return what is given."""
        return self.model_dump(exclude_none=True)


class ArmSection(Section):
    """An arm with relations, coupling options or a training of its own.

    Attributes:
        arm: the arm's name.
        name: what to call it in results; needed with couplings or training, for the usual arm may
            be there too.
        relations: where its relations come from; default: as ``relatedness`` says.
        noise: ``estimate``: find out how labels err, and take it into account; needs ``relations``.
        couplings: options of its couplings; they take the place of the study's. A coupled arm
            that names ``distillation`` is taught by the single-task networks besides.
        training: ``sampling`` and ``weighting`` of its own, in place of the study's.
    """

    arm: str
    name: str | None = Field(default=None, min_length=1)
    relations: OriginSection | None = None
    noise: Literal["estimate"] | None = None
    couplings: dict[str, dict[str, Any]] = Field(default={})
    training: ArmTrainingSection = ArmTrainingSection()

    @model_validator(mode="after")
    def _makes_an_arm(self) -> Self:
        if self.noise and not self.relations:
            raise ValueError(
                f"arm '{self.arm}': noise is estimated with its relations, expected "
                "'relations: {from: ...}' beside it"
            )
        arm = find_arm(self.usual)
        known = arm.couplings + (TAUGHT if arm.couplings and not arm.distils else ())
        for coupling in self.couplings:
            if coupling not in known:
                raise ValueError(
                    f"arm '{self.arm}' has no coupling '{coupling}', expected "
                    f"{listing(known) or 'none'}{nearest(coupling, known)}"
                )
        if self.training.chosen() and arm.kind != "joint":
            raise ValueError(f"arm '{self.arm}' has no joint training, found 'training'")
        own = "couplings" if self.couplings else "a training" if self.training.chosen() else ""
        if own and self.name is None:
            raise ValueError(f"arm '{self.arm}' with {own} of its own needs a 'name'")
        if self.name is not None and self.name.partition(".")[0] in ARMS:
            raise ValueError(f"'{self.name}' is what the usual arm is called, give another 'name'")
        return self

    @property
    def usual(self) -> str:
        """The name of the arm without options of its own, for example ``full.predictions``."""
        parts = [self.arm]
        if self.relations:
            parts.append(self.relations.origin)
        if self.noise:
            parts.append(NOISE)
        return ".".join(parts)

    @property
    def called(self) -> str:
        """The arm's name in results."""
        return self.name or self.usual

    def found(self) -> Arm:
        """Return the arm; its name stays that of the usual one, so that equal runs are shared."""
        arm = find_arm(self.usual)
        options = [
            f"{coupling} {key}={value}"
            for coupling, chosen in self.couplings.items()
            for key, value in chosen.items()
        ]
        trained = [f"{key} {value}" for key, value in self.training.chosen().items()]
        added = tuple(name for name in self.couplings if name not in arm.couplings)
        return replace(
            arm,
            title="; ".join([arm.title, *added, *options, *trained]),
            couplings=arm.couplings + added,
            options=self.couplings,
            training=self.training.chosen(),
        )


def _known(arms: list[str | ArmSection]) -> list[str | ArmSection]:
    for arm in arms:
        if isinstance(arm, str):
            find_arm(arm)
    named = [arm.name for arm in arms if isinstance(arm, ArmSection) and arm.name]
    for name in named:
        if named.count(name) > 1:
            raise ValueError(f"two arms are called '{name}', give each a 'name' of its own")
    return [arm if isinstance(arm, str) or arm.name else arm.called for arm in arms]


Arms = Annotated[list[str | ArmSection], AfterValidator(_known)]
