"""Arrays as compiled kernels want them: at the beginning of a cache line, and with a little room behind the end."""

from __future__ import annotations

import ctypes
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

ALIGNMENT = 64  # bytes
LARGE = 2**20  # bytes, from which on an array is a mapping of its own
_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
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
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, LARGE)
