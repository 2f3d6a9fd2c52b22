"""Relatedness of tasks: what it is, where its tables come from, and the proof that they hold."""

from labelweave.relations._counting import count_relation, estimate_noisy_or
from labelweave.relations._estimation import EstimatedRelation, estimate_relations
from labelweave.relations._evidence import (
    Evidence,
    evaluate_noisy_or,
    evaluate_relation,
)
from labelweave.relations._graph import TaskPair, propose, rank_pairs
from labelweave.relations._knowledge import (
    known_table,
    known_tables,
    read_knowledge,
    read_relations,
)
from labelweave.relations._label_noise import Noise, NoiseReport, estimate_noise
from labelweave.relations._noisy_or import AnyRelation, NoisyOr
from labelweave.relations._operations import reverse, source_posterior
from labelweave.relations._relate import relate
from labelweave.relations._relatedness import Relatedness, load_relatedness, save_relatedness
from labelweave.relations._relation import Relation
from labelweave.relations._transfer_weights import (
    HeldOut,
    TransferWeights,
    estimate_transfer_weights,
)

__all__ = [
    "AnyRelation",
    "EstimatedRelation",
    "Evidence",
    "HeldOut",
    "Noise",
    "NoiseReport",
    "NoisyOr",
    "Relatedness",
    "Relation",
    "TaskPair",
    "TransferWeights",
    "count_relation",
    "estimate_noise",
    "estimate_noisy_or",
    "estimate_relations",
    "estimate_transfer_weights",
    "evaluate_noisy_or",
    "evaluate_relation",
    "known_table",
    "known_tables",
    "load_relatedness",
    "propose",
    "rank_pairs",
    "read_knowledge",
    "read_relations",
    "relate",
    "reverse",
    "save_relatedness",
    "source_posterior",
]
