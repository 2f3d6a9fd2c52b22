"""Evidence: whether a relation helps to predict, and which relations may couple tasks."""

from labelweave.relations.evidence.evaluation import evaluate_noisy_or, evaluate_relation
from labelweave.relations.evidence.evidence import (
    Evidence,
    EvidenceVerdict,
    Interval,
    LabelEvidence,
)
from labelweave.relations.evidence.forest import acyclic

__all__ = [
    "Evidence",
    "EvidenceVerdict",
    "Interval",
    "LabelEvidence",
    "acyclic",
    "evaluate_noisy_or",
    "evaluate_relation",
]
