"""Submit, look, list, cancel, pause, resume, retry, delete: as the owner of a job sees them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from store import clock
from store.database import Database
from store.errors import BadCursor, IllegalMove, InUse, KeyReused, NotFound
from store.migrate import migrate
from store.submissions import Idempotency, NewJob, Submission, submit_group
from tests.infrastructure.processes import eventually
from tests.store.conftest import ESTIMATE, TENANT, Store


def test_a_submitted_job_is_queued_with_its_defaults_written_out(store: Store) -> None:
    job = store.jobs.submit(TENANT, store.spec(), ESTIMATE).job
    assert (job.status, job.attempt, job.epoch, job.epochs, job.last_event) == ("queued", 0, 0, 3, 1)
    assert job.spec["batch_size"] == 32
    assert job.spec["spec_version"] == 1
    assert job.spec["name"] == job.name
    assert job.estimate["parameters"] == 2
    assert store.jobs.get(TENANT, job.id) == job
    assert store.event_types(job.id) == ["queued"]


def test_another_tenant_sees_nothing(store: Store) -> None:
    job_id = store.submit()
    for call in (store.jobs.get, store.jobs.cancel, store.jobs.delete, store.jobs.metrics, store.jobs.events):
        with pytest.raises(NotFound):
            call("stranger", job_id)
    assert store.jobs.page("stranger", 10, None).items == []


def test_one_key_makes_one_job(store: Store) -> None:
    key = Idempotency("key-1", "sha256:a")
    first = store.jobs.submit(TENANT, store.spec(), ESTIMATE, key)
    again = store.jobs.submit(TENANT, store.spec(), ESTIMATE, key)
    assert not first.replayed
    assert again.replayed
    assert again.job.id == first.job.id
    with pytest.raises(KeyReused):
        store.jobs.submit(TENANT, store.spec(epochs=9), ESTIMATE, Idempotency("key-1", "sha256:b"))
    other = store.jobs.submit(TENANT, store.spec(), ESTIMATE, Idempotency("key-2", "sha256:a"))
    assert other.job.id != first.job.id


def test_one_key_makes_one_job_when_many_ask_at_once(store: Store) -> None:
    key = Idempotency("key-1", "sha256:a")

    def ask(_: int) -> Submission:
        return store.jobs.submit(TENANT, store.spec(), ESTIMATE, key)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(16)))
    assert len({answer.job.id for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert len(store.jobs.page(TENANT, 200, None).items) == 1


def test_a_dataset_that_went_away_is_named(store: Store) -> None:
    spec = store.spec(dataset="ds_gone")
    with pytest.raises(NotFound, match="ds_gone"):
        store.jobs.submit(TENANT, spec, ESTIMATE)
    assert store.jobs.page(TENANT, 10, None).items == []


def test_pages_show_every_job_once_newest_first(store: Store) -> None:
    ids = [store.submit(name="odd" if number % 2 else "even") for number in range(7)]
    seen: list[str] = []
    cursor = None
    while True:
        page = store.jobs.page(TENANT, 3, cursor)
        seen += [job.id for job in page.items]
        store.submit()  # what is new does not disturb a walk that is under way
        if (cursor := page.next_cursor) is None:
            break
    assert seen == ids[::-1]
    assert {job.name for job in store.jobs.page(TENANT, 10, None, name="odd").items} == {"odd"}
    assert store.jobs.page(TENANT, 10, None, status="running").items == []


@pytest.mark.parametrize("cursor", ["nonsense", "", "é", "AAAA", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk6eA", "MTIzOgA"])
def test_a_made_up_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(BadCursor):
        store.jobs.page(TENANT, 10, cursor)


def test_cancel_of_a_waiting_job_is_at_once(store: Store) -> None:
    job_id = store.submit()
    assert store.jobs.cancel(TENANT, job_id).status == "cancelled"
    with pytest.raises(IllegalMove, match="cancelled cannot cancel"):
        store.jobs.cancel(TENANT, job_id)
    assert store.event_types(job_id) == ["queued", "cancelled"]
    assert store.claims.claim(job_id, "late") is None


def test_cancel_of_a_running_job_is_a_request_that_is_noted_once(store: Store) -> None:
    job_id = store.submit()
    claim = store.start(job_id)
    assert not store.claims.renew(claim).cancel
    for _ in range(2):
        assert store.jobs.cancel(TENANT, job_id).status == "running"
    assert store.claims.renew(claim).cancel
    assert store.claims.end(claim, "cancel").status == "cancelled"
    assert store.event_types(job_id) == ["queued", "started", "cancel_requested", "cancelled"]


def test_a_cancel_that_was_accepted_wins_over_the_last_epoch(store: Store) -> None:
    job_id = store.submit()
    claim = store.start(job_id)
    store.report(claim, 1, 2, 3)
    store.jobs.cancel(TENANT, job_id)
    assert store.claims.succeed(claim).status == "cancelled"
    assert store.models.page(TENANT, 10, None).items == []


def test_pause_and_resume_and_retry(store: Store) -> None:
    job_id = store.submit()
    claim = store.start(job_id)
    store.jobs.pause(TENANT, job_id)
    assert store.claims.renew(claim).pause
    store.report(claim, 1)
    assert store.claims.end(claim, "pause").status == "paused"
    with pytest.raises(IllegalMove, match="paused cannot retry; resume it instead"):
        store.jobs.retry(TENANT, job_id)
    assert store.jobs.resume(TENANT, job_id).status == "queued"
    second = store.start(job_id)
    assert second.attempt == 2
    assert [found.epoch for found in second.checkpoints] == [1]
    assert not store.claims.renew(second).pause
    store.claims.end(second, "fail", reason="diverged: it did")
    failed = store.jobs.get(TENANT, job_id)
    assert (failed.status, failed.status_reason) == ("failed", "diverged: it did")
    again = store.jobs.retry(TENANT, job_id)
    assert (again.status, again.status_reason, again.finished_at) == ("queued", None, None)


def test_a_pending_pause_can_be_taken_back(store: Store) -> None:
    job_id = store.submit(limits={"attempts": 1})
    claim = store.start(job_id)
    store.jobs.pause(TENANT, job_id)
    assert store.claims.renew(claim).pause
    going_on = store.jobs.resume(TENANT, job_id)
    assert (going_on.status, going_on.pause_requested, going_on.attempt) == ("running", False, 1)
    assert not store.claims.renew(claim).pause
    with pytest.raises(IllegalMove, match="running cannot resume; it goes on already, and no pause of it is pending"):
        store.jobs.resume(TENANT, job_id)
    # Its worker has stopped for it already: it is released, which costs no attempt.
    store.jobs.pause(TENANT, job_id)
    store.jobs.resume(TENANT, job_id)
    assert store.claims.end(claim, "pause").status == "queued"
    second = store.start(job_id)
    store.jobs.pause(TENANT, job_id)
    store.jobs.cancel(TENANT, job_id)
    with pytest.raises(IllegalMove, match="being cancelled cannot resume"):
        store.jobs.resume(TENANT, job_id)
    assert store.claims.end(second, "pause").status == "cancelled"
    kinds = ["queued", "started", *2 * ["pause_requested", "pause_withdrawn"], "released", "started"]
    assert store.event_types(job_id) == [*kinds, "pause_requested", "cancel_requested", "cancelled"]


def test_a_running_job_tells_when_its_worker_was_heard_last(store: Store) -> None:
    moments = [datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC) for second in range(4)]
    with clock.read_from(lambda: moments[0]):
        job_id = store.submit()
        assert store.jobs.get(TENANT, job_id).renewed_at is None
    with clock.read_from(lambda: moments[1]):
        claim = store.claims.claim(job_id, "worker-1", lease_s=30.0)
        assert claim is not None
    claimed = store.jobs.get(TENANT, job_id)
    assert (claimed.renewed_at, claimed.lease_s) == (moments[1], 30.0)
    with clock.read_from(lambda: moments[2]):
        store.claims.renew(claim)
    assert store.jobs.get(TENANT, job_id).renewed_at == moments[2]
    with clock.read_from(lambda: moments[3]):
        store.report(claim, 1)
    assert store.jobs.get(TENANT, job_id).renewed_at == moments[3]
    released = store.claims.end(claim, "release")
    assert (released.renewed_at, released.lease_s) == (None, None)


def test_only_a_job_that_is_over_can_be_deleted_and_its_model_stays(store: Store) -> None:
    job_id = store.submit()
    with pytest.raises(IllegalMove, match="queued cannot be deleted; cancel it first"):
        store.jobs.delete(TENANT, job_id)
    claim = store.start(job_id)
    store.report(claim, 1, 2, 3)
    model_id = store.claims.succeed(claim).model_id
    assert model_id is not None
    store.jobs.delete(TENANT, job_id)
    with pytest.raises(NotFound):
        store.jobs.get(TENANT, job_id)
    model = store.models.get(TENANT, model_id)
    assert store.models.load(model) == b"checkpoint of epoch 3 step 0"


def test_a_dataset_in_use_cannot_be_deleted(store: Store) -> None:
    job_id = store.submit()
    with pytest.raises(InUse, match=job_id):
        store.datasets.delete(TENANT, store.dataset.id)
    store.jobs.cancel(TENANT, job_id)
    store.jobs.delete(TENANT, job_id)
    store.datasets.delete(TENANT, store.dataset.id)
    with pytest.raises(NotFound):
        store.datasets.get(TENANT, store.dataset.id)


def test_a_dataset_that_a_job_is_just_being_made_from_cannot_be_deleted(postgres_url: str, tmp_path: Path) -> None:
    database = Database(postgres_url)
    migrate(database)
    store = Store(database, tmp_path)
    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as connection:
            submit_group(connection, [NewJob(TENANT, store.spec(), ESTIMATE)])
            deleting = pool.submit(store.datasets.delete, TENANT, store.dataset.id)
            eventually(lambda: connection.scalar(waits) > 0, 30, "it waits for our lock")
        with pytest.raises(InUse):
            deleting.result()
    database.dispose()
