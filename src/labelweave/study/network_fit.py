"""Whether a network fits what the inputs of a study become."""

from labelweave.study.inputs_section import InputsSection
from labelweave.study.network_section import NetworkSection
from labelweave.training import TrainingConfig

COLUMNS_ONLY = ("linear", "mlp")  # backbones


def check_network(network: NetworkSection, inputs: InputsSection, training: TrainingConfig) -> None:
    """Check the section ``network`` of a study file against its inputs.

    Args:
        network: the backbone.
        inputs: decides whether it gets columns, images or tokens.
        training: may augment images.

    Raises:
        ValueError: they do not fit; names the key.
    """
    name, pixels = network.backbone, inputs.pixels
    if pixels and name in COLUMNS_ONLY:
        raise ValueError(
            f"key 'network': the backbone '{name}' takes columns, found images; expected 'cnn'"
        )
    if inputs.tokens and name in (*COLUMNS_ONLY, "cnn"):
        raise ValueError(
            f"key 'network': the backbone '{name}' takes no tokens of texts, expected 'hf:...'"
        )
    if training.augment is not None and not pixels:
        raise ValueError(
            "key 'training.augment': changes images that go to the network, found none"
        )
    if not pixels and (name == "cnn") != (network.shape is not None):
        found = "none" if network.shape is None else f"it for '{name}'"
        raise ValueError(
            f"key 'network': the backbone 'cnn', and it alone, needs 'shape'; found {found}"
        )
    if pixels and network.shape is not None:
        raise ValueError("key 'network.shape': images bring their own, see 'inputs.image.size'")
