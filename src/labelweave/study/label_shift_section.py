"""Class priors in a study file."""

from typing import Any, Literal

from labelweave.study.section import Section


class LabelShiftSection(Section):
    """Class priors that differ between sources, and between training and prediction.

    Attributes:
        training: ``adjust`` = every source has class priors of its own, known from its labels or
            through the relations, and all losses of a row see its source's; ``none`` = one for all.
        prediction: the class prior that predictions assume: ``training`` (the shares among the
            labelled training rows), ``population`` (among all of them, as far as relations tell),
            ``uniform``, ``rows`` (estimated by EM on the rows predicted), or per task each class
            with its share.
    """

    training: Literal["none", "adjust"] = "none"
    prediction: Literal["training", "population", "uniform", "rows"] | dict[str, Any] = "training"
