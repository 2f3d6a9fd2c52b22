"""labelweave: one network for several tasks, from data sets that each carry some of the labels."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_HOME = {
    "Annotations": "annotations",
    "Binary": "tasks",
    "LabelweaveError": "errors",
    "Model": "model",
    "MultiTaskClassifier": "estimator",
    "Multiclass": "tasks",
    "Multilabel": "tasks",
    "NoisyOr": "relations",
    "Relatedness": "relations",
    "Relation": "relations",
    "Source": "data",
    "Study": "experiments",
    "TrainingError": "errors",
    "load": "serving",
    "read_knowledge": "relations",
    "read_table": "tables",
    "relate": "relations",
    "trust_packages": "_trust",
}


def __getattr__(name: str) -> Any:
    # loaded at first use: PyTorch takes seconds, `labelweave --version` must not
    if name not in _HOME:
        raise AttributeError(f"module 'labelweave' has no attribute '{name}'")
    return getattr(import_module(f"labelweave.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
