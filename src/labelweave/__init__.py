"""labelweave: one network for several tasks, from data sets that each carry some of the labels."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from labelweave._trust import trust
    from labelweave.annotations import Annotations
    from labelweave.data import Collection, Source
    from labelweave.errors import LabelweaveError, TrainingError
    from labelweave.estimator import MultiTaskClassifier
    from labelweave.experiments import Study
    from labelweave.losses import CoAnnotation, DistributionMatching, Objective
    from labelweave.model import Model
    from labelweave.networks import MultiTaskNetwork
    from labelweave.relations import Relatedness, Relation, count_relation, read_knowledge, relate
    from labelweave.tables import read_table, table_source
    from labelweave.tasks import Binary, Multiclass, Multilabel
    from labelweave.training import Trainer, TrainingConfig

_HOME = {
    "Annotations": "annotations",
    "Binary": "tasks",
    "CoAnnotation": "losses",
    "Collection": "data",
    "DistributionMatching": "losses",
    "LabelweaveError": "errors",
    "Model": "model",
    "MultiTaskClassifier": "estimator",
    "MultiTaskNetwork": "networks",
    "Multiclass": "tasks",
    "Multilabel": "tasks",
    "Objective": "losses",
    "Relatedness": "relations",
    "Relation": "relations",
    "Source": "data",
    "Study": "experiments",
    "Trainer": "training",
    "TrainingConfig": "training",
    "TrainingError": "errors",
    "count_relation": "relations",
    "read_knowledge": "relations",
    "read_table": "tables",
    "relate": "relations",
    "table_source": "tables",
    "trust": "_trust",
}

__all__ = [
    "Annotations",
    "Binary",
    "CoAnnotation",
    "Collection",
    "DistributionMatching",
    "LabelweaveError",
    "Model",
    "MultiTaskClassifier",
    "MultiTaskNetwork",
    "Multiclass",
    "Multilabel",
    "Objective",
    "Relatedness",
    "Relation",
    "Source",
    "Study",
    "Trainer",
    "TrainingConfig",
    "TrainingError",
    "count_relation",
    "read_knowledge",
    "read_table",
    "relate",
    "table_source",
    "trust",
]


def __getattr__(name: str) -> Any:
    # loaded at first use: PyTorch takes seconds, `labelweave --version` must not
    if name not in _HOME:
        raise AttributeError(f"module 'labelweave' has no attribute '{name}'")
    return getattr(import_module(f"labelweave.{_HOME[name]}"), name)
