"""New jobs in groups: one transaction for all, an outcome for each."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, delete, event, text

from core.estimate import Estimate
from store import tables
from store.database import Database
from store.errors import KeyReused, NotFound, Unavailable
from store.submissions import Idempotency, NewJob, Submission, submit_group
from tests.store.conftest import ESTIMATE, TENANT, Store


def new(store: Store, key: str | None = None, fingerprint: str = "sha256:a", **changes: object) -> NewJob:
    return NewJob(TENANT, store.spec(**changes), ESTIMATE, Idempotency(key, fingerprint) if key else None)


def accepted(outcome: object) -> Submission:
    assert isinstance(outcome, Submission), outcome
    return outcome


@contextmanager
def transactions(database: Database) -> Iterator[list[str]]:
    """How each transaction within the block ended."""
    ends: list[str] = []
    listeners = [(end, lambda _, end=end: ends.append(end)) for end in ("commit", "rollback")]
    for end, listener in listeners:
        event.listen(database.engine, end, listener)
    yield ends
    for end, listener in listeners:
        event.remove(database.engine, end, listener)


def job_ids(store: Store, tenant: str = TENANT) -> set[str]:
    return {job.id for job in store.jobs.page(tenant, 200, None).items}


def test_each_job_of_a_group_has_its_own_outcome(store: Store) -> None:
    first = store.jobs.submit(TENANT, store.spec(), ESTIMATE, Idempotency("known", "sha256:a")).job
    group = [
        new(store, name="good"),
        new(store, dataset="ds_gone"),
        new(store, validation={"dataset": "ds_missing"}),
        new(store, from_checkpoint="ckpt_gone"),
        new(store, "known"),
        new(store, "known", "sha256:b"),
        new(store, "fresh", dataset="ds_gone"),
        new(store, "fresh", name="keyed"),
        new(store, validation={"dataset": store.dataset.id}, name="validated"),
    ]
    with transactions(store.database) as ends:
        outcomes = store.jobs.submit_all(group)
    assert ends == ["commit"]
    refused = [(type(outcome), str(outcome)) for outcome in outcomes if isinstance(outcome, Exception)]
    assert refused == [
        (NotFound, "There is no dataset 'ds_gone'."),
        (NotFound, "There is no dataset 'ds_missing'."),
        (NotFound, "There is no checkpoint 'ckpt_gone'."),
        (KeyReused, str(KeyReused())),
        (NotFound, "There is no dataset 'ds_gone'."),
    ]
    assert outcomes[4] == Submission(first, replayed=True)
    made = [accepted(outcomes[place]).job for place in (0, 7, 8)]
    assert [job.name for job in made] == ["good", "keyed", "validated"]
    assert made[2].validation_dataset_id == store.dataset.id
    assert job_ids(store) == {first.id, *(job.id for job in made)}


def test_the_events_of_a_group_begin_at_one_for_each_job(store: Store) -> None:
    jobs = [accepted(outcome).job for outcome in store.jobs.submit_all([new(store), new(store, "key"), new(store)])]
    assert [store.jobs.get(TENANT, job.id) for job in jobs] == jobs
    for job in jobs:
        [first] = store.jobs.events(TENANT, job.id)
        assert (first.number, first.type, first.data) == (1, "queued", {"name": job.name})
        store.start(job.id)
        assert store.event_types(job.id) == ["queued", "started"]
    assert [job.id for job in store.jobs.page(TENANT, 10, None).items] == [job.id for job in jobs[::-1]]


def test_one_key_in_a_group_makes_one_job(store: Store) -> None:
    group = [new(store, "key"), new(store, "key"), new(store, "key", "sha256:b"), new(store, "key")]
    with transactions(store.database) as ends:
        first, again, other, last = store.jobs.submit_all(group)
    assert ends == ["commit"]
    assert not accepted(first).replayed
    assert again == last == Submission(accepted(first).job, replayed=True)
    assert isinstance(other, KeyReused)
    assert job_ids(store) == {accepted(first).job.id}
    assert store.jobs.submit_all(group)[0] == again


def test_tenants_of_one_group_share_neither_keys_nor_datasets(store: Store) -> None:
    mine = store.jobs.submit(TENANT, store.spec(), ESTIMATE, Idempotency("key", "sha256:a")).job
    schema = store.dataset.schema
    theirs = store.datasets.add("stranger", "points", store.folder / "upload-points-4", schema).id
    key = Idempotency("key", "sha256:a")
    again, stolen, own = store.jobs.submit_all(
        [
            NewJob(TENANT, store.spec(), ESTIMATE, key),
            NewJob("stranger", store.spec(), ESTIMATE, key),
            NewJob("stranger", store.spec(dataset=theirs), ESTIMATE, key),
        ]
    )
    assert again == Submission(mine, replayed=True)
    assert isinstance(stolen, NotFound)
    assert not accepted(own).replayed
    assert job_ids(store) == {mine.id}
    assert job_ids(store, "stranger") == {accepted(own).job.id}


def test_a_group_may_begin_from_checkpoints(store: Store) -> None:
    claim = store.start(store.submit())
    store.report(claim, 1)
    origin = store.jobs.checkpoints(TENANT, claim.job_id)[0]
    plain, forked = store.jobs.submit_all([new(store), new(store, from_checkpoint=origin.id)])
    assert store.start(accepted(plain).job.id).start_blob is None
    assert store.start(accepted(forked).job.id).start_blob == origin.blob


def test_a_group_that_fails_stores_nothing(store: Store) -> None:
    group = [new(store), new(store, "key-1"), new(store, "key-2")]
    fail_the_last_statement(store.database)
    with pytest.raises(Unavailable):
        store.jobs.submit_all(group)
    assert job_ids(store) == set()
    with store.database.transaction() as connection:
        connection.execute(text("DROP TRIGGER broken" + ("" if store.database.is_sqlite else " ON idempotency")))
    assert all(not accepted(outcome).replayed for outcome in store.jobs.submit_all(group))


def fail_the_last_statement(database: Database) -> None:
    """Make the disk full once the jobs and events of a group are written."""
    trigger = "CREATE TRIGGER broken BEFORE INSERT ON idempotency "
    full = "RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full';"
    with database.transaction() as connection:
        if database.is_sqlite:
            connection.execute(text("CREATE TABLE filler (content BLOB)"))
            connection.execute(text(trigger + "BEGIN INSERT INTO filler VALUES (zeroblob(20000000)); END"))
            connection.execute(text("PRAGMA max_page_count = 1000"))
            return
        connection.execute(text(f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {full} END $$"))
        connection.execute(text(trigger + "EXECUTE FUNCTION fail()"))


def test_what_cannot_be_written_at_all_harms_nobody_else(store: Store) -> None:
    endless = Estimate(parameters=2**70, flops_per_epoch=1, memory_bytes=1)
    good, bad, replayed = store.jobs.submit_all(
        [new(store, "key"), NewJob(TENANT, store.spec(), endless), new(store, "key")]
    )
    assert isinstance(bad, Exception)
    assert replayed == Submission(accepted(good).job, replayed=True)
    assert job_ids(store) == {accepted(good).job.id}


def test_groups_with_the_same_keys_at_once(store: Store) -> None:
    keys = [f"key-{number}" for number in range(8)]

    def submit(turn: int) -> list[Submission]:
        order = keys if turn % 2 else keys[::-1]
        return [accepted(outcome) for outcome in store.jobs.submit_all([new(store, key, name=key) for key in order])]

    with ThreadPoolExecutor(8) as pool:
        outcomes = [outcome for group in pool.map(submit, range(16)) for outcome in group]
    assert sum(not outcome.replayed for outcome in outcomes) == len(keys)
    assert {outcome.job.id for outcome in outcomes} == job_ids(store)
    assert len(job_ids(store)) == len(keys)


def test_a_key_that_another_transaction_is_taking_is_waited_for(store: Store) -> None:
    taken: list[Submission] = []

    def take(connection: Connection) -> None:
        taken.extend(accepted(outcome) for outcome in submit_group(connection, [new(store, "key")]))

    group = [new(store), new(store, "key"), new(store, "key", "sha256:b")]
    alone, again, other = outcomes_beside(store, group, take)
    assert again == Submission(taken[0].job, replayed=True)
    assert isinstance(other, KeyReused)
    assert job_ids(store) == {taken[0].job.id, accepted(alone).job.id}


def test_two_groups_do_not_wait_for_each_other(store: Store) -> None:
    def take(key: str) -> Callable[[Connection], object]:
        return lambda connection: submit_group(connection, [new(store, key)])

    outcomes = outcomes_beside(store, [new(store, "b"), new(store, "a")], take("a"), take("b"))
    assert all(accepted(outcome).replayed for outcome in outcomes)
    assert len(job_ids(store)) == 2


def test_a_dataset_that_another_transaction_is_deleting_is_waited_for(store: Store) -> None:
    doomed = store.add_dataset("doomed").id

    def take_away(connection: Connection) -> None:
        connection.execute(delete(tables.dataset).where(tables.dataset.c.id == doomed))

    good, late = outcomes_beside(store, [new(store), new(store, dataset=doomed)], take_away)
    assert late == NotFound("dataset", doomed)
    assert job_ids(store) == {accepted(good).job.id}


def outcomes_beside(
    store: Store, group: list[NewJob], *changes: Callable[[Connection], object]
) -> list[Submission | Exception]:
    """What becomes of a group that is submitted after the first change of a transaction that is not yet committed."""
    first, *others = changes
    with ThreadPoolExecutor(1) as pool:
        with store.database.transaction() as connection:
            first(connection)
            outcomes = pool.submit(store.jobs.submit_all, group)
            time.sleep(0.3)
            for change in others:
                change(connection)
            assert not outcomes.done()
        return outcomes.result()
