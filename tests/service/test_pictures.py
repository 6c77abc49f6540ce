import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.arrays import InputsRefused
from service.pictures import TooManyPixels, read

GREY = np.arange(6 * 4, dtype=np.uint8).reshape(6, 4) * 10
RGB = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3) * 3


def file(picture: Any, kind: str = "PNG", **options: Any) -> io.BytesIO:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    written = io.BytesIO()
    image.save(written, kind, **options)
    written.seek(0)
    return written


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int) -> io.BytesIO:
    """A PNG that says it is of this size and has no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return io.BytesIO(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def test_grey_and_rgb_pixels_come_as_they_are() -> None:
    assert (read([file(GREY)], (6, 4), False, 100)[0] == GREY).all()
    assert (read([file(GREY)], (6, 4, 1), False, 100)[0, :, :, 0] == GREY).all()
    assert (read([file(RGB)], (6, 4, 3), False, 100)[0] == RGB).all()
    both = read([file(GREY), file(GREY[::-1])], (6, 4), False, 100)
    assert both.dtype == np.uint8
    assert (both == [GREY, GREY[::-1]]).all()


def test_colours_become_grey_by_their_luma_and_grey_becomes_three_equal_channels() -> None:
    luma = RGB.astype(np.float64) @ [0.299, 0.587, 0.114]
    assert np.abs(read([file(RGB)], (6, 4), False, 100)[0] - luma).max() <= 1
    assert (read([file(GREY)], (6, 4, 3), False, 100)[0] == GREY[:, :, None]).all()


def test_jpeg_palettes_bits_and_opaque_alpha_are_read() -> None:
    flat = np.full((6, 4), 80, np.uint8)
    assert np.abs(read([file(flat, "JPEG", quality=95)], (6, 4), False, 100)[0].astype(int) - 80).max() <= 2
    assert (read([file(Image.fromarray(RGB).quantize(24))], (6, 4, 3), False, 100)[0].shape) == (6, 4, 3)
    bits = Image.fromarray(((GREY > 100) * 255).astype(np.uint8)).convert("1")
    assert set(np.unique(read([file(bits)], (6, 4), False, 100))) == {0, 255}
    opaque = np.dstack([RGB, np.full((6, 4, 1), 255, np.uint8)])
    assert (read([file(opaque)], (6, 4, 3), False, 100)[0] == RGB).all()


def test_another_size_is_stretched_on_request_and_a_camera_held_on_its_side_is_turned() -> None:
    large = np.kron(GREY, np.ones((5, 5), np.uint8))
    assert np.abs(read([file(large)], (6, 4), True, 1000)[0].astype(int) - GREY).max() <= 12
    turned = Image.Exif()
    turned[0x0112] = 6  # turn clockwise to see it
    found = read([file(np.rot90(GREY).copy(), exif=turned)], (6, 4), False, 100)
    assert (found[0] == GREY).all()


REFUSED: dict[str, tuple[Callable[[], io.BytesIO], str]] = {
    "another size": (lambda: file(GREY.T.copy()), "4 x 6"),
    "no picture": (lambda: io.BytesIO(b"hello"), "neither PNG nor JPEG"),
    "nothing": (lambda: io.BytesIO(b""), "neither PNG nor JPEG"),
    "GIF": (lambda: file(GREY, "GIF"), "neither PNG nor JPEG"),
    "cut short": (lambda: io.BytesIO(file(GREY).read()[:-30]), "damaged"),
    "JPEG cut short": (lambda: io.BytesIO(file(RGB, "JPEG").read()[:300]), "damaged"),
    "only a head": (lambda: io.BytesIO(b"\x89PNG\r\n\x1a\n"), "damaged"),
    "16 bits": (lambda: file(GREY.astype(np.uint16) * 256), "8 bits"),
    "CMYK": (lambda: file(Image.fromarray(RGB).convert("CMYK"), "JPEG"), "8 bits"),
    "animated": (lambda: file(GREY, save_all=True, append_images=[Image.fromarray(GREY + 1)]), "animated"),
    "transparent": (lambda: file(np.dstack([RGB, np.full((6, 4, 1), 200, np.uint8)])), "transparent"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_files_with_the_way_out(name: str) -> None:
    make, sentence = REFUSED[name]
    with pytest.raises(InputsRefused, match=sentence) as caught:
        read([file(GREY), make()], (6, 4), False, 1000)
    assert caught.value.pointer == "/file/1"


def test_refuses_models_of_no_pictures() -> None:
    for shape in ((24,), (6, 4, 2), (2, 3, 4, 1)):
        with pytest.raises(InputsRefused, match="no picture"):
            read([file(GREY)], shape, False, 100)


def test_what_would_be_too_large_is_not_even_decoded() -> None:
    with pytest.raises(TooManyPixels):
        read([png(60_000, 60_000)], (6, 4), True, 50_000_000)
    with pytest.raises(TooManyPixels):
        read([file(GREY), file(GREY)], (6, 4), False, 40)
