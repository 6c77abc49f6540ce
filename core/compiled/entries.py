"""Inputs that are mostly zero, told by the bytes that are not: once for all who read the dataset."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from core.compiled.library import Library
from core.compiled.planner import arena_bytes, starts_dense
from core.network import Network
from core.schema import DataSchema
from core.training_spec import TrainingSpec

BELOW = 0.25  # the share of inputs that are not zero
MOST_BYTES = 32 * 2**20  # for all of them
BESIDE_BYTES = 24 * 2**20  # the network's own arrays, up to which the room is spent: so the estimate, which does not
# know the data and counts the most that it may be, stays near
ENTRY_BYTES = 3


def entries_bytes(spec: TrainingSpec, network: Network, schema: DataSchema, rows: int) -> int:
    """The most that the entries of a dataset of so many rows may take; 0 where they are never told."""
    features = prod(schema.input_shape)
    simple = schema.input_dtype == "uint8" and spec.preprocessing.scale != "standard" and not spec.augmentation
    if not simple or not starts_dense(network.layers) or max(features, spec.batch_size) >= 2**16:
        return 0
    arena = arena_bytes(network, spec.batch_size, spec.dtype, training=True, threads=spec.threads)
    vectors = network.size * (2 + len(spec.optimizer.memory())) * np.dtype(spec.dtype).itemsize
    return 8 * (rows + 1) + _most(rows * features) if arena + vectors <= BESIDE_BYTES else 0


def _most(size: int) -> int:
    return min(MOST_BYTES, int(BELOW * size) * ENTRY_BYTES)


@dataclass(frozen=True, eq=False)
class Entries:
    """Of each row of `source` (rows, ...): where its entries begin among all, and their places in it and values."""

    source: NDArray[Any]
    starts: NDArray[np.int64]
    places: NDArray[np.uint16]
    values: NDArray[np.uint8]

    @classmethod
    def of(cls, source: NDArray[np.uint8], library: Library) -> Entries | None:
        """Those of a whole dataset, the same for all who ask while somebody keeps them; None where they are many."""
        known = _KNOWN.get(source.ctypes.data)
        if known is not None and known.source.shape == source.shape:
            return known
        starts = library.sparse_starts(source)
        count = int(starts[-1])
        if count * ENTRY_BYTES > _most(source.size):
            return None
        made = _KNOWN[source.ctypes.data] = cls(source, starts, *library.sparse_entries(source, count))
        return made


_KNOWN: WeakValueDictionary[int, Entries] = WeakValueDictionary()  # by the address of the source, which they keep alive
