"""A job's way through a real worker: to its end, and around everything that can stop it."""

import signal
import time

import psutil
import pytest

from store.story import tell
from tests.infrastructure.processes import eventually
from tests.worker.conftest import LONG, TENANT, Outcome, Plant

LEASE_S = 5.0
IMPATIENT = {"NUDGE_LEASE_S": str(LEASE_S), "NUDGE_OVERDUE_S": "600"}  # who rescues a job also sees that it is taken


def test_a_job_trains_to_its_end(plant: Plant) -> None:
    with plant.worker():
        job = plant.wait_over(plant.submit())
    assert job.status == "succeeded", job.status_reason
    assert (job.epoch, job.attempt, job.fraction) == (5, 1, 1.0)
    rows = plant.jobs.metrics(TENANT, job.id)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5]
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert rows[-1]["validation_accuracy"] is not None
    events = plant.events(job.id)
    assert events[:3] == ["queued", "started", "epoch"]
    assert events[-1] == "succeeded"
    assert events.count("epoch") == 5
    assert job.model_id is not None
    model = plant.models.get(TENANT, job.model_id)
    assert model.checkpoint_id == job.checkpoint_id
    assert model.digest == plant.digest(job.id)


def test_ten_bells_for_one_job_start_it_once(plant: Plant) -> None:
    with plant.worker(), plant.worker():
        job_id = plant.submit(ring=False, epochs=50)
        for _ in range(10):
            plant.bell.ring(job_id)
        assert plant.wait_over(job_id).status == "succeeded"
    assert plant.events(job_id).count("started") == 1


def test_a_worker_without_a_broker_looks_at_the_queue(lone_plant: Plant) -> None:
    with lone_plant.worker():
        ids = [lone_plant.submit() for _ in range(3)]
        assert [lone_plant.wait_over(job_id).status for job_id in ids] == ["succeeded"] * 3


def test_a_job_whose_bell_never_rang_is_found(plant: Plant) -> None:
    with plant.worker(NUDGE_OVERDUE_S="1"):
        assert plant.wait_over(plant.submit(ring=False)).status == "succeeded"


def test_the_queue_is_worked_off_in_order_of_priority(plant: Plant) -> None:
    ids = {priority: plant.submit(priority=priority, epochs=2) for priority in (0, -5, 5)}
    with plant.worker():
        jobs = {priority: plant.wait_over(job_id) for priority, job_id in ids.items()}
    started = {priority: job.started_at for priority, job in jobs.items()}
    assert sorted(started, key=lambda priority: started[priority] or 0, reverse=False) == [5, 0, -5]


def test_a_killed_trainer_costs_nothing_but_time(postgres_plant: Plant, calm: Outcome) -> None:
    plant = postgres_plant
    with plant.worker() as worker:
        hit = plant.submit(**LONG)
        plant.wait(hit, lambda job: job.epoch >= 1)
        plant.wait_trainer(worker).kill()
        job = plant.wait_over(hit)
    assert (job.status, job.attempt) == ("succeeded", 2)
    assert plant.events(hit).count("rescued") == 1
    assert plant.digest(hit) == calm.digest
    assert plant.metrics(hit) == calm.metrics


def test_a_killed_worker_leaves_no_process_and_another_one_goes_on(plant: Plant, calm: Outcome) -> None:
    with plant.worker() as first:
        hit = plant.submit(**LONG)
        plant.wait(hit, lambda job: job.epoch >= 1)
        plant.wait_trainer(first)
        family = first.children(recursive=True)
        first.kill()
        assert psutil.wait_procs(family, timeout=30)[1] == []
    began = time.monotonic()
    with plant.worker(**IMPATIENT):
        job = plant.wait_over(hit)
    assert (job.status, job.attempt) == ("succeeded", 2)
    assert time.monotonic() - began > LEASE_S
    assert plant.digest(hit) == calm.digest
    assert plant.metrics(hit) == calm.metrics


