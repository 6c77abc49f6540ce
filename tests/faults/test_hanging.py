"""A trainer that stands still while its worker is well."""

from tests.faults.conftest import STEADY
from tests.worker.conftest import TENANT, Outcome, Plant


def test_a_hung_loop_is_ended_and_named(plant: Plant, undisturbed: Outcome) -> None:
    with plant.worker(NUDGE_HANG_S="4") as worker:
        job = plant.submit(**STEADY)
        plant.wait(job, lambda found: found.checkpoint_id is not None)
        plant.wait_trainer(worker).suspend()
        over = plant.wait_over(job)
    assert (over.status, over.attempt) == ("succeeded", 2)
    (rescued,) = [event for event in plant.jobs.events(TENANT, job, limit=10_000) if event.type == "rescued"]
    assert rescued.data["detail"] == "the trainer made no progress for 4 s"
    assert plant.digest(job) == undisturbed.digest
    assert plant.metrics(job) == undisturbed.metrics
