"""Models kept ready to predict: the least recently used one goes first."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from core.checkpoint import Checkpoint
from core.predictor import Predictor
from store.errors import NotFound
from store.models import Models

# A model never changes, but it may be deleted by another server: ask the store again after this time.
TRUSTED_S = 2.0


@dataclass
class _Loaded:
    predictor: Predictor
    asked_at: float


class Predictors:
    """Loaded models by tenant and id."""

    def __init__(self, models: Models, call: Callable[..., Awaitable[Any]], size: int) -> None:
        self._models = models
        self._call = call
        self._size = size
        self._loaded: OrderedDict[tuple[str, str], _Loaded] = OrderedDict()
        self._loading: dict[tuple[str, str], asyncio.Future[Predictor]] = {}

    async def get(self, tenant: str, model_id: str) -> Predictor:
        """A model ready to predict; raises NotFound."""
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
        return found.predictor

    def forget(self, tenant: str, model_id: str) -> None:
        """Drop a model that was deleted."""
        self._loaded.pop((tenant, model_id), None)

    async def _load_once(self, key: tuple[str, str]) -> Predictor:
        """However many ask for a model at once, it is loaded once."""
        if key not in self._loading:
            task = asyncio.ensure_future(self._call(self._load, *key))
            self._loading[key] = task
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        predictor = await asyncio.shield(self._loading[key])
        self._loaded[key] = _Loaded(predictor, asyncio.get_running_loop().time())
        while len(self._loaded) > self._size:
            self._loaded.popitem(last=False)
        return predictor

    def _load(self, tenant: str, model_id: str) -> Predictor:
        record = self._models.get(tenant, model_id)
        return Predictor.from_checkpoint(Checkpoint.from_bytes(self._models.load(record)))
