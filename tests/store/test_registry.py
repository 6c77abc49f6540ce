"""Models under one name when many change them at once: no version twice, no alias without its model."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest

from store.aliases import Aliases
from store.errors import InUse, NotFound
from store.records import AliasRecord
from tests.store.conftest import TENANT, Store


class Moved(Exception):
    """The alias is not where the caller saw it."""


def checkpoint(store: Store) -> str:
    """That of a job which may go on."""
    job = store.submit(name="many")
    store.report(store.start(job), 1)
    [kept] = store.jobs.checkpoints(TENANT, job)
    return kept.id


def test_versions_that_are_made_at_once(store: Store) -> None:
    source = checkpoint(store)
    claims = [store.start(store.submit(name="many")) for _ in range(3)]
    for claim in claims:
        store.report(claim, 1)
    with ThreadPoolExecutor(8) as pool:
        made = [pool.submit(store.models.add, TENANT, source, "many") for _ in range(9)]
        ended = [pool.submit(store.claims.succeed, claim) for claim in claims]
        for future in (*made, *ended):
            future.result()
    page = store.models.page(TENANT, 200, None, "many")
    assert sorted(record.version for record in page.items) == list(range(1, 13))


def meanwhile(pool: ThreadPoolExecutor, futures: list[Future[Any]], call: Callable[[], Any]) -> Callable[[Any], None]:
    """A look at what is about to change, while somebody else calls: who need not wait is done before the change."""

    def look(_: object) -> None:
        futures.append(pool.submit(call))
        wait(futures, timeout=0.3)

    return look


def test_an_alias_cannot_be_pointed_at_a_model_that_is_being_deleted(store: Store) -> None:
    source, aliases = checkpoint(store), Aliases(store.database)
    record = store.models.add(TENANT, source, "racing")
    pointing: list[Future[Any]] = []
    with ThreadPoolExecutor(1) as pool:
        look = meanwhile(pool, pointing, lambda: aliases.set(TENANT, "racing", "best", 1))
        store.models.delete(TENANT, record.id, look)
        with pytest.raises(NotFound):
            pointing[0].result()
    with pytest.raises(NotFound):
        aliases.get(TENANT, "racing", "best")


def test_a_model_that_an_alias_is_being_pointed_at_cannot_be_deleted(store: Store) -> None:
    source, aliases = checkpoint(store), Aliases(store.database)
    record = store.models.add(TENANT, source, "racing")
    deleting: list[Future[Any]] = []
    with ThreadPoolExecutor(1) as pool:
        look = meanwhile(pool, deleting, lambda: store.models.delete(TENANT, record.id))
        aliases.set(TENANT, "racing", "best", 1, look)
        with pytest.raises(InUse):
            deleting[0].result()
    assert store.models.resolve(TENANT, "racing", "best").id == record.id


def test_what_was_seen_is_still_so_when_it_is_changed(store: Store) -> None:
    """Each raises the version that the alias points at by one, if it is still the one that it saw."""
    source, aliases = checkpoint(store), Aliases(store.database)
    for _ in range(7):
        store.models.add(TENANT, source, "counted")
    aliases.set(TENANT, "counted", "next", 1)

    def raise_by_one(_: int) -> None:
        while True:
            seen = aliases.get(TENANT, "counted", "next")

            def look(now: AliasRecord | None, seen: AliasRecord = seen) -> None:
                if now != seen:
                    raise Moved

            try:
                aliases.set(TENANT, "counted", "next", seen.version + 1, look)
                return
            except Moved:
                continue

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(raise_by_one, range(6)))
    assert aliases.get(TENANT, "counted", "next").version == 7


def test_aliases_and_names_are_a_tenants_own(store: Store) -> None:
    source, aliases = checkpoint(store), Aliases(store.database)
    store.models.add(TENANT, source, "own")
    aliases.set(TENANT, "own", "best", 1)
    for call in (
        lambda: aliases.get("other", "own", "best"),
        lambda: aliases.set("other", "own", "best", 1),
        lambda: aliases.remove("other", "own", "best"),
        lambda: aliases.page("other", "own", 10, None),
        lambda: store.models.resolve("other", "own", "best"),
        lambda: store.models.resolve("other", "own", "1"),
        lambda: store.models.resolve("other", "own"),
    ):
        with pytest.raises(NotFound):
            call()
    assert store.models.resolve(TENANT, "own").version == 1
