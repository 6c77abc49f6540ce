"""Arrays as compiled kernels want them: at the beginning of a cache line, and with a little room behind the end."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

ALIGNMENT = 64  # bytes
BEHIND = 128  # bytes: a vector that begins inside an array may be read, never written, beyond its end


def room(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array without values."""
    size = prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT + BEHIND, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    memory[start + size : start + size + BEHIND] = 0
    return memory[start : start + size].view(dtype).reshape(shape)
