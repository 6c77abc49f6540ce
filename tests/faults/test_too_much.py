"""Jobs that are too much for a trainer or a worker: they fail with their reason, and no other is hurt."""

import psutil

from store.records import JobRecord
from tests.faults.conftest import HASTY, STEADY
from tests.worker.conftest import TENANT, Outcome, Plant

WIDE = {"layers": [{"type": "dense", "units": 400_000}, {"type": "tanh"}, {"type": "dense", "units": 2}]}


def _wait_for_trainer(plant: Plant, worker: psutil.Process, job: str, attempt: int) -> psutil.Process:
    """The trainer of an attempt of a job, on a worker that trains one job at a time."""
    plant.wait(job, lambda found: found.attempt == attempt and found.status == "running")
    return plant.wait_trainer(worker)


def _assert_worker_lost(plant: Plant, failed: JobRecord, detail: str) -> None:
    assert (failed.status, failed.attempt, failed.epoch) == ("failed", 2, 0)
    told = "attempt 2 was the last, since limits.attempts allows 2 in a row without a new checkpoint"
    assert failed.status_reason == f"worker_lost: {detail}; {told}"
    assert plant.jobs.events(TENANT, failed.id)[-1].data["reason"] == "worker_lost"
    assert plant.events(failed.id) == ["queued", "started", "rescued", "started", "failed"]


def test_a_job_without_memory_fails_alone(plant: Plant, undisturbed: Outcome) -> None:
    with plant.worker(NUDGE_TRAINER_MEMORY_BYTES=str(2**30), NUDGE_CONCURRENCY="2"):
        beside, huge = plant.submit(**STEADY), plant.submit(network=WIDE, batch_size=450)
        failed, over = plant.wait_over(huge), plant.wait_over(beside)
    reason = "The job needs more than the 1073741824 bytes of memory that a trainer may take here."
    assert (failed.status, failed.attempt, failed.status_reason) == ("failed", 1, f"out_of_memory: {reason}")
    told = plant.jobs.events(TENANT, huge)[-1].data
    assert (told["reason"], told["detail"]) == ("out_of_memory", reason)
    assert (over.status, over.attempt, plant.digest(beside)) == ("succeeded", 1, undisturbed.digest)


def test_a_job_whose_trainers_are_killed_fails_after_its_attempts(plant: Plant) -> None:
    slow = {"epochs": 1, "batch_size": 1, "limits": {"attempts": 2}}  # it never comes to a checkpoint
    with plant.worker() as worker:
        killed = plant.submit(network=WIDE, **slow)
        plant.wait_trainer(worker)
        beside = plant.submit()
        for attempt in (1, 2):
            _wait_for_trainer(plant, worker, killed, attempt).kill()  # as a kernel does it when memory ends
        failed, over = plant.wait_over(killed), plant.wait_over(beside)
    _assert_worker_lost(plant, failed, "the training process died (signal 9; it may have run out of memory)")
    assert (over.status, over.attempt) == ("succeeded", 1)


def test_a_job_that_kills_its_worker_fails_after_its_attempts(plant: Plant) -> None:
    poison = plant.submit(network=WIDE, epochs=1, batch_size=1, limits={"attempts": 2})
    beside = ""
    for attempt in (1, 2):
        with plant.worker(**HASTY) as worker:
            _wait_for_trainer(plant, worker, poison, attempt)
            worker.kill()
        beside = beside or plant.submit()
    with plant.worker(**HASTY):
        failed, over = plant.wait_over(poison), plant.wait_over(beside)
        assert failed.status_reason is not None
        silence = failed.status_reason.split(";")[0].removeprefix("worker_lost: ")
        assert silence.startswith("the worker gave no sign of life for ")
        _assert_worker_lost(plant, failed, silence)
        assert (over.status, over.attempt) == ("succeeded", 1)
