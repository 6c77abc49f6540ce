"""Models kept ready for use: the least recently used one goes first."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from core.checkpoint import Checkpoint
from store.errors import NotFound
from store.models import Models

T = TypeVar("T")
# A model never changes, but it may be deleted by another server: ask the store again after this time.
TRUSTED_S = 2.0


@dataclass
class _Entry(Generic[T]):
    made: T
    asked_at: float


class Loaded(Generic[T]):
    """Models by tenant and id, each as what `make` makes of its checkpoint; at most `size` of them."""

    def __init__(
        self, models: Models, call: Callable[..., Awaitable[Any]], size: int, make: Callable[[Checkpoint], T]
    ) -> None:
        self._models = models
        self._call = call
        self._size = size
        self._make = make
        self._loaded: OrderedDict[tuple[str, str], _Entry[T]] = OrderedDict()
        self._loading: dict[tuple[str, str], asyncio.Future[T]] = {}

    async def get(self, tenant: str, model_id: str) -> T:
        """A model ready for use; raises NotFound."""
        key = (tenant, model_id)
        now = asyncio.get_running_loop().time()
        found = self._loaded.get(key)
        if found is None:
            return await self._load_once(key)
        if now - found.asked_at > TRUSTED_S:
            try:
                await self._call(self._models.get, tenant, model_id)
            except NotFound:
                self.forget(tenant, model_id)
                raise
            found.asked_at = now
        self._loaded.move_to_end(key)
        return found.made

    def forget(self, tenant: str, model_id: str) -> None:
        """Drop a model that was deleted."""
        self._loaded.pop((tenant, model_id), None)

    async def _load_once(self, key: tuple[str, str]) -> T:
        """However many ask for a model at once, it is loaded once."""
        if key not in self._loading:
            task = asyncio.ensure_future(self._call(self._load, *key))
            self._loading[key] = task
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        made = await asyncio.shield(self._loading[key])
        self._loaded[key] = _Entry(made, asyncio.get_running_loop().time())
        while len(self._loaded) > self._size:
            self._loaded.popitem(last=False)
        return made

    def _load(self, tenant: str, model_id: str) -> T:
        record = self._models.get(tenant, model_id)
        return self._make(Checkpoint.from_bytes(self._models.load(record)))
