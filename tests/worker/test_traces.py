"""Traced jobs: whatever happens on the way, the same points are recorded once, and the same descent comes of them."""

import pytest
from sqlalchemy import select, update

from core.descent import Descent
from core.survey import Survey
from core.trail import Trail
from core.training import fit
from core.training_spec import TrainingSpec
from store import tables
from tests.worker.conftest import LONG, TENANT, Plant

TRACED = LONG | {"epochs": 2000, "trace": {"surface": True}}
EPOCH = 90  # updates
OFTEN = {"NUDGE_CHECKPOINT_S": "0.3", "NUDGE_RENEW_S": "0.2"}


def descent(plant: Plant, job_id: str) -> Descent:
    _, blob = plant.jobs.descent(TENANT, job_id)
    assert blob is not None
    return Descent.model_validate_json(plant.blobs.get(blob))


def undisturbed(plant: Plant, job_id: str) -> Descent:
    spec = TrainingSpec.model_validate(plant.job(job_id).spec)
    data = plant.datasets.open(plant.datasets.get(TENANT, spec.dataset))
    trail = Trail(spec, data)
    for moment in fit(spec, data, stops=trail.stops):
        trail.see(moment)
    survey = Survey(trail)
    assert list(survey)
    return survey.descent


def marks(plant: Plant, job_id: str) -> list[int]:
    query = select(tables.mark.c.step).where(tables.mark.c.job_id == job_id).order_by(tables.mark.c.step)
    with plant.database.reading() as connection:
        return list(connection.scalars(query))


def damage(plant: Plant, job_id: str, step: int) -> None:
    blobs = select(tables.mark.c.blob).where(tables.mark.c.job_id == job_id, tables.mark.c.step == step)
    with plant.database.transaction() as connection:
        connection.execute(update(tables.blob).where(tables.blob.c.digest.in_(blobs)).values(content=b"damaged"))


def test_a_job_that_is_killed_paused_and_killed_again_looks_back_at_its_whole_way(lone_plant: Plant) -> None:
    plant = lone_plant
    with plant.worker(**OFTEN) as worker:
        job_id = plant.submit(**TRACED, dataset=plant.add_rings(120))
        plant.wait(job_id, lambda job: job.checkpoint_id is not None and job.epoch > 20)
        plant.wait_trainer(worker).kill()
        paused_at = plant.wait(job_id, lambda job: job.attempt == 2 and job.epoch > 60).epoch
        plant.jobs.pause(TENANT, job_id)
        plant.wait(job_id, lambda job: job.status == "paused")
        recorded = marks(plant, job_id)
        damaged = recorded[-1]  # of which no earlier attempt left a whole copy beside the database
        damage(plant, job_id, damaged)
        plant.jobs.resume(TENANT, job_id)
        trained = plant.wait(job_id, lambda job: job.epoch == job.epochs)
        assert trained.status == "running"  # it looks back
        assert trained.fraction < 1
        plant.wait_trainer(worker).kill()
        job = plant.wait_over(job_id)
    assert (job.status, job.attempt, job.fraction) == ("succeeded", 4, 1.0)
    calm, found = undisturbed(plant, job_id), descent(plant, job_id)
    steps = [point.step for point in calm.minibatch]
    assert (len(steps), steps[-1]) == (200, EPOCH * job.epochs)
    assert recorded == [step for step in steps if 0 < step <= recorded[-1]]
    assert recorded[-1] > EPOCH * paused_at - EPOCH * job.epochs // 199
    kept = {point.step: point.cost for point in found.minibatch}
    # Missing, unless it lay behind the checkpoint that the job went on from and was recorded again.
    assert [*kept] in (steps, [step for step in steps if step != damaged])
    assert kept == pytest.approx({point.step: point.cost for point in calm.minibatch if point.step in kept})
    assert marks(plant, job_id) == []


def test_what_a_cancelled_job_recorded_goes_with_it(lone_plant: Plant) -> None:
    plant = lone_plant
    with plant.worker(**OFTEN):
        job_id = plant.submit(**TRACED)
        plant.wait(job_id, lambda job: job.epoch > 20)
        plant.jobs.cancel(TENANT, job_id)
        assert plant.wait_over(job_id).status == "cancelled"
    assert marks(plant, job_id)
    assert plant.jobs.descent(TENANT, job_id)[1] is None
    plant.jobs.delete(TENANT, job_id)
    assert marks(plant, job_id) == []
