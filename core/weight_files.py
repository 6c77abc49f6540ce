"""Files of weights from elsewhere: read strictly, never unpickled, and written anew as plain safetensors.

Of a file that Nudge exported itself, what is no weight (optimizer, preprocessing, sums) is left behind.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, cast

import numpy as np
from safetensors import SafetensorError

from core.layers.layer import Array, Shape
from core.readers import DataError, TooLarge
from core.readers.npy import Directory, read_header
from core.spec import Finding, SpecError
from core.weights import Stored

MAX_TENSORS = 10_000
LONGEST_NAME = 200
_BROKEN = (SafetensorError, zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, OSError,
           ValueError, EOFError)  # fmt: skip
_ASIDE = ("optimizer.", "preprocessing.")
_NUMPY = {"F16": "float16", "F32": "float32", "F64": "float64"}
_SAFETENSORS = {numpy: name for name, numpy in _NUMPY.items()}
_WAY_OUT = "save the weights with safetensors.numpy.save_file or numpy.savez"
_PICKLED = f"This is a pickle, as torch.save writes it, which is never opened because it may run code: {_WAY_OUT}."


class Tensor(NamedTuple):
    """A tensor by its name, without its numbers."""

    name: str
    dtype: str
    shape: Shape


class _Source(Protocol):
    """A file that tells first what it holds."""

    tensors: list[Tensor]

    def array(self, tensor: Tensor) -> Array: ...


def read_weights(path: Path, into: Path, limit: int) -> list[Tensor]:
    """Write the weights of a safetensors or NPZ file to the safetensors file `into`; gives what is in it, by name.

    Raises SpecError about the part `/file`, and TooLarge where they are more than `limit` bytes.
    """
    with _opened(path) as source:
        tensors = sorted(tensor for tensor in source.tensors if not _aside(tensor.name))
        if not tensors:
            raise _refused(f"The file holds no weights: {_WAY_OUT}.")
        for tensor in tensors:
            _check(tensor)
        if sum(map(_bytes, tensors)) > limit:
            raise TooLarge("max_bytes", limit, "The weights are too large when unpacked")
        with into.open("wb") as file:
            file.write(_header(tensors))
            for tensor in tensors:
                array = source.array(tensor)
                if not np.isfinite(array).all():
                    raise _refused(f"{_quoted(tensor.name)} holds numbers that are not finite: mend them first.")
                file.write(np.ascontiguousarray(array, np.dtype(tensor.dtype).newbyteorder("<")).data)
    return tensors


@contextmanager
def _opened(path: Path) -> Iterator[_Source]:
    with path.open("rb") as file:
        head = file.read(9)
    try:
        if head[:4] == b"PK\3\4":
            with Directory(path) as directory, zipfile.ZipFile(cast(BinaryIO, directory)) as archive:
                yield _Archive(archive)
        elif head[8:9] == b"{":
            yield _Tensors(path)
        elif head[:1] == b"\x80":
            raise _refused(_PICKLED)
        else:
            raise _refused(f"The file is neither safetensors nor NPZ: {_WAY_OUT}.")
    except DataError as error:
        raise _refused(str(error)) from error
    except _BROKEN as error:
        # RuntimeError: encrypted; NotImplementedError: exotic compression; OSError, ValueError: impossible offsets
        raise _refused(f"The file is damaged: {_WAY_OUT} once more.") from error


class _Tensors:
    """A safetensors file."""

    def __init__(self, path: Path) -> None:
        self._stored = Stored(path)
        _check_count(len(self._stored))
        self.tensors = [Tensor(name, *self._kind(name)) for name in self._stored]

    def _kind(self, name: str) -> tuple[str, Shape]:
        dtype, shape = self._stored.kind(name)
        return _NUMPY.get(dtype, dtype), shape

    def array(self, tensor: Tensor) -> Array:
        return self._stored[tensor.name]


class _Archive:
    """An NPZ file. No member gives more bytes than it declares, so that what is declared is what can come."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        names = archive.namelist()
        if any(name.endswith("data.pkl") for name in names):
            raise _refused(_PICKLED)
        _check_count(len(names))
        self.tensors = [self._tensor(name) for name in names]

    def _tensor(self, member: str) -> Tensor:
        name = member.removesuffix(".npy")
        if name == member or self._archive.namelist().count(member) > 1:
            raise _refused(f"The archive is no NPZ, since it holds {_quoted(member)}: {_WAY_OUT}.")
        with self._archive.open(member) as stream:
            source = read_header(cast(BinaryIO, stream), name, "save weights as float32 or float64")
        tensor = Tensor(name, source.dtype.newbyteorder("=").name, source.shape)
        if source.header + _bytes(tensor) != self._archive.getinfo(member).file_size:
            raise _refused(f"{_quoted(name)} is shorter or longer than it says: {_WAY_OUT} once more.")
        return tensor

    def array(self, tensor: Tensor) -> Array:
        with self._archive.open(tensor.name + ".npy") as stream:
            source = read_header(cast(BinaryIO, stream), tensor.name)
            flat = np.frombuffer(stream.read(), source.dtype)
        return flat.reshape(source.shape, order="F" if source.fortran else "C")


def _check(tensor: Tensor) -> None:
    if tensor.dtype not in _SAFETENSORS:
        raise _refused(f"{_quoted(tensor.name)} is of type {tensor.dtype}: save weights as float32 or float64.")
    if len(tensor.name) > LONGEST_NAME or not tensor.name.isprintable() or len(tensor.shape) > 8:
        raise _refused(f"{_quoted(tensor.name)} has too long a name, a name of odd signs, or too many axes.")


def _check_count(count: int) -> None:
    if count > MAX_TENSORS:
        raise _refused(f"The file holds {count:,} tensors; at most {MAX_TENSORS:,} are read.")


def _aside(name: str) -> bool:
    return name == "sums" or name.startswith(_ASIDE)


def _bytes(tensor: Tensor) -> int:
    return np.dtype(tensor.dtype).itemsize * prod(tensor.shape)


def _header(tensors: list[Tensor]) -> bytes:
    """The beginning of a safetensors file: the length of a JSON text, and the text, padded to whole eights."""
    told, offset = {}, 0
    for tensor in tensors:
        end = offset + _bytes(tensor)
        told[tensor.name] = {"dtype": _SAFETENSORS[tensor.dtype], "shape": tensor.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(told, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _quoted(name: str) -> str:
    return json.dumps(name[:80])


def _refused(detail: str) -> SpecError:
    return SpecError([Finding("/file", detail)])
