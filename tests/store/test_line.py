"""The line of waiting jobs: one total order, in which workers take them and owners are told their place."""

from datetime import timedelta

from sqlalchemy import update

from store import tables
from store.line import COUNTED, placed
from store.submissions import NewJob, Submission
from tests.store.conftest import ESTIMATE, TENANT, Store


def places(store: Store) -> dict[str, int | None]:
    """What a list of all jobs says of their places."""
    return {job.id: job.queue_position for job in store.jobs.page(TENANT, 200, None).items}


def test_the_place_is_that_in_which_workers_take_jobs(store: Store) -> None:
    ids = [store.submit(priority=priority) for priority in (0, -10, 5, 0, 10, 5, -10)]
    order = store.claims.queued(10)
    assert order == [ids[place] for place in (4, 2, 5, 0, 3, 1, 6)]
    assert places(store) == {job_id: order.index(job_id) + 1 for job_id in ids}
    for job_id in order:
        assert store.jobs.get(TENANT, job_id).queue_position == 1
        assert store.claims.queued(1) == [job_id]
        store.start(job_id)
        assert store.jobs.get(TENANT, job_id).queue_position is None


def test_jobs_of_the_same_moment_have_an_order_too(store: Store) -> None:
    ids = [store.submit() for _ in range(12)]
    with store.database.transaction() as connection:
        moment = store.jobs.get(TENANT, ids[0]).created_at - timedelta(seconds=1)
        connection.execute(update(tables.job).values(queued_at=moment))
    assert store.claims.queued(12) == sorted(ids)
    assert places(store) == {job_id: place for place, job_id in enumerate(sorted(ids), 1)}


def test_every_answer_to_an_owner_tells_the_place(store: Store) -> None:
    first, second = store.submit(), store.jobs.submit(TENANT, store.spec(), ESTIMATE).job
    assert second.queue_position == 2
    assert store.jobs.pause(TENANT, first).queue_position is None
    assert store.jobs.get(TENANT, second.id).queue_position == 1
    assert store.jobs.resume(TENANT, first).queue_position == 2
    outcomes = store.jobs.submit_all([NewJob(TENANT, store.spec(priority=place), ESTIMATE) for place in (0, 1)])
    assert [outcome.job.queue_position for outcome in outcomes if isinstance(outcome, Submission)] == [4, 1]
    claim = store.start(second.id)
    store.claims.end(claim, "fail")
    assert store.jobs.retry(TENANT, second.id).queue_position == 4
    assert store.jobs.cancel(TENANT, second.id).queue_position is None


def test_all_tenants_stand_in_one_line(store: Store) -> None:
    store.submit()
    other = store.add_dataset("theirs", tenant="stranger")
    [outcome] = store.jobs.submit_all([NewJob("stranger", store.spec(dataset=other.id), ESTIMATE)])
    assert isinstance(outcome, Submission)
    assert outcome.job.queue_position == 2


def test_a_job_that_is_taken_between_two_looks_is_not_said_to_wait(store: Store) -> None:
    waiting, taken = (store.jobs.get(TENANT, store.submit()) for _ in range(2))
    store.start(taken.id)
    with store.database.reading() as connection:
        first, second = placed(connection, [waiting, taken])
    assert (first.status, first.queue_position) == ("queued", 1)
    assert (second.status, second.queue_position) == ("running", None)


def test_a_long_line_is_counted_up_to_a_bound(store: Store) -> None:
    outcomes = store.jobs.submit_all([NewJob(TENANT, store.spec(), ESTIMATE) for _ in range(COUNTED + 2)])
    told = [outcome.job.queue_position for outcome in outcomes if isinstance(outcome, Submission)]
    assert told == [*range(1, COUNTED + 2), COUNTED + 1]
