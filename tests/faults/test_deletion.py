"""Deleting what is in use: refused, or harmless to whoever still uses it."""

from datetime import timedelta

from sqlalchemy import func, select, update

from store import clock, tables
from store.claims import Claims
from tests.faults.conftest import HASTY, STEADY
from tests.infrastructure.processes import eventually
from tests.service.house import is_problem, running
from tests.worker.conftest import Plant

ENDLESS = STEADY | {"epochs": 100_000}


def _orphans(plant: Plant) -> int:
    """How many rows belong to a job that is not there."""
    parts = (tables.event, tables.metric, tables.checkpoint, tables.idempotency)
    with plant.database.reading() as connection:
        queries = [select(func.count()).where(part.c.job_id.not_in(select(tables.job.c.id))) for part in parts]
        return sum(connection.scalar(query) or 0 for query in queries)


def test_jobs_and_datasets_are_deleted_while_a_worker_trains(plant: Plant) -> None:
    with running(plant.folder, plant.database_url) as house, plant.worker(**HASTY | {"NUDGE_LEASE_S": "30"}) as worker:
        log = plant.folder / "worker-0.log"
        job = house.submit(plant.dataset, **ENDLESS)
        plant.wait(job, lambda found: found.epoch >= 1)
        is_problem(house.http.delete(f"/v1/jobs/{job}"), 409, "illegal-move")
        is_problem(house.http.delete(f"/v1/datasets/{plant.dataset}"), 409, "in-use")
        assert house.http.post(f"/v1/jobs/{job}/cancel").status_code == 202
        # At once, and again until the worker has let go of it.
        eventually(lambda: house.http.delete(f"/v1/jobs/{job}").status_code == 204, 30, "it is cancelled and deleted")
        is_problem(house.http.get(f"/v1/jobs/{job}"), 404, "not-found")

        # A worker that is frozen meanwhile writes into nothing when it wakes.
        job = house.submit(plant.dataset, **ENDLESS)
        plant.wait(job, lambda found: found.epoch >= 1)
        with plant.suspended(worker):
            assert house.http.post(f"/v1/jobs/{job}/cancel").status_code == 202
            assert Claims(plant.database).hand_back(job, 1, None, "it is frozen") is not None
            assert house.http.delete(f"/v1/jobs/{job}").status_code == 204
            assert house.http.delete(f"/v1/datasets/{plant.dataset}").status_code == 204
        eventually(lambda: '"event": "job.taken"' in log.read_text(), 30, "it sees that it holds nothing any more")
        eventually(lambda: plant.trainers(worker) == [], 30, "its trainer is gone")
        assert house.http.get("/v1/jobs").json()["data"] == []
        assert _orphans(plant) == 0
        assert plant.wait_over(house.submit(house.add_dataset())).status == "succeeded"
        assert "job.error" not in log.read_text()
        assert "Traceback" not in house.server.last_words(100_000)


def test_what_a_job_comes_from_may_be_deleted_while_it_runs(plant: Plant) -> None:
    with running(plant.folder, plant.database_url) as house, plant.worker() as worker:
        first = plant.wait_over(house.submit(plant.dataset, **STEADY | {"epochs": 1}))
        job = plant.submit(**STEADY, from_checkpoint=first.checkpoint_id)
        plant.wait_trainer(worker)
        assert house.http.delete(f"/v1/jobs/{first.id}").status_code == 204
        assert house.http.delete(f"/v1/models/{first.model_id}").status_code == 204
        with plant.database.transaction() as connection:  # as if it had been long ago
            connection.execute(update(tables.blob).values(touched_at=clock.now() - timedelta(days=1)))
        plant.blobs.collect()
        plant.wait_trainer(worker).kill()  # the next one reads the same bytes again
        over = plant.wait_over(job)
    assert (over.status, over.attempt) == ("succeeded", 2)
    assert len(plant.metrics(job)) == over.epochs
    assert _orphans(plant) == 0
