"""One holder at a time, every write fenced, nothing written twice, nothing lost."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from store.errors import StaleAttempt
from store.moves import record_events
from store.progress import EpochReport, Progress
from store.rescue import Watch
from tests.store.conftest import TENANT, Store


def test_of_many_claims_one_wins(store: Store) -> None:
    job_id = store.submit()
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda number: store.claims.claim(job_id, f"worker-{number}"), range(16)))
    assert sum(claim is not None for claim in claims) == 1
    assert store.jobs.get(TENANT, job_id).attempt == 1
    assert store.event_types(job_id) == ["queued", "started"]


def test_the_queue_is_priority_then_age(store: Store) -> None:
    low, first, second, high = (store.submit(priority=priority) for priority in (-1, 0, 0, 5))
    assert store.claims.queued(10) == [high, first, second, low]
    assert store.claims.queued(2) == [high, first]
    assert store.claims.queued(10, older_than_s=60) == []


def test_a_job_that_lost_its_worker_keeps_its_place_in_the_line(store: Store) -> None:
    first, second = store.submit(), store.submit()
    lost = store.start(first)
    store.claims.hand_back(first, lost.attempt, None, "died")
    assert store.claims.queued(10) == [first, second]
    store.claims.end(store.start(first), "release")  # its worker was told to stop
    assert store.claims.queued(10) == [first, second]
    store.claims.end(store.start(first), "release", data={"detail": "The disk is full."})
    assert store.claims.queued(10) == [second, first]


def test_a_report_is_one_transaction_of_rows_pointers_and_events(store: Store) -> None:
    job_id = store.submit()
    claim = store.start(job_id)
    store.report(claim, 1, 2, best=True)
    job = store.jobs.get(TENANT, job_id)
    assert (job.epoch, job.metrics, job.examples_per_s) == (2, {"train_loss": 0.5}, 100.0)
    assert job.checkpoint_id == job.best_checkpoint_id
    assert store.jobs.metrics(TENANT, job_id) == [{"epoch": 1, "train_loss": 1.0}, {"epoch": 2, "train_loss": 0.5}]
    assert store.event_types(job_id) == ["queued", "started", "epoch", "epoch", "checkpoint"]
    assert [found.id for found in store.jobs.checkpoints(TENANT, job_id)] == [job.checkpoint_id]


def test_a_report_that_is_repeated_changes_nothing(store: Store) -> None:
    job_id = store.submit()
    claim = store.start(job_id)
    epochs, kept = [EpochReport(1, {"train_loss": 1.0})], [store.new_checkpoint(1)]
    store.claims.report(claim, epochs, kept, Progress(0.3, 1.0, 1.0))
    before = store.jobs.get(TENANT, job_id)
    store.claims.report(claim, epochs, kept, Progress(0.3, 1.0, 1.0))
    after = store.jobs.get(TENANT, job_id)
    assert after.heartbeat == before.heartbeat + 1
    assert (after.last_event, after.checkpoint_id, after.epoch) == (before.last_event, before.checkpoint_id, 1)
    assert len(store.jobs.metrics(TENANT, job_id)) == 1
    assert len(store.event_types(job_id)) == after.last_event


def test_epochs_that_are_done_again_are_not_told_again(store: Store) -> None:
    job_id = store.submit()
    claim = store.start(job_id)
    store.report(claim, 1)
    store.report(claim, 2, checkpoint=False)
    assert store.claims.hand_back(job_id, claim.attempt, None, "it died") is not None
    second = store.start(job_id)
    assert [found.epoch for found in second.checkpoints] == [1]
    store.report(second, 2, 3)
    job = store.jobs.get(TENANT, job_id)
    assert job.epoch == 3
    assert [row["epoch"] for row in store.jobs.metrics(TENANT, job_id)] == [1, 2, 3]
    assert store.event_types(job_id).count("epoch") == 3


def test_nothing_of_a_stale_owner_lands(store: Store) -> None:
    job_id = store.submit()
    stale = store.start(job_id, "frozen")
    store.report(stale, 1)
    store.claims.hand_back(job_id, stale.attempt, None, "frozen too long")
    store.start(job_id, "rescuer")
    before, rows = store.jobs.get(TENANT, job_id), store.jobs.metrics(TENANT, job_id)
    for write in (
        lambda: store.claims.renew(stale),
        lambda: store.report(stale, 2),
        lambda: store.claims.succeed(stale),
        lambda: store.claims.end(stale, "fail", reason="late"),
        lambda: store.claims.end(stale, "release"),
    ):
        with pytest.raises(StaleAttempt):
            write()
    assert store.claims.hand_back(job_id, stale.attempt, None, "again") is None
    assert store.jobs.get(TENANT, job_id) == before
    assert store.jobs.metrics(TENANT, job_id) == rows
    assert store.models.page(TENANT, 10, None).items == []


def test_the_newest_checkpoints_and_the_best_one_are_kept(store: Store) -> None:
    job_id = store.submit(epochs=6)
    claim = store.start(job_id)
    for epoch in range(1, 6):
        store.report(claim, epoch, best=epoch == 2)
    kept = store.jobs.checkpoints(TENANT, job_id)
    assert [found.epoch for found in kept] == [5, 4, 2]
    job = store.jobs.get(TENANT, job_id)
    assert (job.checkpoint_id, job.best_checkpoint_id) == (kept[0].id, kept[2].id)


def test_two_checkpoints_within_the_running_epoch_are_kept_until_its_end(store: Store) -> None:
    job_id = store.submit(epochs=6)
    claim = store.start(job_id)
    places = []
    for epoch in range(1, 4):
        store.report(claim, epoch)
        for step in (10, 20, 30):
            within = store.new_checkpoint(epoch, step=step)
            store.claims.report(claim, [], [within], Progress(epoch / 6, 1.0, 1.0))
        job, kept = store.jobs.get(TENANT, job_id), store.jobs.checkpoints(TENANT, job_id)
        assert (job.epoch, job.checkpoint_id) == (epoch, kept[0].id)
        places = [(found.epoch, found.step) for found in kept]
    assert places == [(3, 30), (3, 20), (3, 0), (2, 0)]
    store.report(claim, 4)
    assert [(found.epoch, found.step) for found in store.jobs.checkpoints(TENANT, job_id)] == [(4, 0), (3, 0)]


def test_success_makes_the_next_version_of_a_model(store: Store) -> None:
    versions = []
    for _ in range(2):
        job_id = store.submit(name="digits")
        claim = store.start(job_id)
        store.report(claim, 1, 2, 3)
        done = store.claims.succeed(claim)
        assert (done.status, done.fraction) == ("succeeded", 1.0)
        assert done.model_id is not None
        model = store.models.get(TENANT, done.model_id)
        assert (model.name, model.job_id, model.checkpoint_id) == ("digits", job_id, done.checkpoint_id)
        assert model.dataset_digest == store.dataset.digest
        versions.append(model.version)
    assert versions == [1, 2]


def test_with_early_stopping_the_model_is_the_best_checkpoint(store: Store) -> None:
    job_id = store.submit()
    claim = store.start(job_id)
    store.report(claim, 1, best=True)
    store.report(claim, 2)
    done = store.claims.succeed(claim, model_from_best=True, reason="early_stopping: enough")
    assert done.model_id is not None
    assert store.models.get(TENANT, done.model_id).checkpoint_id == done.best_checkpoint_id != done.checkpoint_id
    assert done.status_reason == "early_stopping: enough"


def test_a_job_that_kills_its_worker_each_time_fails_after_its_attempts(store: Store) -> None:
    job_id = store.submit(limits={"attempts": 3})
    for attempt in range(1, 4):
        assert store.start(job_id).attempt == attempt
        lost = store.claims.hand_back(job_id, attempt, None, "the training process died (signal 9)")
        assert lost is not None
    assert lost.status == "failed"
    assert lost.status_reason is not None
    assert lost.status_reason.startswith("worker_lost: the training process died (signal 9)")
    assert store.event_types(job_id) == ["queued", *["started", "rescued"] * 2, "started", "failed"]


def test_progress_resets_the_count_of_attempts(store: Store) -> None:
    job_id = store.submit(limits={"attempts": 2}, epochs=9)
    for epoch in range(1, 6):
        claim = store.start(job_id)
        store.report(claim, epoch)
        handed = store.claims.hand_back(job_id, claim.attempt, None, "died")
        assert handed is not None
        assert handed.status == "queued"


def test_releases_do_not_count_as_attempts(store: Store) -> None:
    job_id = store.submit(limits={"attempts": 2})
    for _ in range(5):
        assert store.claims.end(store.start(job_id), "release").status == "queued"


def test_a_request_to_stop_survives_the_worker(store: Store) -> None:
    for name, status in (("cancel", "cancelled"), ("pause", "paused")):
        for how in ("hand_back", "release"):
            job_id = store.submit()
            claim = store.start(job_id)
            getattr(store.jobs, name)(TENANT, job_id)
            if how == "release":
                store.claims.end(claim, "release")
            else:
                store.claims.hand_back(job_id, claim.attempt, None, "died")
            assert store.jobs.get(TENANT, job_id).status == status


class TestWatch:
    """Leases without wall clocks: a watcher believes only what it saw itself."""

    def test_a_silent_owner_is_replaced_after_a_whole_lease(self, store: Store) -> None:
        now = [0.0]
        watch = Watch(store.claims, lease_s=30, clock=lambda: now[0])
        job_id = store.submit()
        store.start(job_id)
        for moment in (100.0, 105.0, 115.0, 125.0, 129.0):
            now[0] = moment
            assert watch.rescue() == []
        now[0] = 130.0
        (rescued,) = watch.rescue()
        assert (rescued.id, rescued.status) == (job_id, "queued")
        assert store.event_types(job_id) == ["queued", "started", "rescued"]
        assert watch.rescue() == []

    def test_a_living_owner_is_never_robbed(self, store: Store) -> None:
        now = [0.0]
        watch = Watch(store.claims, lease_s=30, clock=lambda: now[0])
        claim = store.start(store.submit())
        for moment in range(0, 300, 5):
            now[0] = float(moment)
            store.claims.renew(claim)
            assert watch.rescue() == []

    def test_a_sign_of_life_between_look_and_grip_saves_the_owner(self, store: Store) -> None:
        claim = store.start(store.submit())
        ((job_id, attempt, heartbeat),) = store.claims.running()
        store.claims.renew(claim)
        assert store.claims.hand_back(job_id, attempt, heartbeat, "silent") is None

    def test_two_watchers_rescue_once(self, store: Store) -> None:
        now = [0.0]
        watches = [Watch(store.claims, lease_s=30, clock=lambda: now[0]) for _ in range(2)]
        store.start(store.submit())
        for moment in (0.0, 10.0, 20.0):
            now[0] = moment
            assert [watch.rescue() for watch in watches] == [[], []]
        now[0] = 30.0
        assert sum(len(watch.rescue()) for watch in watches) == 1

    def test_silence_is_not_counted_while_nobody_looked(self, store: Store) -> None:
        now = [0.0]
        watch = Watch(store.claims, lease_s=30, clock=lambda: now[0])
        job_id = store.submit()
        store.start(job_id)
        for moment in (0.0, 5.0, 65.0, 70.0, 80.0, 90.0, 94.0):  # the machine slept for a minute, owner and watcher
            now[0] = moment
            assert watch.rescue() == []
        now[0] = 95.0
        assert [found.id for found in watch.rescue()] == [job_id]

    def test_a_question_that_hangs_adds_nothing_to_the_silence(self, store: Store) -> None:
        moments = iter([0.0, 0.0, 9.0, 10.0, 10.0, 20.0, 20.0, 30.0, 30.0, 38.0, 38.0, 39.0, 39.0])
        watch = Watch(store.claims, lease_s=30, clock=lambda: next(moments))
        store.start(store.submit())
        assert [len(watch.rescue()) for _ in range(6)] == [0, 0, 0, 0, 0, 1]

    def test_a_job_that_cannot_be_moved_does_not_keep_the_others(self, store: Store) -> None:
        now = [0.0]
        watch = Watch(store.claims, lease_s=30, clock=lambda: now[0])
        broken, good = store.submit(), store.submit()
        for job_id in (broken, good):
            store.start(job_id)
        with store.database.transaction() as connection:  # the number of its next event is taken
            last = store.jobs.get(TENANT, broken).last_event
            record_events(connection, TENANT, broken, last + 1, [("epoch", {})], datetime.now(UTC))
        for moment in (0.0, 10.0, 20.0):
            now[0] = moment
            assert watch.rescue() == []
        now[0] = 30.0
        assert [found.id for found in watch.rescue()] == [good]
        assert store.jobs.get(TENANT, broken).status == "running"


def test_progress_never_falls(store: Store) -> None:
    job_id = store.submit()
    claim = store.start(job_id)
    store.claims.renew(claim, Progress(0.6, 5.0, 1.0))
    store.claims.renew(claim, Progress(0.2, 7.0, 2.0))
    job = store.jobs.get(TENANT, job_id)
    assert (job.fraction, job.examples_per_s, job.eta_s) == (0.6, 7.0, 2.0)
