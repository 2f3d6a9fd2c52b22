"""Relatedness of tasks: what it is, where its tables come from, and the proof that they hold."""

from labelweave.relations._counting import count_relation, estimate_noisy_or
from labelweave.relations._estimation import Estimate, estimate_relations
from labelweave.relations._evidence import (
    Evidence,
    evaluate_noisy_or,
    evaluate_relation,
)
from labelweave.relations._graph import (
    NextTask,
    TaskPair,
    acyclic,
    order_tasks,
    propose,
    rank_pairs,
)
from labelweave.relations._knowledge import (
    known_table,
    known_tables,
    read_knowledge,
    read_relations,
)
from labelweave.relations._label_noise import Noise, NoiseReport, estimate_noise
from labelweave.relations._noisy_or import AnyRelation, NoisyOr
from labelweave.relations._operations import join_tables, multiply_in, reverse, source_posterior
from labelweave.relations._relate import ORIGINS, Origin, relate
from labelweave.relations._relatedness import (
    Relatedness,
    load_relatedness,
    relation_to_dict,
    save_relatedness,
)
from labelweave.relations._relation import Relation
from labelweave.relations._transfer_weights import (
    FADE,
    HeldOut,
    LabelCounts,
    TransferWeights,
    estimate_transfer_weights,
    label_counts,
    prior_transfer_weights,
)

__all__ = [
    "FADE",
    "ORIGINS",
    "AnyRelation",
    "Estimate",
    "Evidence",
    "HeldOut",
    "LabelCounts",
    "NextTask",
    "Noise",
    "NoiseReport",
    "NoisyOr",
    "Origin",
    "Relatedness",
    "Relation",
    "TaskPair",
    "TransferWeights",
    "acyclic",
    "count_relation",
    "estimate_noise",
    "estimate_noisy_or",
    "estimate_relations",
    "estimate_transfer_weights",
    "evaluate_noisy_or",
    "evaluate_relation",
    "join_tables",
    "known_table",
    "known_tables",
    "label_counts",
    "load_relatedness",
    "multiply_in",
    "order_tasks",
    "prior_transfer_weights",
    "propose",
    "rank_pairs",
    "read_knowledge",
    "read_relations",
    "relate",
    "relation_to_dict",
    "reverse",
    "save_relatedness",
    "source_posterior",
]
