"""Every event says in a sentence what happened, in the words of what really did."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from store import clock, tables
from store.lifecycle import EVENTS, NOTICES, TRANSITIONS
from store.progress import Progress
from store.rescue import Watch
from store.story import SENTENCES, tell
from tests.store.conftest import TENANT, Store


def story(store: Store, job_id: str) -> list[str]:
    """What is told of a job, without epochs and checkpoints."""
    events = store.jobs.events(TENANT, job_id)
    return [tell(event.type, event.data) for event in events if event.type not in ("epoch", "checkpoint")]


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    """The clock stands still, so that only what a test says takes time."""
    moment = datetime.now(UTC)
    with clock.read_from(lambda: moment):
        yield


def age(store: Store, job_id: str, seconds: float) -> None:
    """Let a job have waited for so long."""
    moment = clock.now() - timedelta(seconds=seconds)
    event, last = tables.event, store.jobs.get(TENANT, job_id).last_event
    with store.database.transaction() as connection:
        connection.execute(
            update(event).where(event.c.job_id == job_id, event.c.number == last).values(created_at=moment)
        )


def test_every_event_has_its_sentence() -> None:
    assert set(SENTENCES) == set(EVENTS) == {way.event for way in TRANSITIONS.values()} | set(NOTICES)


@pytest.mark.parametrize("kind", sorted([*EVENTS, "of_a_newer_version"]))
def test_what_older_versions_wrote_is_told_too(kind: str) -> None:
    for data in ({}, {"after": "rescued"}, {"was": "paused"}, {"reason": "worker_lost"}, {"detail": "It did."}):
        told = tell(kind, data)
        assert told == told.strip().rstrip(".")
        assert told


def test_a_lost_worker_and_who_took_over(store: Store) -> None:
    job_id = store.submit(epochs=20)
    age(store, job_id, 4)
    claim = store.start(job_id, "w1")
    store.report(claim, *range(1, 12))
    now = [0.0]
    watch = Watch(store.claims, lease_s=30, clock=lambda: now[0])
    for now[0] in (0.0, 10.0, 20.0, 30.0):
        watch.rescue()
    age(store, job_id, 1.2)
    store.start(job_id, "w2")
    assert story(store, job_id) == [
        "accepted; waits for a worker",
        "taken by w1 after 4.0 s; starts from the beginning",
        "worker w1 lost at epoch 12 (the worker gave no sign of life for 30 s); queued again",
        "worker lost at epoch 12; taken over after 31 s from the checkpoint of epoch 11 by w2",
    ]
    rescued, started = (store.jobs.events(TENANT, job_id)[number].data for number in (-2, -1))
    assert (rescued["attempt"], rescued["epoch"], rescued["worker"], rescued["silence_s"]) == (1, 11, "w1", 30.0)
    assert (started["attempt"], started["from_epoch"], started["from_step"]) == (2, 11, 0)
    assert 31 <= started["after_s"] < 60


def test_pauses_releases_and_ends(store: Store) -> None:
    job_id = store.submit()
    store.jobs.pause(TENANT, job_id)
    store.jobs.resume(TENANT, job_id)
    claim = store.start(job_id)
    store.jobs.pause(TENANT, job_id)
    store.report(claim, 1, 2)
    store.claims.end(claim, "pause")
    store.jobs.resume(TENANT, job_id)
    age(store, job_id, 300)
    store.claims.end(store.start(job_id), "release")
    age(store, job_id, 2)
    store.claims.end(store.start(job_id), "release", data={"detail": "The store is away."})
    claim = store.start(job_id)
    store.jobs.cancel(TENANT, job_id)
    store.claims.end(claim, "cancel")
    told = story(store, job_id)
    assert told[1:3] == ["paused while it waited", "resumed on request; waits for a worker"]
    assert told[4:10] == [
        "asked to pause",
        "paused after epoch 2 with a checkpoint",
        "resumed on request; waits for a worker",
        "goes on after 5 min from the checkpoint of epoch 2; taken by worker-1",
        "released by its worker, which was told to stop; waits for a worker, to go on from its last checkpoint",
        "taken over after 2.0 s from the checkpoint of epoch 2 by worker-1",
    ]
    assert (
        told[10] == "released by its worker: The store is away; waits for a worker, to go on from its last checkpoint"
    )
    assert told[-2:] == ["asked to stop for good", "cancelled in epoch 3"]


def test_failures_and_success(store: Store) -> None:
    job_id = store.submit(limits={"attempts": 1})
    store.claims.hand_back(job_id, store.start(job_id).attempt, None, "it died")
    store.jobs.retry(TENANT, job_id)
    claim = store.start(job_id)
    store.report(claim, 1, 2, 3)
    store.claims.succeed(claim)
    told = story(store, job_id)
    assert told[2] == (
        "failed: worker lost at epoch 1 (it died); attempt 1 was the last, since limits.attempts allows 1 in a row "
        "without a new checkpoint"
    )
    assert told[3] == "tried again on request, with its attempts counted anew; waits for a worker"
    assert told[4].startswith("goes on after 0.")
    assert told[5].startswith("trained to its end; made the model mdl_")
    lost = store.submit()
    claim = store.start(lost)
    store.jobs.pause(TENANT, lost)
    store.claims.hand_back(lost, claim.attempt, None, "it died")
    assert story(store, lost)[-1] == "paused in epoch 1 without a checkpoint; its worker was lost (it died)"


def test_a_pause_within_an_epoch_says_where(store: Store) -> None:
    job_id = store.submit(epochs=1)
    claim = store.start(job_id)
    store.jobs.pause(TENANT, job_id)
    kept = replace(store.new_checkpoint(0, step=37), steps=120)
    store.claims.report(claim, [], [kept], Progress(37 / 120, 100.0, 1.0))
    store.claims.end(claim, "pause")
    store.jobs.resume(TENANT, job_id)
    store.start(job_id)
    place = "in epoch 1, after 37 of 120 mini-batches"
    stored = store.jobs.events(TENANT, job_id)[3]
    assert tell(stored.type, stored.data) == f"stored the checkpoint {place}"
    told = story(store, job_id)
    assert told[3] == f"paused {place}, with a checkpoint"
    assert told[-1].endswith(f" s from the checkpoint {place}; taken by worker-1")


def test_a_pause_that_is_taken_back(store: Store) -> None:
    job_id = store.submit()
    claim = store.start(job_id)
    store.jobs.pause(TENANT, job_id)
    store.jobs.resume(TENANT, job_id)
    store.report(claim, 1)
    store.jobs.pause(TENANT, job_id)
    store.jobs.resume(TENANT, job_id)
    store.claims.end(claim, "pause")
    assert story(store, job_id)[2:] == [
        "asked to pause",
        "the pause was taken back; goes on",
        "asked to pause",
        "the pause was taken back; goes on",
        "stopped for the pause that was taken back; waits for a worker, to go on from its last checkpoint",
    ]


def test_who_retries_what_diverged_is_told_that_it_would_again(store: Store) -> None:
    job_id = store.submit()
    store.claims.end(store.start(job_id), "fail", reason="diverged: The loss is not finite.")
    store.jobs.retry(TENANT, job_id)
    store.claims.end(store.start(job_id), "fail", reason="hung: It did.")
    store.jobs.retry(TENANT, job_id)
    diverged, hung = story(store, job_id)[3], story(store, job_id)[6]
    assert diverged.endswith("it diverged, and would diverge again at the same place unless something else computes it")
    assert hung == "tried again on request, with its attempts counted anew; waits for a worker"


def test_who_stops_early_says_after_which_epoch_and_why(store: Store) -> None:
    job_id = store.submit(epochs=20, early_stopping={"metric": "train_loss", "patience": 5})
    claim = store.start(job_id)
    store.report(claim, *range(1, 13))
    assert claim.spec.early_stopping is not None
    store.claims.succeed(claim, reason=claim.spec.early_stopping.reason)
    assert story(store, job_id)[-1].startswith(
        "stopped early after epoch 12: train_loss had not improved for 5 epochs; made the model mdl_"
    )


def test_a_clock_set_back_makes_no_duration_negative(store: Store) -> None:
    job_id = store.submit()
    age(store, job_id, -3600)
    store.start(job_id)
    assert store.jobs.events(TENANT, job_id)[-1].data["after_s"] == 0.0


def test_epochs_and_checkpoints_are_told(store: Store) -> None:
    job_id = store.submit()
    store.report(store.start(job_id), 1, 2, best=True)
    told = [tell(event.type, event.data) for event in store.jobs.events(TENANT, job_id)[2:]]
    assert told == [
        "epoch 1 of 3: training loss 1",
        "epoch 2 of 3: training loss 0.5",
        "stored the checkpoint of epoch 2, the best so far",
    ]
    older = tell("checkpoint", {"epoch": 2, "step": 1234})
    assert older == "stored the checkpoint in epoch 3, after 1,234 mini-batches"


def test_a_training_process_that_died_is_no_lost_worker(store: Store) -> None:
    job_id = store.submit(epochs=20)
    claim = store.start(job_id, "w1")
    store.report(claim, 1, 2)
    store.claims.hand_back(job_id, claim.attempt, None, "the training process died (signal 9)")
    store.start(job_id, "w1")
    lost, again = story(store, job_id)[-2:]
    assert lost == (
        "training process of worker w1 lost at epoch 3 (the training process died (signal 9)); queued again"
    )
    assert again.startswith("training process lost at epoch 3; taken over after 0.")
    assert again.endswith(" s from the checkpoint of epoch 2 by w1")


def test_damage_says_what_is_gone_on_from(store: Store) -> None:
    job_id = store.submit(epochs=20)
    claim = store.start(job_id)
    store.report(claim, 1)
    store.report(claim, 2)
    newest, before = store.jobs.checkpoints(TENANT, job_id)
    store.claims.pass_over(claim, newest, "The file is missing.", before)
    store.claims.pass_over(claim, before, "The file is missing.")
    assert story(store, job_id)[-2:] == [
        "passed over the checkpoint of epoch 2 (The file is missing); goes on from the checkpoint of epoch 1",
        "passed over the checkpoint of epoch 1 (The file is missing); goes on from the beginning",
    ]
