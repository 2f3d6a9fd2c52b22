"""Relatedness of tasks: what it is, where its tables come from, and the proof that they hold."""

from labelweave.relations.confusion import confusion_counts
from labelweave.relations.counting import count_relation, fit_noisy_or
from labelweave.relations.estimation import Estimate, Surprise, estimate_relations
from labelweave.relations.evidence import (
    Evidence,
    EvidenceVerdict,
    Interval,
    LabelEvidence,
    acyclic,
    evaluate_noisy_or,
    evaluate_relation,
)
from labelweave.relations.grouping import (
    NextTask,
    Proposal,
    TaskPair,
    order_tasks,
    propose,
    rank_pairs,
)
from labelweave.relations.joining import join_tables
from labelweave.relations.judging import Origin
from labelweave.relations.keeping import load_relatedness, save_relatedness
from labelweave.relations.knowledge import (
    KnownTable,
    known_table,
    known_tables,
    read_knowledge,
    read_noisy_or,
    read_relations,
)
from labelweave.relations.needs import KeptOut, Needs, learning_needs
from labelweave.relations.noise import Mislabelled, Noise, NoiseReport, estimate_noise
from labelweave.relations.noisy_or import AnyRelation, NoisyOr
from labelweave.relations.product import multiply_in
from labelweave.relations.relatedness import Relatedness, relation_to_dict
from labelweave.relations.relating import ORIGINS, relate
from labelweave.relations.relation import Relation
from labelweave.relations.reverse import reverse, source_posterior

__all__ = [
    "ORIGINS",
    "AnyRelation",
    "Estimate",
    "Evidence",
    "EvidenceVerdict",
    "Interval",
    "KeptOut",
    "KnownTable",
    "LabelEvidence",
    "Mislabelled",
    "Needs",
    "NextTask",
    "Noise",
    "NoiseReport",
    "NoisyOr",
    "Origin",
    "Proposal",
    "Relatedness",
    "Relation",
    "Surprise",
    "TaskPair",
    "acyclic",
    "confusion_counts",
    "count_relation",
    "estimate_noise",
    "estimate_relations",
    "evaluate_noisy_or",
    "evaluate_relation",
    "fit_noisy_or",
    "join_tables",
    "known_table",
    "known_tables",
    "learning_needs",
    "load_relatedness",
    "multiply_in",
    "order_tasks",
    "propose",
    "rank_pairs",
    "read_knowledge",
    "read_noisy_or",
    "read_relations",
    "relate",
    "relation_to_dict",
    "reverse",
    "save_relatedness",
    "source_posterior",
]
