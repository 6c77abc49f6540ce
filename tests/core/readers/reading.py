"""Reads bytes as an upload would be, into a folder that is gone afterwards."""

import gzip
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.data import Dataset
from core.readers import DataError, ReadLimits, ReadOptions, read, read_inline


class Read:
    """What came of reading: the schema and copies of the arrays."""

    def __init__(self, folder: Path) -> None:
        dataset = Dataset.open(folder)
        self.schema = dataset.schema
        self.x = np.array(dataset.x)
        self.y = np.array(dataset.y)
        self.side = {path.stem: np.load(path) for path in (folder / "columns").glob("*.npy")}
        assert {path.name for path in folder.iterdir()} <= {"schema.json", "x.npy", "y.npy", "columns"}

    @property
    def labels(self) -> list[Any]:
        """Each row's class."""
        return [self.schema.target.classes[index] for index in self.y]


def load(
    *,
    format: str | None = None,  # noqa: A002 - the word of the API
    limits: ReadLimits | None = None,
    options: Any = None,
    **files: Any,
) -> Read:
    """Read uploaded parts: load(file=b"...", options={...})."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {}
        for part, content in files.items():
            paths[part] = folder / part
            paths[part].write_bytes(content.encode() if isinstance(content, str) else content)
        into = folder / "into"
        into.mkdir()
        chosen = ReadOptions.model_validate(options or {})
        schema = read(paths, into, format=format, options=chosen, limits=limits or ReadLimits())
        result = Read(into)
        assert result.schema == schema
        return result


def inline(x: Any, y: Any, options: Any = None) -> Read:
    """Read the x and y of a JSON body."""
    with tempfile.TemporaryDirectory() as name:
        read_inline(x, y, Path(name), options=ReadOptions.model_validate(options or {}))
        return Read(Path(name))


def refusal(call: Any, *args: Any, **keywords: Any) -> DataError:
    """The DataError that a call ends with, whose every sentence can be sent as JSON."""
    with pytest.raises(DataError) as caught:
        call(*args, **keywords)
    error = caught.value
    for text in [str(error), *(e.reason for e in error.errors), *(e.column or "" for e in error.errors)]:
        text.encode()
        assert "\0" not in text
        assert len(text) < 1000
    assert str(error).endswith(".")
    return error


def bad_rows(error: DataError) -> list[tuple[int | None, str | None]]:
    """(row, column) of each problem."""
    return [(problem.row, problem.column) for problem in error.errors]


def npy(array: Any, fortran: bool = False) -> bytes:
    """The bytes of a .npy file."""
    file = io.BytesIO()
    np.save(file, np.asfortranarray(array) if fortran else array, allow_pickle=True)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    """The bytes of a compressed .npz file."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def idx(array: Any) -> bytes:
    """The bytes of an IDX file."""
    array = np.asarray(array)
    codes = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}
    head = bytes([0, 0, codes[array.dtype.name], array.ndim])
    lengths = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return head + lengths + array.astype(array.dtype.newbyteorder(">")).tobytes()


def arrays_of(types: list[str]) -> st.SearchStrategy[Any]:
    """Finite arrays of any of the types, with two to four axes."""
    return st.sampled_from(types).flatmap(
        lambda dtype: arrays.arrays(
            dtype,
            arrays.array_shapes(min_dims=2, max_dims=4, max_side=5),
            elements={"allow_nan": False, "allow_infinity": False} if "f" in dtype else None,
        )
    )


def packed(content: bytes) -> bytes:
    """Gzipped."""
    return gzip.compress(content, mtime=0)
