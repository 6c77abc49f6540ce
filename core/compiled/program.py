"""A compiled plan in motion: tables of operations for the driver, and between them what NumPy computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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


class _Table(NamedTuple):
    """Operations as the driver reads them, and where."""

    operations: NDArray[np.void]
    address: int
    length: int

    @classmethod
    def of(cls, operations: Iterable[Operation]) -> _Table:
        made = table(list(operations))
        return cls(made, made.ctypes.data, len(made))


class Program:
    """Operations in their order; batches run through all of them."""

    def __init__(self, library: Library, parts: Sequence[Part], *, threads: int, dtype: str) -> None:
        self._library = library
        runs = groupby(parts, key=lambda part: isinstance(part, Operation))
        self._parts: list[_Table | Call] = []
        for compiled, group in runs:
            self._parts.extend([_Table.of(group)] if compiled else group)  # type: ignore[arg-type]
        room = np.empty(threads * library.room + 64, np.uint8)
        self._room = room
        self._rooms = room.ctypes.data + -room.ctypes.data % 64
        self._threads = threads
        self._kept = [part.kept for part in parts if isinstance(part, Operation)]

    @property
    def whole(self) -> bool:
        """Whether the driver does everything in one call."""
        return len(self._parts) == 1

    def prepared(self, order: NDArray[np.int64]) -> Callable[[int], None]:
        """What runs the first n rows of `order` as one batch, for a program that is `whole` and draws no numbers.

        To describe a run takes longer than to compute a row.
        """
        assert self.whole
        (found,) = self._parts
        assert isinstance(found, _Table)
        run = Run(
            operations=found.address,
            count=found.length,
            order=order.ctypes.data,
            rooms=self._rooms,
            threads=self._threads,
            steps=1,
        )

        def first(n: int) -> None:
            run.rows = run.batch = n
            self._library.run(run)

        return first

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
            rooms=self._rooms,
            threads=self._threads,
            width=0 if scalars is None else scalars.shape[1],
        )
        together = max(1, steps) if self.whole else 1
        for first in range(0, steps, together):
            run.done, run.step, run.steps = done + first * batch, step + first, together
            if scalars is not None:
                run.scalars = scalars[first:].ctypes.data
            for part in self._parts:
                if isinstance(part, _Table):
                    run.operations, run.count = part.address, part.length
                    if failed := self._library.run(run):
                        return first + failed
                else:
                    part(Batch(order[run.done : run.done + batch], epoch, run.step))
        return 0
