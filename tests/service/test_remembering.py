"""What is remembered of the store: never what was told before a change that has been told of."""

import asyncio
from collections.abc import Callable
from typing import Any

from service.loaded import Loaded
from service.model_names import ModelNames
from tests.service.house import TENANT, House


class Slow:
    """A line to the store whose answers are held back until they are `let`."""

    def __init__(self) -> None:
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        found = await asyncio.to_thread(function, *arguments)
        self.asked.set()
        await self.let.wait()
        return found


def test_a_name_that_changed_while_it_was_asked_for_is_not_remembered(house: House, model: str) -> None:
    name = house.models.get(TENANT, model).name

    async def scene() -> None:
        slow = Slow()
        names = ModelNames(house.models, slow)
        asking = asyncio.create_task(names.get(TENANT, name, None))
        await slow.asked.wait()
        names.forget()
        slow.let.set()
        found = await asking
        assert names.remembered(TENANT, name, None) is None
        assert await names.get(TENANT, name, None) == found
        assert names.remembered(TENANT, name, None) == found

    asyncio.run(scene())


def test_what_was_deleted_while_it_was_loaded_is_not_kept(house: House, model: str) -> None:
    async def scene() -> None:
        slow = Slow()
        loaded = Loaded(slow, 2, house.models.get, lambda record: record.id)
        asking = asyncio.create_task(loaded.get(TENANT, model))
        await slow.asked.wait()
        loaded.forget(TENANT, model)
        slow.let.set()
        assert await asking == model
        assert loaded.ready(TENANT, model) is None
        assert await loaded.get(TENANT, model) == model
        assert loaded.ready(TENANT, model) == model

    asyncio.run(scene())
