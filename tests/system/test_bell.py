"""The broker is only a bell: without it jobs are accepted and trained all the same, and workers come and go."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.infrastructure.process import free_port
from tests.infrastructure.processes import eventually
from tests.infrastructure.valkey import ValkeyServer
from tests.service.house import House, running
from tests.worker.conftest import LONG, Plant

SHORT = LONG | {"epochs": 200}  # long enough to be in the way of what comes soon
NEVER_OVERDUE = {"NUDGE_OVERDUE_S": "600"}  # who hears bells takes no job without one


@contextmanager
def _house(database_url: str, broker_url: str, folder: Path) -> Iterator[tuple[House, Plant]]:
    """A server, and a plant to start workers in."""
    with running(folder, database_url, BROKER_URL=broker_url) as house:
        plant = Plant(database_url, broker_url, folder)
        yield house, plant
        plant.close()


def _submit(house: House, plant: Plant, **changes: object) -> str:
    answer = house.http.post("/v1/jobs", json=house.spec(plant.dataset, **changes))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_a_broker_that_never_answers(database_url: str, tmp_path: Path) -> None:
    dead = f"redis://127.0.0.1:{free_port()}/0"
    with _house(database_url, dead, tmp_path) as (house, plant):
        with plant.worker(**NEVER_OVERDUE) as worker:
            jobs = [_submit(house, plant) for _ in range(3)]
            assert [plant.wait_over(job_id).status for job_id in jobs] == ["succeeded"] * 3
            worker.terminate()
            assert worker.wait(60) == 0
        log = (plant.folder / "worker-0.log").read_text()
        assert "Connection refused" in log
        assert "worker.broke_off" not in log  # nothing held it up


def test_a_broker_that_goes_and_comes_back(postgres_url: str, tmp_path: Path, private_broker: ValkeyServer) -> None:
    with _house(postgres_url, private_broker.tcp_url, tmp_path) as (house, plant), plant.worker(**NEVER_OVERDUE):
        log = plant.folder / "worker-0.log"
        first = _submit(house, plant, **SHORT)
        plant.wait(first, lambda job: job.epoch >= 1)
        private_broker.process.kill()
        later = [_submit(house, plant) for _ in range(3)]
        assert [plant.wait_over(job_id).status for job_id in (first, *later)] == ["succeeded"] * 4
        private_broker.start()  # empty
        eventually(lambda: log.read_text().count('"event": "bell.heard"') == 2, 60, "it listens again")
        bells = log.read_text().count("nudge.train[")  # Celery notes whatever arrives

        def rings() -> bool:
            plant.wait_over(_submit(house, plant))
            return log.read_text().count("nudge.train[") > bells

        eventually(rings, 60, "the bell rings again")


def test_a_frozen_broker_does_not_hold_up_who_leaves(
    database_url: str, tmp_path: Path, private_broker: ValkeyServer
) -> None:
    plant = Plant(database_url, private_broker.tcp_url, tmp_path)
    with plant.worker() as worker:
        job_id = plant.submit(**SHORT)
        plant.wait(job_id, lambda job: job.epoch >= 1)
        private_broker.process.send(signal.SIGSTOP)
        worker.terminate()
        assert worker.wait(60) == 0
    assert (plant.job(job_id).status, plant.events(job_id)[-1]) == ("queued", "released")
    plant.close()
