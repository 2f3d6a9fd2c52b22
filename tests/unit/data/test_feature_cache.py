import numpy as np
import pytest
from encoders_example import Letters

from labelweave.data import _frozen_encoders as feature_cache
from labelweave.data._frozen_encoders import cache_features, encoded
from labelweave.data._image_files import content_key
from labelweave.data._row_store import RowStore
from labelweave.errors import LabelweaveError

TEXTS = ["dog", "a good old dog", "", "odd", "dog", "goose"]


def cached(texts, encoder, folder, **options) -> RowStore:
    keys = [content_key(text.encode()) for text in texts]
    return cache_features(
        keys, lambda rows: [texts[row] for row in rows], encoder, folder, "",
        lengths=[len(text) for text in texts], progress=False, **options,
    )  # fmt: skip


def features_of(texts, store: RowStore) -> np.ndarray:
    return store.array()[store.find([content_key(text.encode()) for text in texts])]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(feature_cache, "BLOCK", 4)
    monkeypatch.setattr(feature_cache, "BATCH", 2)


def test_features_are_float16_and_memory_mapped_and_each_item_is_encoded_once(tmp_path):
    encoder = Letters()
    store = cached(TEXTS, encoder, tmp_path)
    assert isinstance(store.array(), np.memmap)
    assert store.array().dtype == np.float16
    np.testing.assert_array_equal(features_of(TEXTS, store), Letters()(TEXTS))
    # in blocks, by length inside
    assert encoder.batches == [["", "dog"], ["odd", "a good old dog"], ["goose"]]


def test_a_second_call_encodes_what_is_new(tmp_path):
    cached(TEXTS, Letters(), tmp_path)
    again = Letters()
    cached([*TEXTS, "new"], again, tmp_path)
    assert again.batches == [["new"]]


def test_an_interrupted_call_goes_on_from_the_last_block(tmp_path):
    class Broken(Letters):
        def __call__(self, texts):
            if len(self.batches) == 2:
                raise KeyboardInterrupt
            return super().__call__(texts)

    with pytest.raises(KeyboardInterrupt):
        cached(TEXTS, Broken(), tmp_path)
    rest = Letters()
    np.testing.assert_array_equal(
        features_of(TEXTS, cached(TEXTS, rest, tmp_path)), Letters()(TEXTS)
    )
    assert rest.batches == [["goose"]]


def test_another_encoder_has_a_separate_store(tmp_path):
    class Newer(Letters):
        name = "letters 2"

    cached(TEXTS, Letters(), tmp_path)
    newer = Newer()
    cached(TEXTS, newer, tmp_path)
    assert sum(map(len, newer.batches)) == 5


def test_features_without_a_cache_are_the_same():
    np.testing.assert_array_equal(encoded(TEXTS, Letters()), Letters()(TEXTS))
    assert encoded([], Letters()).shape == (0, 4)


def test_what_an_encoder_must_not_give(tmp_path):
    class Wide(Letters):
        def __call__(self, texts):
            return np.zeros((len(texts), 5), np.float32)

    class Large(Letters):
        def __call__(self, texts):
            return np.full((len(texts), 4), 1e6, np.float32)

    with pytest.raises(LabelweaveError) as error:
        cached(TEXTS, Wide(), tmp_path)
    assert str(error.value) == "letters 1: gave features of shape (2, 5), expected (2, 4)"
    with pytest.raises(LabelweaveError) as error:
        cached(TEXTS, Large(), tmp_path)
    assert str(error.value) == "letters 1: gave a feature that is not finite in float16"
