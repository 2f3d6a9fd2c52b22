"""One image file: read, turned upright, resized; never more than the file says it is."""

import hashlib
import io
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Mode = Literal["rgb", "grey"]
Fit = Literal["stretch", "crop", "pad"]
Pixels = NDArray[np.uint8]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".pgm", ".ppm")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "PPM")  # no other decoder of Pillow is let near a file
LARGEST = 100_000_000  # pixels; what claims more is a decompression bomb, or wants resizing first
CHANNELS = {"rgb": 3, "grey": 1}


class UnreadableImageError(Exception):
    """An image cannot be used; the message is the reason, without the file's name."""


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
    fit: Fit = "stretch"

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
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise UnreadableImageError("no such file") from None
    except OSError as error:
        raise UnreadableImageError(f"cannot be read ({error.strerror})") from None


def decode(data: bytes, form: ImageFormat) -> Pixels:
    """Return the pixels of an image file, uint8 (channels, height, width).

    PNG, JPEG, WebP, BMP, PGM and PPM; grey, colour or palette, 8 or 16 bits; the first frame. The
    EXIF orientation is applied, transparency ignored. A JPEG far larger than needed is decoded at
    a half, a quarter or an eighth of its size.

    Raises:
        UnreadableImageError: not such a file, damaged, or of more than 100 million pixels.
    """
    kind = "RGB" if form.mode == "rgb" else "L"
    size = form.width, form.height
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of what is refused here, or does not matter
        try:
            image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
            if image.width * image.height > LARGEST:
                raise UnreadableImageError(_too_large(f"{image.width} x {image.height} pixels"))
            image.draft(kind, (2 * max(size), 2 * max(size)))
            image = ImageOps.exif_transpose(image)
            pixels = np.asarray(_resized(_eight_bits(image).convert(kind), size, form.fit))
        except UnreadableImageError:
            raise
        except Image.DecompressionBombError:
            raise UnreadableImageError(_too_large("more than that many pixels")) from None
        except UnidentifiedImageError:
            raise UnreadableImageError("not an image in PNG, JPEG, WebP, BMP, PGM or PPM") from None
        except Exception as error:  # a decoder given a damaged file may raise anything
            raise UnreadableImageError(f"damaged ({error})") from None
    shaped = pixels[None] if form.mode == "grey" else pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(shaped)


def _too_large(found: str) -> str:
    return f"found {found}, expected at most {LARGEST // 1_000_000} million"


def _eight_bits(image: Image.Image) -> Image.Image:
    if not image.mode.startswith("I"):
        return image
    # 16 bits: Pillow's own conversion would cut at 255
    return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))


def _resized(image: Image.Image, size: tuple[int, int], fit: Fit) -> Image.Image:
    way = Image.Resampling.BICUBIC
    if image.size == size:
        return image
    if fit == "crop":
        return ImageOps.fit(image, size, way)
    if fit == "pad":
        return ImageOps.pad(image, size, way, color=0)
    return image.resize(size, way)
