"""Co-annotation: a label of one task supervises a task that has none on this sample."""

from collections.abc import Sequence

from torch import nn

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.losses.columns import ColumnBatch, Columns
from labelweave.losses.coupling import Coupling
from labelweave.losses.hard import HardClasses, HardLabels
from labelweave.losses.marginal import MarginalLikelihood
from labelweave.losses.need import Needs
from labelweave.losses.paper_scores import PaperScores
from labelweave.losses.posterior import Posterior
from labelweave.losses.soft_labels import SoftLabels
from labelweave.losses.terms import Terms, join
from labelweave.relations import Noise, Relation

FORWARD = ("soft_labels", "hard")
BACKWARD = ("marginal", "posterior", "paper", "hard")


class CoAnnotation(Coupling):
    """Co-annotation in both directions, each by the name of its form.

    Args:
        relations: the relations to couple by.
        forward: how labelled sources teach targets, a name of `FORWARD`; None = not.
        backward: how labelled targets teach sources, a name of `BACKWARD`; None = not.
        temperature: of the backward form ``paper``, above 0; the others have none.
        smoothing: see `RelationStacks`; ``paper`` and ``hard`` take the tables as they are.
        columns: see `Coupling`.
        noise: how labels of targets err: ``marginal`` and ``posterior`` take it into account.

    Raises:
        LabelweaveError: an unknown form, both directions are off, or noise with a backward form
            that takes labels as they are.
    """

    def __init__(
        self,
        relations: Sequence[Relation],
        forward: str | None = "soft_labels",
        backward: str | None = "marginal",
        temperature: float = 1.0,
        smoothing: float = 0.01,
        columns: Columns | None = None,
        noise: Sequence[Noise] = (),
        needs: Needs | None = None,
    ) -> None:
        check_forms(forward, backward)
        if noise and backward in ("paper", "hard"):
            raise LabelweaveError(
                f"co-annotation: backward form '{backward}' takes labels as they are, expected "
                "marginal, posterior or null where labels are noisy"
            )
        super().__init__(columns or Columns.of(relations))
        parts: list[Coupling] = []
        if forward == "soft_labels":
            parts.append(SoftLabels(relations, smoothing, self.columns, needs))
        elif forward == "hard":
            parts.append(HardLabels(relations, self.columns))
        if backward == "paper":
            parts.append(PaperScores(relations, temperature, self.columns))
        elif backward == "hard":
            parts.append(HardClasses(relations, self.columns))
        elif backward is not None:
            form = MarginalLikelihood if backward == "marginal" else Posterior
            parts.append(form(relations, smoothing, self.columns, noise, needs))
        self.parts = nn.ModuleList(parts)
        self.names = tuple(name for part in parts for name in part.names)

    @property
    def multiples(self) -> tuple[float, ...]:
        """Those of both directions."""
        return tuple(multiple for part in self.parts for multiple in part.multiples)  # type: ignore[union-attr]

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return the terms of both directions."""
        return join([part.terms(batch) for part in self.parts])  # type: ignore[operator]


def check_forms(forward: str | None, backward: str | None) -> None:
    """Check the names of both directions.

    Raises:
        LabelweaveError: an unknown form, or both directions are off.
    """
    _check("forward", forward, FORWARD)
    _check("backward", backward, BACKWARD)
    if forward is None and backward is None:
        raise LabelweaveError(
            "co-annotation: forward and backward are both off, expected at least one form"
        )


def _check(direction: str, form: str | None, known: Sequence[str]) -> None:
    if form is not None and form not in known:
        raise LabelweaveError(
            f"unknown {direction} form '{form}', expected {listing(known)}{nearest(form, known)}"
        )
