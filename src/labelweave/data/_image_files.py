"""One image file: read, turned upright, resized; never more than the file says it is."""

import hashlib
import io
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from labelweave._files import read_regular
from labelweave._processes import worker_pool
from labelweave._progress import items_bar
from labelweave.data._row_store import FileIndex, RowStore
from labelweave.errors import LabelweaveError

Mode = Literal["rgb", "grey"]
Resizing = Literal["stretch", "crop", "pad"]
Pixels = NDArray[np.uint8]

# no other decoder of Pillow is let near a file
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "PPM", "TIFF")
LARGEST_FILE = 1 << 28  # bytes
LARGEST = 100_000_000  # pixels; what claims more is a decompression bomb, or wants resizing first
CHANNELS = {"rgb": 3, "grey": 1}


class UnreadableImageError(Exception):
    """An image cannot be used; the message is the reason, without the file's name."""


class TooManyPixelsError(UnreadableImageError):
    """An image has more pixels than are allowed."""


@dataclass(frozen=True)
class ImageFormat:
    """What images become.

    Attributes:
        height: pixels.
        width: pixels.
        mode: ``rgb`` (3 channels) or ``grey`` (1).
        fit: how an image of other proportions gets there: ``stretch``; ``crop`` = fill and cut what
            stands over, from the middle; ``pad`` = fit in, with black around.
    """

    height: int = 224
    width: int = 224
    mode: Mode = "rgb"
    fit: Resizing = "stretch"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return CHANNELS[self.mode], self.height, self.width

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


