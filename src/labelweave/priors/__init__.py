"""Class priors: of sources, of training, and the one that predictions assume."""

from labelweave.priors.adjustment import adjust, estimate_prior
from labelweave.priors.assumed import NAMES, AssumedPrior, PriorChoice, assumed_prior
from labelweave.priors.labelled import (
    labelled_prior,
    log_odds,
    population_prior,
    source_priors,
    spoken_prior,
)

__all__ = [
    "NAMES",
    "AssumedPrior",
    "PriorChoice",
    "adjust",
    "assumed_prior",
    "estimate_prior",
    "labelled_prior",
    "log_odds",
    "population_prior",
    "source_priors",
    "spoken_prior",
]
