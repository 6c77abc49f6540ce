"""Predictions of a whole dataset: killed, paused, drained or damaged, they end with the bytes of an undisturbed run."""

from datetime import UTC, datetime

import psutil
from sqlalchemy import select, update

from store import tables
from tests.worker.asked import OFTEN, ROWS, Asked
from tests.worker.conftest import TENANT, Plant


def kill_trainers(plant: Plant, worker: psutil.Process) -> None:
    trainers = plant.trainers(worker)
    for trainer in trainers:
        trainer.kill()
    psutil.wait_procs(trainers, timeout=30)


def test_whatever_happens_the_bytes_are_the_same(plant: Plant) -> None:
    with plant.worker(NUDGE_OVERDUE_S="0", **OFTEN) as worker:
        asked = Asked(plant)
        hit = asked.submit()
        places = [asked.wait_part(hit, 1)]
        kill_trainers(plant, worker)
        places.append(asked.wait_part(hit, 2, places[-1]))
        plant.jobs.pause(TENANT, hit)
        paused = plant.wait(hit, lambda job: job.status == "paused")
        places.append(paused.rows_done or 0)
        plant.jobs.resume(TENANT, hit)
        plant.bell.ring(hit)
        places.append(asked.wait_part(hit, 3, places[-1]))
        worker.kill()
        worker.wait(30)
    with plant.worker(NUDGE_LEASE_S="1", NUDGE_OVERDUE_S="0", **OFTEN) as worker:
        places.append(asked.wait_part(hit, 4, places[-1]))
        worker.terminate()
        worker.wait(60)
    assert (plant.job(hit).status, plant.events(hit)[-1]) == ("queued", "released")
    damage_second_part(plant, hit)
    before = asked.told(hit, "part", "rows_done")
    with plant.worker(NUDGE_OVERDUE_S="0"):
        calm = asked.digest(asked.submit())
        assert asked.digest(hit) == calm
    assert plant.job(hit).attempt == 5
    starts = asked.told(hit, "started", "from_row")
    assert all(start >= place for start, place in zip(starts, [0, *places[:1], *places[2:]], strict=True))
    [back] = asked.told(hit, "part_damaged", "rows_done")
    after = asked.told(hit, "part", "rows_done")[len(before) :]
    assert before[0] == back < after[0]
    assert after[-1] == ROWS
    for done in (before, after):
        assert done == sorted(set(done)), "a part was stored twice, or the job went backward"


def damage_second_part(plant: Plant, job_id: str) -> None:
    blob, part = tables.blob, tables.part
    with plant.database.transaction() as connection:
        query = select(part.c.blob).where(part.c.job_id == job_id).order_by(part.c.first_row).offset(1).limit(1)
        digest = connection.scalars(query).one()
        connection.execute(update(blob).where(blob.c.digest == digest).values(content=b"something else"))
    for path in plant.folder.rglob(digest.removeprefix("sha256:")):
        path.write_bytes(b"something else")


def test_what_is_cancelled_or_deleted_leaves_no_bytes(lone_plant: Plant) -> None:
    plant = lone_plant
    with plant.worker(**OFTEN):
        asked = Asked(plant)
        done, hit = asked.submit(format="npz", rows=[0, 5000]), asked.submit()
        asked.digest(done)
        asked.wait_part(hit, 1)
        plant.models.delete(TENANT, str(asked.model))  # the job keeps its bytes
        plant.jobs.cancel(TENANT, hit)
        plant.wait(hit, lambda job: job.status == "cancelled")
    collect_old(plant)
    file = plant.predictions.get(TENANT, done)
    assert plant.blobs.verified(file.blob).stat().st_size == file.size
    assert not list((plant.folder / "blobs" / "incoming").iterdir())
    assert blobs(plant) > {file.blob}
    for job_id in (done, hit):
        plant.jobs.delete(TENANT, job_id)
    with plant.database.transaction() as connection:
        assert connection.scalars(select(tables.part.c.blob)).all() == []
    before = blobs(plant)
    collect_old(plant)
    assert file.blob in before - blobs(plant)
    assert not list(plant.folder.rglob(file.blob.removeprefix("sha256:")))


def blobs(plant: Plant) -> set[str]:
    with plant.database.reading() as connection:
        return set(connection.scalars(select(tables.blob.c.digest)))


def collect_old(plant: Plant) -> None:
    """Sweep up all bytes that no row names."""
    with plant.database.transaction() as connection:
        connection.execute(update(tables.blob).values(touched_at=datetime(2020, 1, 1, tzinfo=UTC)))
    while plant.blobs.collect():
        pass
