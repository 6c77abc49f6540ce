"""The commands of the compose file, as processes with its variables, against a real PostgreSQL and Valkey."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure.compose import compose
from tests.infrastructure.journey import connect, journey, submit, upload, wait
from tests.infrastructure.postgres import PostgresServer
from tests.infrastructure.process import ServerProcess, free_port
from tests.infrastructure.processes import all_gone, eventually, tree
from tests.infrastructure.valkey import ValkeyServer, running_valkey

BIN = Path(sys.executable).parent


class Deployment:
    """What `docker compose up` would run, with every container's view translated to this machine."""

    def __init__(self, folder: Path, postgres: PostgresServer, valkey: ValkeyServer) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        database = re.fullmatch(r"postgresql\+psycopg://nudge:(.+)@(.+)/production", postgres.url("production"))
        assert database is not None
        self._here = {
            "@postgres:5432/nudge": f"@{database[2]}/production",
            "redis://valkey:6379": f"redis://127.0.0.1:{valkey.port}",
            "/data": str(folder / "data"),
            "/tmp/nudge-worker-alive": str(folder / "alive-NUMBER"),
            "127.0.0.1:8080": f"127.0.0.1:{self.port}",
            "0.0.0.0": "127.0.0.1",
        }
        self.services: dict[str, Any] = compose({"POSTGRES_PASSWORD": database[1]})["services"]
        (folder / "data").mkdir()

    def run(self, service: str, number: int = 1) -> ServerProcess:
        """A service's command, not started yet, as replica `number`."""
        return ServerProcess(
            [BIN / "nudged", *self.services[service]["command"]],
            self.folder / f"{service}-{number}.log",
            ready=lambda: self.is_healthy(service, number),
            environment=self._environment(service, number),
            start_s=120,
            stop_s=60,
        )

    def migrate(self) -> None:
        subprocess.run(
            [BIN / "nudged", *self.services["migrate"]["command"]],
            env=self._environment("migrate", 1),
            check=True,
            timeout=150,
        )

    def is_healthy(self, service: str, number: int = 1) -> bool:
        """The answer of the service's own health check."""
        check = [self._translated(word, number) for word in self.services[service]["healthcheck"]["test"]]
        assert check[:2] == ["CMD", "python"]
        run = [sys.executable, *check[2:]]
        return subprocess.run(run, capture_output=True, timeout=60, check=False).returncode == 0

    def _environment(self, service: str, number: int) -> dict[str, str]:
        own = {key: self._translated(value, number) for key, value in self.services[service]["environment"].items()}
        own |= {"NUDGE_PORT": str(self.port)} if "NUDGE_PORT" in own else {}
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)} | own

    def _translated(self, text: str, number: int) -> str:
        for container, here in self._here.items():
            text = text.replace(container, here)
        return text.replace("NUMBER", str(number))  # each replica has a /tmp of its own


@pytest.fixture(scope="module")
def production(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, server_folder: Path
) -> Iterator[Deployment]:
    """Migrated, one server and two workers, as `--scale worker=2` gives them."""
    postgres_server.create("production")
    broker = server_folder / "production"
    broker.mkdir()
    with ExitStack() as stack:
        valkey = stack.enter_context(running_valkey(broker))
        stack.callback(postgres_server.drop, "production")
        deployment = Deployment(tmp_path_factory.mktemp("production"), postgres_server, valkey)
        deployment.migrate()
        processes = [deployment.run("server"), deployment.run("worker"), deployment.run("worker", 2)]
        for process in processes:
            stack.callback(process.stop)
            process.launch()
        for process in processes:
            process.await_ready()
        yield deployment


def test_from_a_dataset_to_a_prediction(production: Deployment) -> None:
    with connect(production.url) as client:
        journey(client)


def test_scaled_workers_share_the_jobs(production: Deployment) -> None:
    at_once = int(production.services["worker"]["environment"]["NUDGE_CONCURRENCY"])
    with connect(production.url) as client:
        dataset = upload(client)
        jobs = [submit(client, dataset, epochs=1_000_000) for _ in range(2 * at_once)]
        for job in jobs:  # more than one worker could train at the same time
            wait(client, job, "running")
        for job in jobs:
            assert client.post(f"/v1/jobs/{job}/cancel").status_code == 202
        for job in jobs:
            wait(client, job, "cancelled")


def test_the_migration_may_be_run_again(production: Deployment) -> None:
    production.migrate()
    assert production.is_healthy("server")


def test_a_worker_that_is_told_to_stop_ends_well_and_whole(production: Deployment) -> None:
    worker = production.run("worker", 3)
    worker.launch()
    eventually(lambda: " ready." in worker.last_words(100_000), 90, "Celery listens")
    eventually(lambda: len(tree(worker.pid)) > 1, 30, "its trainers' warm parent runs")
    everyone = tree(worker.pid)
    worker.stop()
    assert worker.returncode == 0
    all_gone(everyone, 30)


def test_the_broker_takes_the_options_of_the_compose_file(production: Deployment, private_broker: ValkeyServer) -> None:
    program, *options = production.services["valkey"]["command"]
    assert program == "valkey-server"
    private_broker.stop()
    private_broker.process.command += options
    private_broker.start()
    with private_broker.connect() as connection:
        assert connection.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert int(connection.config_get("maxmemory")["maxmemory"]) == 128 * 2**20


def test_health_checks_see_what_is_missing(
    tmp_path: Path, postgres_server: PostgresServer, broker_server: ValkeyServer, postgres_database: Callable[[], str]
) -> None:
    nobody = Deployment(tmp_path, postgres_server, broker_server)
    assert not nobody.is_healthy("server")
    assert not nobody.is_healthy("worker")
    (tmp_path / "alive-1").touch()
    assert nobody.is_healthy("worker")
    os.utime(tmp_path / "alive-1", (0, 0))
    assert not nobody.is_healthy("worker")
