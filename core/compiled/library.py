"""The compiled driver as Python sees it: one table of operations and one call."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.compiled.build import SOURCES, CannotCompile, build, find, variant

OPERATION = np.dtype(
    [("code", "i4"), ("kind", "i4"), ("n", "i8", 10), ("p", "u8", 12), ("v", "f8", 6)],
)
CODES = {
    name: code
    for code, name in enumerate(re.findall(r"OPERATION_NAME\((\w+)\)", (SOURCES / "names.h").read_text("utf-8")))
}


class Operation(NamedTuple):
    """One entry of the table: what is done (a name of names.h), and with what; places are addresses."""

    name: str
    n: tuple[int, ...] = ()
    p: tuple[int, ...] = ()
    v: tuple[float, ...] = ()
    kind: int = 0
    kept: object = None  # what places point into, where nobody else keeps it


def table(operations: Sequence[Operation]) -> NDArray[np.void]:
    """The operations as the driver reads them."""
    made = np.zeros(len(operations), OPERATION)
    for entry, operation in zip(made, operations, strict=True):
        entry["code"], entry["kind"] = CODES[operation.name], operation.kind
        for field in ("n", "p", "v"):
            values = getattr(operation, field)
            entry[field][: len(values)] = values
    return made


class Run(ctypes.Structure):
    """The driver's `Run`."""

    _fields_ = (
        ("operations", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("order", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("batch", ctypes.c_int64),
        ("done", ctypes.c_int64),
        ("steps", ctypes.c_int64),
        ("epoch", ctypes.c_int64),
        ("step", ctypes.c_int64),
        ("seed", ctypes.c_uint64),
        ("scalars", ctypes.c_void_p),
        ("width", ctypes.c_int64),
        ("rooms", ctypes.c_void_p),
        ("threads", ctypes.c_int64),
        ("failed", ctypes.c_int64),
    )


class Library:
    """The driver for one type of numbers."""

    def __init__(self, path: str) -> None:
        # A call through CDLL lets other threads of Python run meanwhile.
        library = ctypes.CDLL(path)
        self._run = library.nudge_run
        self._run.argtypes, self._run.restype = [ctypes.POINTER(Run)], ctypes.c_int64
        self._starts, self._entries = library.nudge_sparse_starts, library.nudge_sparse_entries
        for function, pointers in (self._starts, 1), (self._entries, 2):
            function.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, *[ctypes.c_void_p] * pointers]
            function.restype = None
        self._permutation = library.nudge_permutation
        words = ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p
        self._permutation.argtypes, self._permutation.restype = [*words], None
        self._read_rows = library.nudge_read_rows
        integer, integers, numbers = ctypes.c_int64, ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(ctypes.c_double)
        text, shape = (ctypes.c_char_p, integer, integer), (integers, integer)
        self._read_rows.argtypes = [*text, *shape, integer, numbers, integers]
        self._read_rows.restype = ctypes.c_int64
        sizes = library.nudge_room, library.nudge_operation_size
        for function in sizes:
            function.argtypes, function.restype = [], ctypes.c_int64
        self.room, size = (int(function()) for function in sizes)
        assert size == OPERATION.itemsize

    def run(self, run: Run) -> int:
        """Run the batches it describes; 0, or the number of the batch, from 1, whose numbers are not finite."""
        if started := self._run(ctypes.byref(run)):
            raise MemoryError(f"Only {started} of {run.threads} threads could be started.")
        return int(run.failed)

    def permutation(self, seed: int, purpose: int, epoch: int, count: int) -> NDArray[np.int64]:
        """What `Random.permutation` gives."""
        words, room = np.empty((2, count), np.int64)
        self._permutation(seed, epoch, purpose << 24, count, words.ctypes.data, room.ctypes.data)
        return words

    def sparse_starts(self, source: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Where the entries of each row begin among those of all rows, and in the end their number."""
        starts = np.empty(len(source) + 1, np.int64)
        self._starts(source.ctypes.data, len(source), source[0].size, starts.ctypes.data)
        return starts

    def sparse_entries(self, source: NDArray[np.uint8], count: int) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
        """The places in their rows and the values of all bytes that are not zero."""
        places, values = np.empty(count, np.uint16), np.empty(count, np.uint8)
        self._entries(source.ctypes.data, len(source), source[0].size, places.ctypes.data, values.ctypes.data)
        return places, values

    def read_rows(
        self, text: bytes, start: int, shape: tuple[int, ...], most: int
    ) -> tuple[NDArray[np.float64], int] | None:
        """The rows, nested lists of numbers of this shape, of the list in JSON that begins at text[start], and where it
        ends. Each number is the nearest float64.

        None for anything else, for more than `most` rows, and for the few numbers that need more care: those with more
        than 19 digits or beyond 2^63, and those next to the middle between two floats.
        """
        most = min(most, (len(text) - start) // (2 * math.prod(shape)))  # a number takes two bytes
        if most <= 0:
            return None
        room, stop = np.empty((most, *shape)), ctypes.c_int64()
        into = ctypes.c_double.from_buffer(room.data)  # its address, sooner than NumPy tells it
        rows = self._read_rows(text, start, len(text), _sizes(shape), len(shape), most, into, stop)
        return (room[:rows], stop.value) if rows else None


@cache
def load(dtype: str) -> Library | None:
    """The driver for float32 or float64, compiled first where it is not yet; None where that is not possible."""
    wanted = variant()
    if wanted is not None and find(dtype) is None:
        try:
            build(wanted)
        except (CannotCompile, OSError):
            return None
    return loaded(dtype)


def loaded(dtype: str) -> Library | None:
    """The driver for float32 or float64, if it has been compiled; for those who cannot wait until it is."""
    path = None if variant() is None else find(dtype)
    return None if path is None else _open(path)


@cache
def _open(path: Path) -> Library | None:
    try:
        return Library(str(path))
    except OSError:  # it lies where nothing may be executed
        return None


@lru_cache(256)
def _sizes(shape: tuple[int, ...]) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * len(shape))(*shape)
