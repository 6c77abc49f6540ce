"""Checkpoints that are cut off, changed or gone on the disk: the one before is taken, and the job's events say so."""

from pathlib import Path

from tests.faults.conftest import STEADY
from tests.worker.conftest import TENANT, Outcome, Plant


def _truncate(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_damaged_checkpoints_change_no_bit_of_what_comes_of_it(plant: Plant, undisturbed: Outcome) -> None:
    job = plant.submit(**STEADY)
    told: list[tuple[str, bool]] = []
    for damages in ([_truncate], [_flip, Path.unlink]):  # the second time there is none left to go on from
        reached = plant.job(job).epoch
        with plant.worker() as worker:
            plant.wait(job, lambda found: found.epoch > reached)  # noqa: B023 (called at once)
            plant.wait(job, lambda _: len(plant.jobs.checkpoints(TENANT, job)) == 2)
            worker.terminate()
            worker.wait(60)
        for checkpoint, damage in zip(plant.jobs.checkpoints(TENANT, job), damages, strict=False):
            damage(plant.blobs.path(checkpoint.blob))
            told.append((checkpoint.id, damage is not Path.unlink))
    with plant.worker():
        over = plant.wait_over(job)
    assert over.status == "succeeded"
    events = [event for event in plant.jobs.events(TENANT, job, limit=10_000) if event.type == "checkpoint_damaged"]
    other_bytes = "the bytes do not have this digest"
    assert [(event.data["checkpoint"], other_bytes in event.data["detail"]) for event in events] == told
    assert plant.digest(job) == undisturbed.digest
    assert plant.metrics(job) == undisturbed.metrics
