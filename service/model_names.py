"""Which model a name means now: its newest version, or the one of a number or an alias."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from store.errors import NotFound
from store.ids import PREFIXES
from store.models import Models

# Jobs make versions and other servers move aliases without telling this one: ask the store again after this time.
TRUSTED_S = 0.25
LARGEST = 1024


class Named(NamedTuple):
    """What a name stands for."""

    id: str
    name: str
    version: int


class ModelNames:
    """Models by tenant, name and version, remembered for a moment."""

    def __init__(self, models: Models, call: Callable[..., Awaitable[Any]]) -> None:
        self._models = models
        self._call = call
        self._changes = 0
        self._known: OrderedDict[tuple[str, str, str | None], tuple[Named, float]] = OrderedDict()

    def remembered(self, tenant: str, name: str, version: str | None) -> Named | None:
        """What `get` gives, if it was asked a moment ago."""
        found = self._known.get((tenant, name, version))
        return found[0] if found is not None and time.monotonic() - found[1] < TRUSTED_S else None

    async def get(self, tenant: str, name: str, version: str | None) -> Named:
        """The newest model of a name, or that of a version, which is a number or an alias; an id may stand for the
        name. Raises NotFound."""
        if (named := self.remembered(tenant, name, version)) is not None:
            return named
        key = (tenant, name, version)
        now, changes = time.monotonic(), self._changes
        named = await self._ask(*key)
        if changes != self._changes:  # it may have been told before the change
            return named
        self._known[key] = named, now
        self._known.move_to_end(key)
        if len(self._known) > LARGEST:
            self._known.popitem(last=False)
        return named

    def forget(self) -> None:
        """Ask again: a model came or went, or an alias moved."""
        self._known.clear()
        self._changes += 1

    async def _ask(self, tenant: str, name: str, version: str | None) -> Named:
        if name.startswith(PREFIXES["model"]):
            record = await self._call(self._models.get, tenant, name)
            if version not in (None, str(record.version), *record.aliases):
                raise NotFound("model", f"{name} version {version}")
        else:
            record = await self._call(self._models.resolve, tenant, name, version)
        return Named(record.id, record.name, record.version)
