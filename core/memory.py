"""Arrays as compiled kernels want them: at the beginning of a cache line, and with a little room behind the end."""

from __future__ import annotations

import ctypes
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

ALIGNMENT = 64  # bytes
LARGE = 2**20  # bytes, from which on an array is a mapping of its own
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
BEHIND = 128  # bytes: a vector that begins inside an array may be read, never written, beyond its end


def room(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array without values."""
    size = prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT + BEHIND, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    memory[start + size : start + size + BEHIND] = 0
    return memory[start : start + size].view(dtype).reshape(shape)


def give_back() -> None:
    """Let the C library return memory to the kernel when it is freed, in this process from now on.

    Otherwise glibc learns from every large array that is freed to keep the next one of its size, which adds up.
    """
    _tell_malloc(_MMAP_THRESHOLD, LARGE)


def keep(each: int, together: int) -> None:
    """Let the C library keep freed memory for what comes next, in this process from now on: arrays of up to `each`
    bytes, `together` bytes in each of its arenas.

    Otherwise every array of some size is new memory, and the kernel's clearing of it takes longer than what is done.
    """
    _tell_malloc(_MMAP_THRESHOLD, each)
    _tell_malloc(_TRIM_THRESHOLD, together)


def _tell_malloc(parameter: int, value: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(parameter, value)
