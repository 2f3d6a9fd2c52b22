"""A trained model in use: the final model of a study, its predictions, its export.

>>> folder = finish("study.yaml")                                 # doctest: +SKIP
>>> model = labelweave.load(folder)                               # doctest: +SKIP
>>> model.predict(rows)["species"]                                # doctest: +SKIP
>>> export_model(folder, rows=rows)                               # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from labelweave._lazy import lazy_face

if TYPE_CHECKING:
    from labelweave.serving._export import Export, Int8Loss, export_model
    from labelweave.serving._final import Expected, FinalFacts, FinalModel, load
    from labelweave.serving._finish import finish
    from labelweave.serving._forgetting import Forgetting, forget
    from labelweave.serving._monitor import Monitoring, Signal, TaskOutlook, monitor
    from labelweave.serving._prediction import predict_parquet, prediction_table, prediction_tables
    from labelweave.serving._private_model import PrivateModel, finish_private
    from labelweave.serving._update import Update, UpdatedTask, rollback, update
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "_export": ["Export", "Int8Loss", "export_model"],
            "_final": ["Expected", "FinalFacts", "FinalModel", "load"],
            "_finish": ["finish"],
            "_forgetting": ["Forgetting", "forget"],
            "_monitor": ["Monitoring", "Signal", "TaskOutlook", "monitor"],
            "_prediction": ["predict_parquet", "prediction_table", "prediction_tables"],
            "_private_model": ["PrivateModel", "finish_private"],
            "_update": ["Update", "UpdatedTask", "rollback", "update"],
        },
    )

__all__ = [
    "Expected",
    "Export",
    "FinalFacts",
    "FinalModel",
    "Forgetting",
    "Int8Loss",
    "Monitoring",
    "PrivateModel",
    "Signal",
    "TaskOutlook",
    "Update",
    "UpdatedTask",
    "export_model",
    "finish",
    "finish_private",
    "forget",
    "load",
    "monitor",
    "predict_parquet",
    "prediction_table",
    "prediction_tables",
    "rollback",
    "update",
]
