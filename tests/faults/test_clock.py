"""Clocks that jump and disagree by hours: no lease is taken from a live owner, and the fence holds."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.faults.conftest import HASTY, STEADY
from tests.infrastructure.faults import Faults
from tests.infrastructure.processes import eventually
from tests.service.house import running
from tests.worker.conftest import Plant

HOUR = 3600


def test_clocks_that_jump_and_disagree(plant: Plant, faults: Faults, faults_library: Path, tmp_path: Path) -> None:
    elsewhere = Faults(faults_library, tmp_path / "elsewhere")
    with (
        running(plant.folder, plant.database_url, **faults.environment) as house,
        plant.worker(**HASTY, **faults.environment) as owner,
        ThreadPoolExecutor(1) as aside,
    ):
        job = plant.submit(**STEADY | {"epochs": 100_000}, limits={"attempts": 1, "runtime_s": 600})
        plant.wait(job, lambda found: found.checkpoint_id is not None)
        stream = aside.submit(httpx.get, f"{house.url}/v1/jobs/{job}/events", timeout=300)
        with plant.worker(**HASTY, **elsewhere.environment):  # the one that would take it
            for shift in (HOUR, -HOUR, 0):
                faults.shift_clock(shift)
                elsewhere.shift_clock(-shift)
                before = plant.job(job)
                later = house.submit(plant.dataset)  # queued an hour ago, or in an hour
                assert plant.wait_over(later).status == "succeeded"
                now = plant.wait(job, lambda found: found.epoch > before.epoch)  # noqa: B023 (called at once)
                assert (now.status, now.attempt) == ("running", 1)
                assert house.http.get("/readyz").status_code == 200

            faults.shift_clock(HOUR)
            with plant.suspended(owner):
                before = plant.job(job)
                taken = plant.wait(job, lambda found: found.attempt == 2 and found.epoch > before.epoch)
            log = plant.folder / "worker-0.log"
            eventually(lambda: '"event": "job.taken"' in log.read_text(), 30, "the first owner sees that it is fenced")
            plant.wait(job, lambda found: found.epoch > taken.epoch)
            assert house.http.post(f"/v1/jobs/{job}/cancel").status_code == 202
            over = plant.wait_over(job)
        assert (over.status, over.attempt, plant.events(job).count("rescued")) == ("cancelled", 2, 1)
        told = [int(number) for number in re.findall(r"^id: (\d+)$", stream.result().text, re.MULTILINE)]
        assert told == list(range(1, over.last_event + 1))
        assert [row["epoch"] for row in plant.metrics(job)] == list(range(1, over.epoch + 1))
        assert "Traceback" not in house.server.last_words(100_000)
