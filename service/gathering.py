"""While one group is dealt with the next one gathers: submits share a transaction, predictions a forward."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Gathering(Generic[T, R]):
    """Hands what waits to `handle`, in groups of at most `largest`, one group at a time. Nobody waits for company."""

    def __init__(self, handle: Callable[[list[T]], Awaitable[list[R | Exception]]], largest: int) -> None:
        self._handle = handle
        self._largest = largest
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """Return or raise the outcome of `item`, after its group was dealt with."""
        outcome: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, outcome))
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return await outcome

    async def _run(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
            try:
                outcomes = await self._handle([item for item, _ in group])
            except Exception as error:
                # What fails a whole group is a store that is away; who waits should hear it now, not after a timeout.
                group, self._waiting = group + self._waiting, []
                outcomes = [error] * len(group)
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if future.cancelled():
                    continue  # its client went away; what was done stays
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
        self._runner = None
