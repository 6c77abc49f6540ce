"""IDX: the format of MNIST's four files, images and labels apart, gzipped or not.

Two zero bytes, one that names the element type, the number of axes, then each length and the elements, big-endian
(http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from core.readers.array_source import ArraySource, read_arrays
from core.readers.draft import Draft
from core.readers.errors import DataError, shown
from core.readers.options import ReadOptions
from core.readers.streams import Counted, open_bytes
from core.schema import DataSchema

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_header(stream: BinaryIO, name: str) -> ArraySource:
    """The array that begins here."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or not 1 <= magic[3] <= 8:
        raise DataError(
            f"The file of {name} is not IDX: it must begin as MNIST's files do, with bytes such as 00 00 08 03, "
            f"not {shown(magic.hex(' '))}."
        )
    lengths = stream.read(4 * magic[3])
    if len(lengths) < 4 * magic[3]:
        raise DataError(f"The file of {name} ends within its header: upload it once more.")
    dtype: np.dtype[Any] = np.dtype(DTYPES[magic[2]])
    return ArraySource(name, stream, dtype, struct.unpack(f">{magic[3]}I", lengths), 4 + len(lengths))


def read_idx(images: Path, labels: Path, draft: Draft, options: ReadOptions) -> DataSchema:
    """Read a file of images (or other inputs) and one of labels."""
    with open_bytes(images, draft.limits) as image_stream, open_bytes(labels, draft.limits) as label_stream:
        x = read_header(image_stream, "images")
        y = read_header(label_stream, "labels")
        if len(x.shape) == 1 and len(y.shape) > 1:
            raise DataError(
                "Images and labels are swapped: the file sent as images holds one number per row, the one sent as "
                "labels holds images. Send them the other way round."
            )
        if len(x.shape) == 1 or len(y.shape) > 1:
            which = "images holds one number per row" if len(x.shape) == 1 else "labels holds images"
            raise DataError(f"The file sent as {which}: send one file of images and the one of their labels.")
        for source, path in ((x, images), (y, labels)):
            plain = not isinstance(getattr(source.stream, "raw", None), Counted)
            source.check(source.name, draft.limits, path.stat().st_size if plain else None)
        return read_arrays(x, y, draft, options)
