"""Relations estimated from an expert, from co-labelled rows and from predictions."""

from labelweave.relations.estimation.estimate import Estimate, Surprise
from labelweave.relations.estimation.estimation import estimate_relations

__all__ = ["Estimate", "Surprise", "estimate_relations"]
