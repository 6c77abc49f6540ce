"""Pictures as inputs: PNG and JPEG files into arrays of the model's input shape, or refused with the reason."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import ImageFile, ImageOps
from PIL.Image import Image, Resampling
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from service.arrays import Inputs, InputsRefused

READERS: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"\xff\xd8\xff", JpegImageFile),
)
# Eight bits a channel at most; what else there is (16 bits, CMYK) has no one way into grey or RGB.
MODES = {"1", "L", "LA", "P", "RGB", "RGBA"}


@dataclass
class TooManyPixels(Exception):
    """The pictures of one request have more pixels than are decoded."""

    limit: int

    def __str__(self) -> str:
        return (
            f"The pictures of one prediction have {self.limit} pixels at most, together (NUDGE_MAX_PREDICT_PIXELS); "
            "make them smaller, or send them in several."
        )


def read(files: Sequence[BinaryIO], shape: tuple[int, ...], resize: bool, max_pixels: int) -> Inputs:
    """The pixels of pictures, uint8 (n, *shape), for inputs of shape (h, w) or (h, w, 1), grey, or (h, w, 3), RGB.

    A picture in colours is made grey by its luma (ITU-R 601-2), a grey one becomes RGB with three equal channels. With
    `resize` a picture is stretched to the size, bicubic; without, it must have it.

    Raises:
        InputsRefused: at /file, or at /file/1 for the second of several.
        TooManyPixels: in all of them together, before they are decoded.
    """
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))):
        detail = f"This model takes inputs of shape {list(shape)}, which is no picture; send its inputs as JSON."
        raise InputsRefused("/file", detail)
    rows, left = [], max_pixels
    for number, file in enumerate(files):
        at = "/file" if len(files) == 1 else f"/file/{number}"
        with _opened(file, at) as picture:
            left -= picture.width * picture.height
            if left < 0:
                raise TooManyPixels(max_pixels)
            rows.append(_pixels(picture, shape, resize, at))
    return np.stack(rows)


@contextmanager
def _opened(file: BinaryIO, at: str) -> Iterator[ImageFile.ImageFile]:
    """The picture, not yet decoded; whatever goes wrong with it is the file's fault."""
    head = file.read(8)
    file.seek(0)
    # The readers themselves, and not Image.open: a file is taken for what it is, and its size is looked at here.
    reader = next((found for signature, found in READERS if head.startswith(signature)), None)
    if reader is None:
        raise InputsRefused(at, "This file is neither PNG nor JPEG.")
    try:
        with reader(file) as picture:
            yield picture
    except (InputsRefused, TooManyPixels):
        raise
    except Exception as error:  # Pillow's decoders raise whatever they stumble over
        raise InputsRefused(at, f"This picture is damaged or cut short: {str(error)[:200]}.") from None


def _pixels(picture: ImageFile.ImageFile, shape: tuple[int, ...], resize: bool, at: str) -> Inputs:
    if getattr(picture, "n_frames", 1) > 1:
        raise InputsRefused(at, "This picture is animated; send one frame of it.")
    if picture.mode not in MODES:
        detail = f"The pixels of this picture are of the kind {picture.mode}; save it with 8 bits, grey or RGB."
        raise InputsRefused(at, detail)
    height, width = shape[:2]
    if not resize and {picture.width, picture.height} != {width, height}:
        raise _of_other_size(picture, width, height, at)
    upright = ImageOps.exif_transpose(picture)  # a camera held on its side says so beside the pixels
    if not resize and upright.size != (width, height):
        raise _of_other_size(upright, width, height, at)
    grey = len(shape) == 2 or shape[2] == 1
    opaque = _opaque(upright, at).convert("L" if grey else "RGB")
    if opaque.size != (width, height):
        opaque = opaque.resize((width, height), Resampling.BICUBIC)
    return np.asarray(opaque, np.uint8).reshape(shape)


def _of_other_size(picture: Image, width: int, height: int, at: str) -> InputsRefused:
    return InputsRefused(
        at,
        f"This picture is {picture.width} pixels wide and {picture.height} high; the model takes {width} x {height}. "
        "Send one of that size, or the field resize=true to have it stretched.",
    )


def _opaque(picture: Image, at: str) -> Image:
    """The picture without its transparency, which must not hide anything."""
    if not picture.has_transparency_data:
        return picture
    whole = picture.convert("RGBA")
    least, _ = whole.getchannel("A").getextrema()
    if least != 255:
        raise InputsRefused(at, "This picture is transparent in places; put it on a background and send it again.")
    return whole.convert("RGB")
