"""A picture's pixels as one input, for requests that take no files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from client.errors import InputError
from client.inputs import nested

MODES = {"1", "L", "LA", "P", "RGB", "RGBA"}  # eight bits a channel at most


def pixels(path: Path, shape: Sequence[int], *, resize: bool) -> list[Any]:
    """The pixels from 0 to 255, nested as inputs of this shape, (h, w), (h, w, 1) or (h, w, 3), are: what a prediction
    makes of the file. `resize` stretches it. Raises InputError with the reason where that cannot be."""
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))):
        raise InputError(f"{path} is a picture; the model takes inputs of shape {list(shape)}, which is none.")
    size = (shape[1], shape[0])
    mode = "RGB" if len(shape) == 3 and shape[2] == 3 else "L"
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as opened:
            if opened.mode not in MODES or getattr(opened, "n_frames", 1) > 1:
                raise InputError(f"{path} is no still picture of 8 bits, grey or RGB.")
            picture = ImageOps.exif_transpose(opened)
            if picture.size != size and not resize:
                is_, takes = (" x ".join(map(str, of)) for of in (picture.size, size))
                raise InputError(f"{path} is {is_} pixels large; the model takes {takes}. --resize stretches it.")
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
                if picture.getchannel("A").getextrema()[0] != 255:
                    raise InputError(f"{path} is transparent in places; put it on a background.")
                picture = picture.convert("RGB")
            picture = picture.convert(mode)
            if picture.size != size:
                picture = picture.resize(size, Image.Resampling.BICUBIC)
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever they stumble over
        raise InputError(f"{path} is damaged or cut short: {str(error)[:200]}.") from error
    return nested(picture.tobytes(), shape)
