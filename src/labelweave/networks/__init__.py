"""Networks: shared backbones and the heads of the tasks."""

from typing import TYPE_CHECKING

from labelweave._lazy import lazy_face

if TYPE_CHECKING:
    from labelweave.networks._backbones import BACKBONES, backbone
    from labelweave.networks._layers import Backbone
    from labelweave.networks._multi_task import MultiTaskNetwork, probabilities
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "_backbones": ["BACKBONES", "backbone"],
            "_layers": ["Backbone"],
            "_multi_task": ["MultiTaskNetwork", "probabilities"],
        },
    )

__all__ = [
    "BACKBONES",
    "Backbone",
    "MultiTaskNetwork",
    "backbone",
    "probabilities",
]
