"""A worker that is told to stop releases its jobs and ends, whatever it is in the middle of, and loses nothing."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from tests.infrastructure.postgres import running_postgres
from tests.infrastructure.processes import eventually, tree
from tests.worker.conftest import LONG, TENANT, Outcome, Plant, undisturbed_outcome

AT_ONCE = {"NUDGE_OVERDUE_S": "0"}
SHORT = LONG | {"epochs": 200}  # long enough to be stopped, which comes soon


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the `SHORT` job comes to when nothing disturbs it."""
    return undisturbed_outcome(tmp_path_factory.mktemp("calm"), SHORT)


def _train(plant: Plant) -> str:
    """A job that is being trained and has a checkpoint."""
    job_id = plant.submit(**SHORT)
    plant.wait(job_id, lambda job: job.checkpoint_id is not None)
    return job_id


def _is_released(plant: Plant, job_id: str) -> bool:
    return (plant.job(job_id).status, plant.events(job_id)[-1]) == ("queued", "released")


def _is_undisturbed(plant: Plant, job_id: str, calm: Outcome) -> None:
    """It ended as `calm` did, and each of its attempts but the last was handed on in good order."""
    job, events = plant.wait_over(job_id), plant.events(job_id)
    assert job.status == "succeeded", job.status_reason
    assert "rescued" not in events
    assert job.attempt == 1 + events.count("released")
    assert plant.digest(job_id) == calm.digest
    assert plant.metrics(job_id) == calm.metrics


def test_signals_that_interrupt_one_another_are_one(postgres_plant: Plant) -> None:
    plant = postgres_plant
    for _ in range(3):
        with plant.worker() as worker:
            job_id = _train(plant)
            for gap in range(200):  # pauses of 0 to 400 microseconds, too short to sleep
                with suppress(psutil.NoSuchProcess):
                    worker.terminate()
                end = time.perf_counter() + 2e-6 * gap
                while time.perf_counter() < end:
                    pass
            assert worker.wait(60) == 0
        assert _is_released(plant, job_id)
        plant.jobs.cancel(TENANT, job_id)


def test_a_step_that_does_not_end_costs_its_own_job_alone_some_epochs(plant: Plant, calm: Outcome) -> None:
    with plant.worker(NUDGE_CONCURRENCY="2") as worker:
        jobs = [_train(plant), _train(plant)]
        eventually(lambda: len(plant.trainers(worker)) == 2, 30, "both are trained")
        plant.trainers(worker)[0].suspend()
        for process in tree(worker.pid):  # as a service manager does it
            process.terminate()
        assert worker.wait(60) == 0
    assert all(_is_released(plant, job_id) for job_id in jobs)
    with plant.worker(NUDGE_CONCURRENCY="2", **AT_ONCE):
        for job_id in jobs:
            _is_undisturbed(plant, job_id, calm)


def test_a_checkpoint_that_is_being_fetched_is_not_waited_for(lone_plant: Plant, calm: Outcome) -> None:
    plant = lone_plant
    with plant.worker() as first:
        job_id = _train(plant)
        first.terminate()
        assert first.wait(60) == 0
    newest = plant.jobs.checkpoints(TENANT, job_id)[0].blob.removeprefix("sha256:")
    endless = plant.folder / "cache" / newest[:2] / newest
    endless.parent.mkdir(parents=True, exist_ok=True)
    endless.unlink(missing_ok=True)
    os.mkfifo(endless)  # whoever reads it waits for a writer who never comes
    with plant.worker() as second:
        plant.wait(job_id, lambda job: job.status == "running")
        second.terminate()
        assert second.wait(60) == 0
    assert _is_released(plant, job_id)
    endless.unlink()
    with plant.worker():
        _is_undisturbed(plant, job_id, calm)


def test_a_checkpoint_that_cannot_be_stored_is_not_waited_for(postgres_plant: Plant, calm: Outcome) -> None:
    plant = postgres_plant
    engine = create_engine(plant.database.url)
    with plant.worker() as worker:
        job_id = _train(plant)
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE blob IN EXCLUSIVE MODE"))
            worker.terminate()
            assert worker.wait(60) == 0
    engine.dispose()
    assert _is_released(plant, job_id)
    with plant.worker(**AT_ONCE):
        _is_undisturbed(plant, job_id, calm)


def test_a_database_that_does_not_answer_is_not_waited_for(server_folder: Path, tmp_path: Path, calm: Outcome) -> None:
    folder = server_folder / "drain"
    folder.mkdir()
    with running_postgres(folder) as server:
        plant = Plant(server.create("drain"), "", tmp_path)
        with plant.worker() as worker:
            job_id = _train(plant)
            frozen = tree(server.process.pid)
            for process in frozen:
                process.suspend()
            worker.terminate()
            try:
                assert worker.wait(60) == 1  # not all was released
            finally:
                for process in frozen:
                    process.resume()
        with plant.worker(NUDGE_LEASE_S="2"):
            assert plant.wait_over(job_id).status == "succeeded"
        assert plant.digest(job_id) == calm.digest
        assert plant.metrics(job_id) == calm.metrics
        plant.close()


def test_a_rolling_restart_loses_nothing(postgres_plant: Plant, calm: Outcome) -> None:
    plant = postgres_plant
    jobs: list[str] = []

    def trains(worker: psutil.Process) -> Callable[[], bool]:
        """Whether the worker trains something; there is always a job more than the workers have taken."""

        def look() -> bool:
            records = [plant.job(job_id) for job_id in jobs]
            if not any(job.status == "queued" for job in records):
                jobs.append(plant.submit(**SHORT))
            running = [job.id for job in records if job.status == "running" and job.checkpoint_id is not None]
            owners = [plant.jobs.events(TENANT, job_id) for job_id in running]
            started = [[event for event in events if event.type == "started"][-1] for events in owners]
            return any(str(event.data["worker"]).endswith(f"-{worker.pid}") for event in started)

        return look

    with ExitStack() as stack:
        fleet = [stack.enter_context(plant.worker(**AT_ONCE)) for _ in range(3)]
        for place in [0, 1, 2] * 2:
            eventually(trains(fleet[place]), 120, "the worker trains")
            fleet[place].send_signal(signal.SIGTERM)
            leaving, fleet[place] = fleet[place], stack.enter_context(plant.worker(**AT_ONCE))
            assert leaving.wait(60) == 0
        for job_id in jobs:
            _is_undisturbed(plant, job_id, calm)
    assert "released" in [kind for job_id in jobs for kind in plant.events(job_id)]
