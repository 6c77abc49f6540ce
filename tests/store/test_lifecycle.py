"""Every legal move happens, every other one is refused, and the table says it all."""

import pytest

from store.lifecycle import FINAL_EVENTS, NOTICES, OVER, TRANSITIONS, Status
from store.moves import move
from tests.store.conftest import TENANT, Store


def test_a_job_that_is_over_moves_only_by_retry() -> None:
    for name, transition in TRANSITIONS.items():
        assert not (transition.sources & OVER) or name == "retry", name
    assert TRANSITIONS["retry"].sources == {Status.FAILED}


def test_only_start_leads_into_running() -> None:
    assert [name for name, way in TRANSITIONS.items() if way.target is Status.RUNNING] == ["start"]


def test_every_event_type_has_one_meaning() -> None:
    events = [transition.event for transition in TRANSITIONS.values()]
    assert len(events) == len(set(events))
    assert not set(events) & set(NOTICES)
    assert set(events) >= FINAL_EVENTS


def _bring_to(store: Store, status: Status) -> str:
    job_id = store.submit()
    if status is Status.QUEUED:
        return job_id
    if status is Status.PAUSED:
        store.jobs.pause(TENANT, job_id)
        return job_id
    claim = store.start(job_id)
    store.report(claim, 1)
    if status is Status.SUCCEEDED:
        store.claims.succeed(claim)
    elif status is Status.FAILED:
        store.claims.end(claim, "fail", reason="diverged: it did")
    elif status is Status.CANCELLED:
        store.claims.end(claim, "cancel")
    return job_id


@pytest.mark.parametrize("status", list(Status))
def test_each_move_is_made_from_its_sources_and_from_nowhere_else(store: Store, status: Status) -> None:
    for name, transition in TRANSITIONS.items():
        job_id = _bring_to(store, status)
        before = store.jobs.get(TENANT, job_id)
        assert before.status == status
        with store.database.transaction() as connection:
            moved = move(connection, name, job_id)
        after = store.jobs.get(TENANT, job_id)
        if status in transition.sources:
            assert moved is not None
            assert after.status == transition.target
            assert store.event_types(job_id)[-1] == transition.event
            assert (after.finished_at is not None) == (after.status in OVER)
        else:
            assert moved is None
            assert after == before
