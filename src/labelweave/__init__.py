"""labelweave: one network for several tasks, from data sets that each carry some of the labels."""

from typing import TYPE_CHECKING

from labelweave._lazy import lazy_face

__version__ = "0.1.0"

if TYPE_CHECKING:
    from labelweave._trust import trust_packages
    from labelweave.annotations import Annotations
    from labelweave.data import Source
    from labelweave.errors import LabelweaveError, TrainingError
    from labelweave.estimator import MultiTaskClassifier
    from labelweave.experiments import Study
    from labelweave.model import Model
    from labelweave.relations import NoisyOr, Relatedness, Relation, read_knowledge, relate
    from labelweave.serving import load
    from labelweave.tables import read_table
    from labelweave.tasks import Binary, Multiclass, Multilabel

__all__ = [
    "Annotations",
    "Binary",
    "LabelweaveError",
    "Model",
    "MultiTaskClassifier",
    "Multiclass",
    "Multilabel",
    "NoisyOr",
    "Relatedness",
    "Relation",
    "Source",
    "Study",
    "TrainingError",
    "load",
    "read_knowledge",
    "read_table",
    "relate",
    "trust_packages",
]

_HOMES = {
    "annotations": ["Annotations"],
    "tasks": ["Binary", "Multiclass", "Multilabel"],
    "errors": ["LabelweaveError", "TrainingError"],
    "model": ["Model"],
    "estimator": ["MultiTaskClassifier"],
    "relations": ["NoisyOr", "Relatedness", "Relation", "read_knowledge", "relate"],
    "data": ["Source"],
    "experiments": ["Study"],
    "serving": ["load"],
    "tables": ["read_table"],
    "_trust": ["trust_packages"],
}

if not TYPE_CHECKING:  # PyTorch takes seconds to load, `labelweave --version` must not
    __getattr__, __dir__ = lazy_face(__name__, _HOMES)