def test_an_owner_that_was_frozen_past_its_lease_writes_nothing(plant: Plant) -> None:
    with plant.worker() as frozen:
        hit = plant.submit(**LONG)
        plant.wait(hit, lambda job: job.epoch >= 1)
        with plant.suspended(frozen), plant.worker(**IMPATIENT):
            job = plant.wait_over(hit)
        gave_up = ('"event": "job.taken"', '"event": "job.trainer_lost"')
        log = plant.folder / "worker-0.log"
        eventually(lambda: any(words in log.read_text() for words in gave_up), 30, "it sees that the job is taken")
        after = plant.job(hit)
    assert (job.status, job.attempt) == ("succeeded", 2)
    assert after == job
    assert len(plant.metrics(hit)) == LONG["epochs"]


def test_sigterm_releases_the_job_with_its_checkpoint(postgres_plant: Plant, calm: Outcome) -> None:
    plant = postgres_plant
    with plant.worker() as worker:
        hit = plant.submit(**LONG)
        plant.wait(hit, lambda job: job.epoch >= 1)
        worker.terminate()
        worker.terminate()  # a second one is harmless
        worker.wait(60)
    job = plant.job(hit)
    assert (job.status, plant.events(hit)[-1]) == ("queued", "released")
    epoch = job.epoch
    with plant.worker(NUDGE_OVERDUE_S="0"):
        job = plant.wait_over(hit)
    assert job.epoch > epoch
    assert plant.digest(hit) == calm.digest
    assert plant.metrics(hit) == calm.metrics


def test_cancel_stops_a_running_job_soon(postgres_plant: Plant) -> None:
    plant = postgres_plant
    with plant.worker() as worker:
        hit = plant.submit(epochs=100_000)
        plant.wait(hit, lambda job: job.epoch >= 1)
        plant.jobs.cancel(TENANT, hit)
        job = plant.wait_over(hit)
        assert job.status == "cancelled"
        assert plant.wait_over(plant.submit()).status == "succeeded"
        eventually(lambda: plant.trainers(worker) == [], 30, "the trainers are gone")


def test_pause_keeps_a_checkpoint_and_resume_goes_on_from_it(postgres_plant: Plant, calm: Outcome) -> None:
    plant = postgres_plant
    with plant.worker():
        hit = plant.submit(**LONG)
        plant.wait(hit, lambda job: job.epoch >= 1)
        plant.jobs.pause(TENANT, hit)
        paused = plant.wait(hit, lambda job: job.status != "running")
        assert paused.status == "paused"
        plant.jobs.resume(TENANT, hit)
        plant.bell.ring(hit)
        job = plant.wait_over(hit)
    assert (job.status, job.attempt) == ("succeeded", 2)
    assert plant.digest(hit) == calm.digest
    assert plant.metrics(hit) == calm.metrics


def test_a_run_that_stops_early_says_why(plant: Plant) -> None:
    with plant.worker():
        still = {"type": "sgd", "learning_rate": 1e-30}
        hit = plant.submit(epochs=50, optimizer=still, early_stopping={"metric": "train_loss", "patience": 2})
        job = plant.wait_over(hit)
    assert (job.status, job.epoch) == ("succeeded", 3)
    assert job.status_reason == "early_stopping: train_loss had not improved for 2 epochs"
    last = plant.jobs.events(TENANT, hit)[-1]
    told = "stopped early after epoch 3: train_loss had not improved for 2 epochs; made the model mdl_"
    assert tell(last.type, last.data).startswith(told)


def test_a_diverging_run_fails_and_names_the_epoch(postgres_plant: Plant) -> None:
    plant = postgres_plant
    with plant.worker():
        hit = plant.submit(
            network={"layers": [{"type": "dense", "units": 2}]},
            loss={"type": "quadratic"},
            optimizer={"type": "sgd", "learning_rate": 1e6},
        )
        job = plant.wait_over(hit)
    assert job.status == "failed"
    assert job.status_reason is not None
    assert job.status_reason.startswith("diverged: ")
    assert "epoch 1" in job.status_reason
    last = plant.jobs.events(TENANT, hit)[-1]
    assert (last.type, last.data["reason"], last.data["epoch"]) == ("failed", "diverged", 1)


