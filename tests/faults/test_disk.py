"""A disk that is full or fails: what stands stays, the reason is told, and the job goes on when there is room again."""

import errno
import os
from typing import Any

from sqlalchemy import select

from store import tables
from tests.faults.conftest import HASTY, STEADY
from tests.infrastructure.faults import Faults
from tests.infrastructure.processes import eventually
from tests.service.house import is_problem, running
from tests.worker.asked import OFTEN, Asked
from tests.worker.conftest import TENANT, Outcome, Plant


def _told(plant: Plant, job: str, kind: str) -> list[str]:
    """What the job's events of a kind say to people."""
    return [str(event.data["detail"]) for event in plant.jobs.events(TENANT, job) if event.type == kind]


def test_blobs_that_cannot_be_written_cost_nothing_but_time(plant: Plant, faults: Faults, undisturbed: Outcome) -> None:
    with plant.worker(**HASTY, **faults.environment):
        job = plant.submit(**STEADY, limits={"attempts": 1})  # none of this uses an attempt up
        seen: set[str | None] = {None}
        for fault in ({"write": errno.ENOSPC}, {"sync": errno.EIO}, {"rename": errno.EROFS}):
            before = len(_told(plant, job, "released"))
            seen.add(plant.wait(job, lambda found: found.checkpoint_id not in seen).checkpoint_id)
            with faults.disk(plant.folder / "blobs", **fault):
                plant.wait(job, lambda _: len(_told(plant, job, "released")) > before)  # noqa: B023 (called at once)
                (number,) = fault.values()
                assert os.strerror(number) in _told(plant, job, "released")[-1]
                for checkpoint in plant.jobs.checkpoints(TENANT, job):
                    plant.blobs.get(checkpoint.blob)
        over = plant.wait_over(job)
    assert (over.status, "rescued" in plant.events(job)) == ("succeeded", False)
    assert plant.digest(job) == undisturbed.digest
    assert plant.metrics(job) == undisturbed.metrics


def test_predictions_that_cannot_be_written_go_on_later(plant: Plant, faults: Faults) -> None:
    with plant.worker(**HASTY | OFTEN | faults.environment):
        asked = Asked(plant)
        calm, job = asked.digest(asked.submit()), asked.submit(limits={"attempts": 1})
        asked.wait_part(job, 1)
        with faults.disk(plant.folder / "blobs" / "incoming", write=errno.ENOSPC):
            plant.wait(job, lambda _: bool(_told(plant, job, "released")))
            assert "No space left on device" in _told(plant, job, "released")[0]
        assert asked.digest(job) == calm


def test_a_dataset_that_cannot_be_laid_out_is_waited_for(plant: Plant, faults: Faults) -> None:
    with faults.disk(plant.folder / "cache", write=errno.ENOSPC), plant.worker(**HASTY, **faults.environment):
        job = plant.submit()
        plant.wait(job, lambda found: "released" in plant.events(job))
        assert "No space left on device" in _told(plant, job, "released")[0]
        plant.jobs.pause(TENANT, job)
    plant.wait(job, lambda found: found.status == "paused")
    with plant.database.reading() as connection:
        assert connection.scalar(select(tables.job.c.fruitless_attempts)) == 0
    plant.jobs.resume(TENANT, job)
    with plant.worker():
        assert plant.wait_over(job).status == "succeeded"


def test_a_database_that_cannot_be_written(plant: Plant, faults: Faults, undisturbed: Outcome) -> None:
    full, broken = ({"write": errno.ENOSPC}, "database or disk is full"), ({"sync": errno.EIO}, "disk I/O error")
    with (
        plant.worker(**HASTY, **faults.environment) as worker,
        running(plant.folder, plant.database_url, **faults.environment) as house,
    ):
        job = plant.submit(**STEADY)
        seen: set[str | None] = {None}
        for fault, words in (full, broken):
            good = plant.wait(job, lambda found: found.checkpoint_id not in seen)
            seen.add(good.checkpoint_id)
            with faults.disk(plant.folder / "nudge.db", **fault):
                eventually(lambda: words in plant.logs(), 30, "its log names the reason")  # noqa: B023 (called at once)
                eventually(lambda: plant.trainers(worker) == [], 60, "an owner that cannot renew its lease lets go")
                refused = is_problem(house.http.post("/v1/jobs", json=house.spec(plant.dataset)), 503, "unavailable")
                assert words in refused["detail"]
                for path in (f"/v1/jobs/{job}", f"/v1/jobs/{job}/metrics", "/v1/datasets", "/livez", "/readyz"):
                    assert house.http.get(path).status_code == 200
                assert plant.job(job).epoch >= good.epoch
                for checkpoint in plant.jobs.checkpoints(TENANT, job):
                    plant.blobs.get(checkpoint.blob)
        later = house.submit(plant.dataset)
        assert plant.wait_over(job).status == plant.wait_over(later).status == "succeeded"
        assert len(plant.jobs.page(TENANT, 10, None).items) == 2  # what was refused has left nothing
        assert "Traceback" not in house.server.last_words(100_000)
    assert plant.digest(job) == undisturbed.digest
    assert plant.metrics(job) == undisturbed.metrics


def test_an_upload_without_room_is_refused_and_leaves_nothing(plant: Plant, faults: Faults) -> None:
    inline = {"json": {"name": "late", "x": [[0.5]] * 9, "y": [0, 1, 2] * 3}}
    form: dict[str, Any] = {"data": {"name": "late"}, "files": {"file": ("late.csv", b"x,y\n" + b"0.5,1\n0.7,2\n" * 9)}}
    with running(plant.folder, plant.database_url, **faults.environment) as house:
        for place in ("uploads", "blobs", "nudge.db"):
            for request in (inline, form):
                with faults.disk(plant.folder / place, write=errno.ENOSPC):
                    problem = is_problem(house.http.post("/v1/datasets", **request), 503, "unavailable")
                    assert "No space left on device" in problem["detail"] or "disk is full" in problem["detail"]
        assert house.http.post("/v1/datasets", **form).status_code == 201
        assert [path for path in (plant.folder / "uploads").rglob("*") if path.is_file()] == []
        assert list((plant.folder / "blobs" / "incoming").iterdir()) == []
        assert "Traceback" not in house.server.last_words(100_000)
