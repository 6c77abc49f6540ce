"""A compiled plan in motion: tables of operations for the driver, and between them what NumPy computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.compiled.library import Library, Operation, Run, table
from core.layers.layer import Array


class Batch(NamedTuple):
    """The rows of a batch, as places in the dataset, and its epoch and step, both from 0."""

    rows: NDArray[np.int64]
    epoch: int
    step: int


Call = Callable[[Batch], None]  # something that NumPy does
Part = Operation | Call


class Program:
    """Operations in their order; batches run through all of them."""

    def __init__(self, library: Library, parts: Sequence[Part], *, threads: int, dtype: str) -> None:
        self._library = library
        runs = groupby(parts, key=lambda part: isinstance(part, Operation))
        self._parts: list[NDArray[np.void] | Call] = []
        for compiled, group in runs:
            self._parts.extend([table(list(group))] if compiled else group)  # type: ignore[arg-type]
        room = np.empty(threads * library.room + 64, np.uint8)
        self._room = room[-room.ctypes.data % 64 :]
        self._threads = threads
        self._kept = [part.kept for part in parts if isinstance(part, Operation)]

    @property
    def whole(self) -> bool:
        """Whether the driver does everything in one call."""
        return len(self._parts) == 1

    def run(
        self,
        order: NDArray[np.int64],
        batch: int,
        *,
        done: int,
        steps: int,
        seed: int = 0,
        epoch: int = 0,
        step: int = 0,
        scalars: Array | None = None,
    ) -> int:
        """Run `steps` batches of `batch` rows (the last may be shorter) from row `done` of `order` on.

        scalars: (steps, k), the optimizer's numbers for each step.

        Returns 0, or the number of the batch, from 1, whose cost or gradient was not finite.
        """
        assert order.flags.c_contiguous
        run = Run(
            order=order.ctypes.data,
            rows=len(order),
            batch=batch,
            seed=seed,
            epoch=epoch,
            rooms=self._room.ctypes.data,
            threads=self._threads,
            width=0 if scalars is None else scalars.shape[1],
        )
        pieces = [(0, steps)] if self.whole else [(i, 1) for i in range(steps)]
        for first, count in pieces:
            run.done, run.step, run.steps = done + first * batch, step + first, count
            run.scalars = None if scalars is None else scalars[first:].ctypes.data
            now = Batch(order[run.done : run.done + batch], epoch, step + first)
            for part in self._parts:
                if isinstance(part, np.ndarray):
                    run.operations, run.count = part.ctypes.data, len(part)
                    if failed := self._library.run(run):
                        return first + failed
                else:
                    part(now)
        return 0
