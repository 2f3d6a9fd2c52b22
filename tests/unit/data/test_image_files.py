import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from labelweave.data import ImageFormat
from labelweave.data._image_files import UnreadableImageError, decode_image

HALVES = np.zeros((8, 16), np.uint8)
HALVES[:, 8:] = 200  # left dark, right bright
GREY = ImageFormat(8, 16, "grey")


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def refused(data: bytes, form: ImageFormat = GREY) -> str:
    with pytest.raises(UnreadableImageError) as error:
        decode_image(data, form)
    return str(error.value)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "JPEG", "WEBP", "TIFF"])
def test_every_format_gives_the_pixels(kind):
    grey = Image.fromarray(HALVES)
    lossless = {"lossless": True} if kind == "WEBP" else {}
    for image in (grey, grey.convert("RGB")):
        pixels = decode_image(saved(image, kind, **lossless), GREY)
        assert pixels.shape == (1, 8, 16)
        assert np.abs(pixels[0].astype(int) - HALVES).max() <= (3 if kind == "JPEG" else 1)


def test_colours_come_first_and_a_grey_image_fills_all_channels():
    red = Image.new("RGB", (16, 8), (250, 10, 20))
    assert decode_image(saved(red), ImageFormat(8, 16))[:, 3, 5].tolist() == [250, 10, 20]
    pixels = decode_image(saved(Image.fromarray(HALVES)), ImageFormat(8, 16))
    np.testing.assert_array_equal(pixels, np.stack([HALVES] * 3))


def test_palette_and_transparency_are_ignored():
    image = Image.new("RGBA", (4, 4), (1, 2, 3, 0))
    assert decode_image(saved(image), ImageFormat(4, 4))[:, 0, 0].tolist() == [1, 2, 3]
    image = Image.new("RGB", (4, 4), (9, 9, 9)).convert("P")
    assert decode_image(saved(image), ImageFormat(4, 4)).shape == (3, 4, 4)


@pytest.mark.parametrize("kind", ["PNG", "PPM"])
def test_sixteen_bits_are_scaled_and_not_cut(kind):
    deep = Image.fromarray(HALVES.astype(np.uint16) << 8)
    np.testing.assert_array_equal(decode_image(saved(deep, kind), GREY)[0], HALVES)


def test_the_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: what is left comes to the top
    data = saved(Image.fromarray(HALVES), "JPEG", exif=exif, quality=95)
    pixels = decode_image(data, ImageFormat(16, 8, "grey"))[0]
    assert pixels[:7].max() < 20
    assert pixels[9:].min() > 180


def test_the_three_ways_to_fit_another_shape():
    data = saved(Image.fromarray(HALVES))
    square = {fit: decode_image(data, ImageFormat(8, 8, "grey", fit))[0] for fit in ("crop", "pad")}
    np.testing.assert_array_equal(square["crop"], HALVES[:, 4:12])
    assert square["pad"][:2].max() == square["pad"][6:].max() == 0
    assert square["pad"][2:6, 6:].min() > 150
    stretched = decode_image(data, ImageFormat(4, 32, "grey"))[0]
    assert stretched[:, :14].max() < 30
    assert stretched[:, 18:].min() > 170


def test_a_large_jpeg_keeps_its_look_when_it_is_decoded_small():
    large = Image.fromarray(np.kron(HALVES, np.ones((100, 100), np.uint8)))
    pixels = decode_image(saved(large, "JPEG"), GREY)[0]
    assert np.abs(pixels.astype(int) - HALVES)[:, [0, 5, 10, 15]].max() < 6


def test_what_cannot_be_read_says_why():
    data = saved(Image.fromarray(HALVES.repeat(20, 0)))
    assert refused(b"hello") == "not an image in PNG, JPEG, WebP, BMP, PGM or PPM"
    assert refused(b"") == "not an image in PNG, JPEG, WebP, BMP, PGM or PPM"
    assert refused(data[: len(data) // 2]).startswith("damaged (")
    assert refused(saved(Image.fromarray(HALVES), "GIF")).startswith("not an image in PNG")


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG file that claims to be that large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"0" * 9))


def test_a_decompression_bomb_is_refused_before_it_is_decoded():
    most = "expected at most 100 million"
    assert refused(bomb(12_000, 10_000)) == f"found 12000 x 10000 pixels, {most}"
    assert refused(bomb(60_000, 60_000)) == f"found more than that many pixels, {most}"