def content_key(data: bytes) -> str:
    """Return the hash that names a content, 32 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def read_bytes(path: str) -> bytes:
    """Return a file's bytes.

    Raises:
        UnreadableImageError: no such file, or it cannot be read.
    """
    try:
        return read_regular(path, LARGEST_FILE)
    except FileNotFoundError:
        raise UnreadableImageError("no such file") from None
    except LabelweaveError as error:  # a pipe, a device, or too large
        raise UnreadableImageError(error.reason) from None
    except OSError as error:
        raise UnreadableImageError(f"cannot be read ({error.strerror})") from None


def decode_image(data: bytes, form: ImageFormat, largest: int = LARGEST) -> Pixels:
    """Return the pixels of an image file, uint8 (channels, height, width).

    PNG, JPEG, WebP, BMP, PGM and PPM; grey, colour or palette, 8 or 16 bits; the first frame. The
    EXIF orientation is applied, transparency ignored. A JPEG far larger than needed is decoded at
    a half, a quarter or an eighth of its size.

    Args:
        data: the file's content.
        form: what it becomes.
        largest: pixels at most.

    Raises:
        UnreadableImageError: not such a file, or damaged.
        TooManyPixelsError: more pixels; nothing is decoded then.
    """
    kind = "RGB" if form.mode == "rgb" else "L"
    size = form.width, form.height
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of what is refused here, or does not matter
        try:
            image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
            if image.width * image.height > largest:
                raise _too_large(f"{image.width} x {image.height} pixels", largest)
            image.draft(kind, (2 * max(size), 2 * max(size)))
            image = ImageOps.exif_transpose(image)
            pixels = np.asarray(_resized(_eight_bits(image).convert(kind), size, form.fit))
        except UnreadableImageError:
            raise
        except Image.DecompressionBombError:
            raise _too_large("more than that many pixels", largest) from None
        except UnidentifiedImageError:
            raise UnreadableImageError("not an image in PNG, JPEG, WebP, BMP, PGM or PPM") from None
        except Exception as error:  # a decoder given a damaged file may raise anything
            raise UnreadableImageError(f"damaged ({error})") from None
    shaped = pixels[None] if form.mode == "grey" else pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(shaped)


def _too_large(found: str, largest: int) -> TooManyPixelsError:
    return TooManyPixelsError(f"found {found}, expected at most {largest // 1_000_000} million")


def _eight_bits(image: Image.Image) -> Image.Image:
    if not image.mode.startswith("I"):
        return image
    # 16 bits: Pillow's own conversion would cut at 255
    return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))


def _resized(image: Image.Image, size: tuple[int, int], fit: Resizing) -> Image.Image:
    way = Image.Resampling.BICUBIC
    if image.size == size:
        return image
    if fit == "crop":
        return ImageOps.fit(image, size, way)
    if fit == "pad":
        return ImageOps.pad(image, size, way, color=0)
    return image.resize(size, way)


BLOCK = 64  # images a process decodes at a time; what an interruption costs at most, a process
PARALLEL = 512  # images below which starting processes takes longer than decoding
SAVE_SECONDS = 30.0

Decoded = tuple[str, Pixels | None, str]  # key, pixels, and why there are none


@dataclass(frozen=True)
class CachedImages:
    """The images of n paths.

    Attributes:
        store: the pixels, uint8 (channels, height, width) a row.
        keys: the key of every path's content; None = its image cannot be used.
        damaged: by path, why its image cannot be used.
    """

    store: RowStore
    keys: list[str | None]
    damaged: dict[str, str]


def cache_images(
    paths: Sequence[str],
    form: ImageFormat,
    cache: Path,
    *,
    jobs: int | None = None,
    progress: bool = True,
) -> CachedImages:
    """Decode images that the cache lacks, in several processes, and return where all are.

    A file is known by size and time of its last change, so that a second call reads none; what it
    becomes is kept by its content, so that a copy under another name costs nothing more. An
    interrupted call goes on where it stopped.

    Args:
        paths: absolute, or relative to the working folder; one may come several times.
        form: what the images become.
        cache: folder of the cache, made where needed.
        jobs: processes; None = one a core.
        progress: show a bar when on a terminal.

    Raises:
        LabelweaveError: the cache cannot be written, or the disk is too full.
    """
    about = f"images {form.mode} {form.fit}"
    name = f"images-{form.width}x{form.height}-{form.mode}-{form.fit}"
    store = RowStore(cache / name, form.shape, "uint8", about)
    index = FileIndex(cache / "files.parquet")
    unique = list(dict.fromkeys(paths))
    keys: dict[str, str | None] = {path: index.key(path) for path in unique}
    waiting = [path for path, key in keys.items() if key is None or key not in store]
    damaged: dict[str, str] = {}
    if waiting:
        from joblib import cpu_count, delayed

        workers = 1 if len(waiting) < PARALLEL else jobs or cpu_count()
        blocks = [waiting[i : i + BLOCK] for i in range(0, len(waiting), BLOCK)]
        parallel = worker_pool(workers, "generator")
        calls = (delayed(_decode_block)(block, form) for block in blocks)
        saved = time.monotonic()
        try:
            with store.adding(len(waiting)) as adder, items_bar(progress) as bar:
                shown = bar.add_task("reading images", total=len(waiting))
                for block, found in zip(blocks, parallel(calls), strict=True):
                    good = [(key, pixels) for key, pixels, _ in found if pixels is not None]
                    adder.add([key for key, _ in good], [pixels for _, pixels in good])
                    for path, (key, pixels, reason) in zip(block, found, strict=True):
                        keys[path] = key if pixels is not None else None
                        if pixels is None:
                            damaged[path] = reason
                        else:
                            index.note(path, key)
                    bar.advance(shown, len(block))
                    if time.monotonic() - saved > SAVE_SECONDS:
                        index.save()
                        saved = time.monotonic()
        finally:
            index.save()
    return CachedImages(store, [keys[path] for path in paths], damaged)


def _decode_block(paths: Sequence[str], form: ImageFormat) -> list[Decoded]:
    found: list[Decoded] = []
    for path in paths:
        try:
            data = read_bytes(path)
            found.append((content_key(data), decode_image(data, form), ""))
        except UnreadableImageError as error:
            found.append(("", None, str(error)))
    return found
