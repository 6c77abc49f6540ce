"""Who is written with whom, and what each one hears of it."""

import asyncio

import pytest

from service.gathering import Gathering


class Journal:
    """Writes groups slowly and keeps them; an item below zero is refused, and while it is shut nothing is written."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.tried = 0
        self.shut = False

    async def write(self, group: list[int]) -> list[str | Exception]:
        self.tried += 1
        await asyncio.sleep(0.05)
        if self.shut:
            raise ConnectionError("shut")
        self.groups.append(group)
        return [f"wrote {item}" if item >= 0 else ValueError(f"refused {item}") for item in group]


def test_what_waits_is_written_together_and_in_order() -> None:
    async def scene() -> None:
        journal = Journal()
        commit = Gathering(journal.write, largest=3)
        answers = await asyncio.gather(*(commit.submit(item) for item in range(8)))
        assert answers == [f"wrote {item}" for item in range(8)]
        assert [len(group) for group in journal.groups] == [3, 3, 2]
        assert [item for group in journal.groups for item in group] == list(range(8))
        assert await commit.submit(8) == "wrote 8"
        assert journal.groups[-1] == [8]

    asyncio.run(asyncio.wait_for(scene(), 60))


def test_one_that_is_refused_or_goes_away_does_not_disturb_the_others() -> None:
    async def scene() -> None:
        journal = Journal()
        commit = Gathering(journal.write, largest=10)
        good, refused, gone, last = (asyncio.create_task(commit.submit(item)) for item in (1, -2, 3, 4))
        await asyncio.sleep(0.02)
        gone.cancel()
        assert await good == "wrote 1"
        assert await last == "wrote 4"
        with pytest.raises(ValueError, match="refused -2"):
            await refused
        assert journal.groups == [[1, -2, 3, 4]]

    asyncio.run(asyncio.wait_for(scene(), 60))


def test_when_a_group_fails_everyone_who_waits_hears_it_and_later_ones_are_written() -> None:
    async def scene() -> None:
        journal = Journal()
        journal.shut = True
        commit = Gathering(journal.write, largest=2)
        answers = await asyncio.gather(*(commit.submit(item) for item in range(7)), return_exceptions=True)
        assert [str(answer) for answer in answers] == ["shut"] * 7
        assert journal.tried == 1
        journal.shut = False
        assert await commit.submit(7) == "wrote 7"

    asyncio.run(asyncio.wait_for(scene(), 60))