def test_a_runtime_limit_ends_the_job(plant: Plant) -> None:
    with plant.worker():
        hit = plant.submit(epochs=100_000, limits={"runtime_s": 1})
        job = plant.wait_over(hit)
        assert job.status == "failed"
        assert job.status_reason is not None
        assert job.status_reason.startswith("runtime_limit: ")
        assert job.runtime_s > 1
        [newest, *_] = plant.jobs.checkpoints(TENANT, hit)
        assert (newest.id, newest.epoch) == (job.checkpoint_id, job.epoch)  # nothing of what it learned is lost
        again = plant.jobs.retry(TENANT, hit)
        assert again.runtime_s == 0
        plant.bell.ring(hit)
        job = plant.wait_over(hit)
    assert job.epoch > newest.epoch
    assert job.status_reason is not None
    assert job.status_reason.startswith("runtime_limit: ")


def test_the_time_of_every_attempt_counts(plant: Plant) -> None:
    with plant.worker() as worker:
        hit = plant.submit(epochs=100_000, limits={"runtime_s": 3})
        spent = plant.wait(hit, lambda job: job.runtime_s > 1).runtime_s
        plant.wait_trainer(worker).kill()
        plant.wait(hit, lambda job: job.attempt == 2)
        assert plant.job(hit).runtime_s >= spent
        job = plant.wait_over(hit)
    assert job.status == "failed"
    assert job.runtime_s > 3


def test_a_damaged_checkpoint_falls_back_to_the_one_before(postgres_plant: Plant, calm: Outcome) -> None:
    plant = postgres_plant
    with plant.worker() as worker:
        hit = plant.submit(**LONG)
        plant.wait(hit, lambda job: job.epoch >= 3)
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    newest, before = plant.jobs.checkpoints(TENANT, hit)[:2]
    assert newest.epoch >= before.epoch
    _damage(plant, newest.blob)
    with plant.worker(NUDGE_OVERDUE_S="0"):
        job = plant.wait_over(hit)
    assert job.status == "succeeded"
    assert plant.digest(hit) == calm.digest
    assert plant.metrics(hit) == calm.metrics


def _damage(plant: Plant, digest: str) -> None:
    from sqlalchemy import update

    from store import tables

    with plant.database.transaction() as connection:
        statement = update(tables.blob).where(tables.blob.c.digest == digest).values(content=b"not what it was")
        assert connection.execute(statement).rowcount == 1


@pytest.mark.parametrize("units", [8, 160])  # checkpoints in the database, and in files
def test_a_job_may_begin_with_the_weights_of_another_one(plant: Plant, units: int) -> None:
    hidden = [{"type": "dense", "units": units}, {"type": "tanh"}]
    layers = [*hidden, *hidden, {"type": "dense", "units": 2}]
    with plant.worker():
        first = plant.wait_over(plant.submit(network={"layers": layers}, epochs=20))
        plant.jobs.delete(TENANT, plant.wait_over(plant.submit(epochs=1)).id)
        second = plant.submit(network={"layers": layers}, epochs=1, from_checkpoint=first.checkpoint_id, ring=False)
        plant.jobs.delete(TENANT, first.id)  # the checkpoint may go: its bytes are held
        plant.bell.ring(second)
        assert plant.wait_over(second).status == "succeeded"
    assert first.metrics is not None
    (row,) = plant.metrics(second)
    assert abs(row["train_loss"] - first.metrics["train_loss"]) < 0.05  # type: ignore[operator]


def test_the_doctor_tells_what_it_finds_behind_the_epoch_and_changes_nothing(plant: Plant) -> None:
    ill = {
        "network": {
            "layers": [
                {"type": "dense", "units": 8, "biases": {"type": "constant", "value": -50.0}},
                {"type": "relu"},
                {"type": "dense", "units": 2},
            ],
        },
    }
    with plant.worker():
        looked, alone = plant.submit(**ill), plant.submit(**ill, doctor=False)
        assert plant.wait_over(looked).status == plant.wait_over(alone).status == "succeeded"
    events = plant.jobs.events(TENANT, looked)
    finding = next(event for event in events if event.type == "finding")
    assert finding.data["kind"] == "dead_relu"
    assert (finding.data["epoch"], finding.data["layer"], finding.data["evidence"]["dead"]) == (1, 1, 8)
    assert "use a smaller learning rate" in finding.data["advice"]
    before = events[finding.number - 2]
    assert (before.type, before.data["epoch"]) == ("epoch", 1)
    assert "finding" not in plant.events(alone)
    assert plant.digest(looked) == plant.digest(alone)
    assert plant.metrics(looked) == plant.metrics(alone)
