"""What is kept ready for use, models and datasets: the least recently used one goes first."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from store.errors import NotFound

R = TypeVar("R")
T = TypeVar("T")
# None of these ever changes, but it may be deleted by another server: ask the store again after this time.
TRUSTED_S = 2.0


@dataclass
class _Entry(Generic[T]):
    made: T
    asked_at: float


class Loaded(Generic[T]):
    """Things by tenant and id, each as what `make` makes of the record that `get` finds; at most `size` of them.

    `call` runs a function of the store in a thread.
    """

    def __init__(
        self, call: Callable[..., Awaitable[Any]], size: int, get: Callable[[str, str], R], make: Callable[[R], T]
    ) -> None:
        self._call = call
        self._size = size
        self._get = get
        self._load: Callable[[str, str], T] = lambda tenant, thing_id: make(get(tenant, thing_id))
        self._loaded: OrderedDict[tuple[str, str], _Entry[T]] = OrderedDict()
        self._deletions = 0
        self._loading: dict[tuple[str, str], asyncio.Future[T]] = {}

    def ready(self, tenant: str, thing_id: str) -> T | None:
        """It, if it is loaded, and nobody need be asked whether it is still there."""
        key = (tenant, thing_id)
        found = self._loaded.get(key)
        if found is None or time.monotonic() - found.asked_at > TRUSTED_S:
            return None
        self._loaded.move_to_end(key)
        return found.made

    async def get(self, tenant: str, thing_id: str) -> T:
        """It, ready for use; raises NotFound."""
        if (made := self.ready(tenant, thing_id)) is not None:
            return made
        key = (tenant, thing_id)
        found = self._loaded.get(key)
        if found is None:
            return await self._load_once(key)
        now = time.monotonic()
        try:
            await self._call(self._get, tenant, thing_id)
        except NotFound:
            self.forget(tenant, thing_id)
            raise
        found.asked_at = now
        return found.made

    def forget(self, tenant: str, thing_id: str) -> None:
        """Drop what was deleted."""
        self._loaded.pop((tenant, thing_id), None)
        self._deletions += 1

    async def _load_once(self, key: tuple[str, str]) -> T:
        """However many ask for it at once, it is loaded once."""
        if key not in self._loading:
            task = asyncio.ensure_future(self._call(self._load, *key))
            self._loading[key] = task
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        deletions = self._deletions
        made = await asyncio.shield(self._loading[key])
        if deletions != self._deletions:  # it may have been there only before
            return made
        self._loaded[key] = _Entry(made, time.monotonic())
        while len(self._loaded) > self._size:
            self._loaded.popitem(last=False)
        return made
