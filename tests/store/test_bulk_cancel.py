"""Many jobs cancelled in short transactions: each once, whoever else is at it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from store.errors import Unavailable
from store.stops import BATCH
from store.submissions import NewJob, Submission
from tests.store.conftest import ESTIMATE, TENANT, Store


def cancel_all(store: Store, status: str | None = None, name: str | None = None) -> tuple[int, int]:
    """Every turn of a bulk cancel; gives how many were cancelled, and how many were asked."""
    cancelled = requested = 0
    turn: tuple[str, str | None] | None = ("", None)
    while turn is not None:
        done = insist(partial(store.jobs.cancel_some, TENANT, status, name, *turn))
        cancelled, requested, turn = cancelled + done.cancelled, requested + done.requested, done.more
    return cancelled, requested


def insist(act: Callable[[], Any]) -> Any:
    """Come again when the store says so: among many writers on a busy machine, one may have waited too long."""
    while True:
        with suppress(Unavailable):
            return act()


def submit_many(store: Store, count: int, **changes: object) -> list[str]:
    outcomes = store.jobs.submit_all([NewJob(TENANT, store.spec(**changes), ESTIMATE) for _ in range(count)])
    return [outcome.job.id for outcome in outcomes if isinstance(outcome, Submission)]


def test_those_that_wait_are_cancelled_and_those_that_run_are_asked(store: Store) -> None:
    queued, paused, running, over, other = (store.submit(name=name) for name in ("mine",) * 4 + ("other",))
    store.jobs.pause(TENANT, paused)
    claim = store.start(running)
    store.claims.end(store.start(over), "fail")
    assert cancel_all(store, name="mine") == (2, 1)
    assert cancel_all(store, name="mine") == (0, 1)  # it still runs, and is still asked
    assert store.claims.renew(claim).cancel
    store.claims.end(claim, "cancel")
    assert cancel_all(store, name="mine") == (0, 0)
    told = [store.jobs.get(TENANT, job_id).status for job_id in (queued, paused, running, over, other)]
    assert told == ["cancelled", "cancelled", "cancelled", "failed", "queued"]
    assert store.event_types(running) == ["queued", "started", "cancel_requested", "cancelled"]
    assert store.event_types(queued) == ["queued", "cancelled"]


def test_a_status_is_kept_to_and_other_tenants_are_left_alone(store: Store) -> None:
    queued, running = store.submit(), store.submit()
    store.start(running)
    dataset = store.add_dataset("theirs", tenant="stranger").id
    theirs = store.jobs.submit("stranger", store.spec(dataset=dataset), ESTIMATE).job.id
    assert cancel_all(store, status="queued") == (1, 0)
    assert store.jobs.get(TENANT, queued).status == "cancelled"
    assert not store.jobs.get(TENANT, running).cancel_requested
    assert store.jobs.get("stranger", theirs).status == "queued"


def test_turns_end_with_what_was_there_at_the_first_one(store: Store) -> None:
    submit_many(store, BATCH + 20, name="many")
    first = store.jobs.cancel_some(TENANT, None, "many")
    assert (first.cancelled, first.requested) == (BATCH, 0)
    assert first.more is not None
    late = store.submit(name="many")
    second = store.jobs.cancel_some(TENANT, None, "many", *first.more)
    assert (second.cancelled, second.more) == (20, None)
    assert store.jobs.get(TENANT, late).status == "queued"


def test_two_at_once_with_workers_among_them_end_every_job_once(store: Store) -> None:
    ids = submit_many(store, BATCH + 50, name="crowd")

    def work(job_id: str) -> None:
        if (claim := insist(lambda: store.claims.claim(job_id, "worker"))) is not None:
            insist(lambda: store.claims.end(claim, "fail"))

    with ThreadPoolExecutor(4) as pool:
        turns = [pool.submit(cancel_all, store, None, "crowd") for _ in range(2)]
        list(pool.map(work, ids[:: -BATCH // 10]))
        cancelled = sum(turn.result()[0] for turn in turns)
    cancel_all(store, name="crowd")
    jobs = store.jobs.page(TENANT, 200, None).items
    assert {job.status for job in jobs} <= {"cancelled", "failed"}
    assert sum(job.status == "cancelled" for job in jobs) >= cancelled
    for job in jobs[::10]:
        kinds = store.event_types(job.id)
        assert sum(kind in ("cancelled", "failed") for kind in kinds) == 1
