import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from labelweave.data import ImageFormat
from labelweave.data import _image_files as image_cache
from labelweave.data import _row_store as row_store
from labelweave.data._batches import gatherer
from labelweave.data._image_files import CachedImages, cache_images, decode_image
from labelweave.data._row_store import Block, RowStore, StoredInputs, as_keys
from labelweave.errors import LabelweaveError

FORM = ImageFormat(4, 6)


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    found = [tmp_path / f"{name}.png" for name in "abcde"]
    for path in found:
        Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).save(path)
    return [str(path) for path in found]


def cached(paths: list[str], folder: Path, **options: object) -> CachedImages:
    return cache_images(paths, FORM, folder / "cache", progress=False, **options)


def pixels_of(found: CachedImages) -> np.ndarray:
    return found.store.array()[found.store.find(found.keys)]


def expected(paths: list[str]) -> np.ndarray:
    return np.stack([decode_image(Path(path).read_bytes(), FORM) for path in paths])


def no_more_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(image_cache, "_decode_block", refuse)


def test_the_cache_holds_the_pixels_memory_mapped(paths, tmp_path):
    found = cached(paths, tmp_path)
    assert isinstance(found.store.array(), np.memmap)
    assert found.store.array().dtype == np.uint8
    np.testing.assert_array_equal(pixels_of(found), expected(paths))


def test_a_second_call_reads_no_file(paths, tmp_path, monkeypatch):
    cached(paths, tmp_path)
    no_more_decoding(monkeypatch)
    again = [paths[3], paths[0], paths[3]]
    np.testing.assert_array_equal(pixels_of(cached(again, tmp_path)), expected(again))


def test_a_changed_file_is_read_again_and_a_copy_takes_no_room(paths, tmp_path):
    first = cached(paths, tmp_path)
    Path(paths[0]).write_bytes(Path(paths[1]).read_bytes())
    os.utime(paths[0], ns=(1, 1))
    second = cached(paths, tmp_path)
    assert second.keys[0] == second.keys[1] != first.keys[0]
    assert len(second.store) == len(paths)
    np.testing.assert_array_equal(pixels_of(second), expected(paths))


def test_another_format_has_a_separate_store(paths, tmp_path):
    cached(paths, tmp_path)
    form = ImageFormat(3, 3, "grey", "crop")
    found = cache_images(paths, form, tmp_path / "cache", progress=False)
    assert found.store.array().shape == (5, 1, 3, 3)


def test_damaged_files_are_named_and_the_others_are_there(paths, tmp_path):
    Path(paths[1]).write_bytes(b"no image")
    found = cached([*paths, "nowhere.png"], tmp_path)
    assert found.damaged == {
        paths[1]: "not an image in PNG, JPEG, WebP, BMP, PGM or PPM",
        "nowhere.png": "no such file",
    }
    assert [key is None for key in found.keys] == [False, True, False, False, False, True]
    assert len(found.store) == 4


def test_an_interrupted_call_goes_on_where_it_stopped(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(image_cache, "BLOCK", 2)
    decoded: list[str] = []
    whole = image_cache._decode_block

    def some(block: list[str], form: ImageFormat) -> object:
        if len(decoded) >= 2:
            raise KeyboardInterrupt
        decoded.extend(block)
        return whole(block, form)

    monkeypatch.setattr(image_cache, "_decode_block", some)
    with pytest.raises(KeyboardInterrupt):
        cached(paths, tmp_path)
    seen: list[str] = []

    def rest(block: list[str], form: ImageFormat) -> object:
        seen.extend(block)
        return whole(block, form)

    monkeypatch.setattr(image_cache, "_decode_block", rest)
    np.testing.assert_array_equal(pixels_of(cached(paths, tmp_path)), expected(paths))
    assert decoded == paths[:2]
    assert seen == paths[2:]


def test_several_processes_give_the_same(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(image_cache, "PARALLEL", 1)
    monkeypatch.setattr(image_cache, "BLOCK", 2)
    found = cached(paths, tmp_path, jobs=2)
    np.testing.assert_array_equal(found.store.array(), expected(paths))


def test_a_row_without_its_key_is_written_again(tmp_path):
    store = RowStore(tmp_path, (2,), "int32", "numbers")
    rows = {f"{number:032x}": np.array([number, 7]) for number in range(3)}
    with store.adding(2) as adder:
        adder.add(list(rows)[:2], list(rows.values())[:2])
    with (tmp_path / "rows.bin").open("ab") as file:
        file.write(b"half a")
    again = RowStore(tmp_path, (2,), "int32", "numbers")
    with again.adding(1) as adder:
        adder.add(list(rows), list(rows.values()))
    np.testing.assert_array_equal(again.array(), list(rows.values()))
    assert again.find(list(rows)[::-1]).tolist() == [2, 1, 0]


def test_a_store_of_something_else_is_refused(tmp_path):
    RowStore(tmp_path, (2,), "int32", "numbers")
    with pytest.raises(LabelweaveError, match="holds something else; remove the folder"):
        RowStore(tmp_path, (2,), "int32", "other numbers")


def test_a_disk_too_full_is_reported_before_anything_is_written(tmp_path, monkeypatch):
    class Usage:
        free = 10**9

    monkeypatch.setattr(row_store.shutil, "disk_usage", lambda _: Usage)
    store = RowStore(tmp_path, (1000, 1000), "uint8", "images")
    with pytest.raises(LabelweaveError) as error, store.adding(3000):
        pass
    assert str(error.value) == f"{tmp_path}: 3000 rows need 3.0 GB, found 1.0 GB free"


def test_batches_of_pixels_are_their_rows_in_the_same_memory(paths, tmp_path):
    found = cached(paths, tmp_path)
    places = found.store.find(found.keys)[::-1].copy()
    inputs = StoredInputs([Block(found.store.array(), places, as_keys(found.keys[::-1]))])
    gather = gatherer(inputs, "cpu")
    memory = set()
    for rows in ([4, 0, 0], [1, 2, 3]):
        batch = gather(torch.tensor(rows))
        memory.add(batch.data_ptr())
        np.testing.assert_array_equal(batch.numpy(), expected(paths)[::-1][rows])
    assert len(memory) == 1
    with pytest.raises(IndexError):
        gather(torch.tensor([0, 5]))
