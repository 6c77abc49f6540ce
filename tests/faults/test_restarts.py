"""A worker that is told to stop again and again: nothing is lost, done twice, or counted against the job."""

from tests.faults.conftest import STEADY
from tests.infrastructure.processes import tree
from tests.worker.conftest import TENANT, Outcome, Plant


def test_stopped_again_and_again(plant: Plant, undisturbed: Outcome) -> None:
    job = plant.submit(**STEADY, limits={"attempts": 1})
    for stops in range(2):
        reached = plant.job(job).epoch
        with plant.worker() as worker:
            plant.wait_trainer(worker)
            if stops == 1:  # the first time at once, before the trainer has told anything
                plant.wait(job, lambda found: found.epoch > reached)  # noqa: B023 (called at once)
            for process in tree(worker.pid) if stops == 1 else [worker]:  # as service managers do it
                process.terminate()
            assert worker.wait(60) == 0
        assert (plant.job(job).status, plant.events(job)[-1]) == ("queued", "released")
    with plant.worker():
        over = plant.wait_over(job)
    assert (over.status, over.attempt) == ("succeeded", 3)
    events = plant.jobs.events(TENANT, job, limit=10_000)
    assert [event.data["epoch"] for event in events if event.type == "epoch"] == list(range(1, over.epochs + 1))
    assert "rescued" not in [event.type for event in events]
    assert plant.digest(job) == undisturbed.digest
    assert plant.metrics(job) == undisturbed.metrics
