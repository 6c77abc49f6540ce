"""Checkpoints by time, and jobs that begin from one: a kill costs little, and changes nothing."""

from dataclasses import dataclass, field

import psutil

from core.checkpoint import CLOCKS, Checkpoint
from core.training import Epoch, fit
from core.training_spec import TrainingSpec
from store.lifecycle import OVER
from store.records import JobRecord
from tests.worker.conftest import LONG, TENANT, Outcome, Plant

OFTEN = {"NUDGE_CHECKPOINT_S": "0.3", "NUDGE_RENEW_S": "0.2"}


@dataclass
class Watched:
    """How far a job came, each time that it was looked at."""

    plant: Plant
    job_id: str
    places: list[tuple[int, int]] = field(default_factory=list)  # (epoch, step) of its newest checkpoint
    fractions: list[float] = field(default_factory=list)

    def until_checkpoint(self, beyond: tuple[int, int] = (0, 0)) -> tuple[int, int]:
        self.plant.wait(self.job_id, lambda job: self._look(job) > beyond)
        return self.places[-1]

    def to_its_end(self) -> JobRecord:
        return self.plant.wait(self.job_id, lambda job: bool(self._look(job)) and job.status in OVER)

    def _look(self, job: JobRecord) -> tuple[int, int]:
        self.fractions.append(job.fraction)
        kept = self.plant.jobs.checkpoints(TENANT, self.job_id)
        self.places += [(found.epoch, found.step) for found in kept if found.id == job.checkpoint_id]
        return self.places[-1] if self.places else (0, 0)

    def kill_trainer(self, worker: psutil.Process) -> None:
        trainer = self.plant.wait_trainer(worker)
        trainer.kill()
        psutil.wait_procs([trainer], timeout=30)

    def undisturbed(self, start: Checkpoint | None = None) -> Outcome:
        """What the job comes to where nothing stops it."""
        spec = TrainingSpec.model_validate(self.plant.job(self.job_id).spec)
        data = self.plant.datasets.open(self.plant.datasets.get(TENANT, spec.dataset))
        for event in fit(spec, data, start=start):
            if isinstance(event, Epoch):
                last = event
        metrics = {name: value for name, value in last.metrics.items() if name not in CLOCKS}
        return Outcome(last.checkpoint().digest, [{"epoch": last.epoch, **metrics}])


def test_an_epoch_longer_than_a_lease_goes_on_in_its_middle(lone_plant: Plant) -> None:
    long = LONG | {"epochs": 1, "dataset": lone_plant.add_rings(400_000)}
    with lone_plant.worker(**OFTEN) as worker:
        watched = Watched(lone_plant, lone_plant.submit(**long))
        first = watched.until_checkpoint()
        watched.kill_trainer(worker)
        second = watched.until_checkpoint(first)
        watched.kill_trainer(worker)
        job = watched.to_its_end()
    assert (job.status, job.attempt, job.epoch) == ("succeeded", 3, 1)
    assert first[0] == second[0] == 0
    assert 0 < first[1] < second[1]
    starts = [event.data for event in lone_plant.jobs.events(TENANT, job.id) if event.type == "started"]
    assert [told["from_step"] >= place[1] for told, place in zip(starts[1:], (first, second), strict=True)] == [
        True
    ] * 2
    assert [told["from_steps"] for told in starts[1:]] == [300_000] * 2  # a quarter of the rows validates
    # Never backward: each attempt began where the one before had come to, and so did the progress that is told.
    assert watched.places == sorted(watched.places)
    assert watched.fractions == sorted(watched.fractions)
    assert len(set(watched.fractions) - {0.0, 1.0}) >= 3
    assert Outcome(lone_plant.digest(job.id), lone_plant.metrics(job.id)) == watched.undisturbed()


def test_short_epochs_are_kept_by_time_where_checkpoints_are_far_apart(lone_plant: Plant) -> None:
    far = LONG | {"checkpoints": {"every_epochs": 1000}, "optimizer": {"type": "sgd", "learning_rate": 1e-30}}
    with lone_plant.worker(**OFTEN) as worker:
        watched = Watched(lone_plant, lone_plant.submit(**far))
        epoch, _ = watched.until_checkpoint((1, 0))  # the first one is the best: nothing is learned
        watched.kill_trainer(worker)
        job = watched.to_its_end()
    assert 1 < epoch < LONG["epochs"]
    assert (job.status, job.attempt) == ("succeeded", 2)
    assert watched.places == sorted(watched.places)
    assert len(lone_plant.metrics(job.id)) == LONG["epochs"]


def test_a_fork_with_the_optimizer_state_that_is_killed_ends_with_the_same_bytes(lone_plant: Plant) -> None:
    adam = LONG | {"optimizer": {"type": "adam"}, "seed": 5, "epochs": 300}
    with lone_plant.worker(**OFTEN) as worker:
        first = lone_plant.wait_over(lone_plant.submit(**adam | {"epochs": 3}))
        assert first.checkpoint_id is not None
        start = lone_plant.blobs.get(lone_plant.jobs.checkpoint(TENANT, first.checkpoint_id).blob)
        fork = {"from_checkpoint": first.checkpoint_id, "from_optimizer_state": True}
        watched = Watched(lone_plant, lone_plant.submit(**adam | fork))
        watched.until_checkpoint()
        watched.kill_trainer(worker)
        job = watched.to_its_end()
    assert (job.status, job.attempt) == ("succeeded", 2)
    expected = watched.undisturbed(Checkpoint.from_bytes(start))
    assert lone_plant.digest(job.id) == expected.digest
    assert lone_plant.metrics(job.id)[-1:] == expected.metrics
