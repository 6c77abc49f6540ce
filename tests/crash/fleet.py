"""Two servers and two workers over one store; whoever is killed is started again at once."""

import itertools
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from sqlalchemy import select, update

from store import tables
from store.blobs import GRACE_S, Blobs
from store.database import Database
from store.jobs import Jobs
from store.lifecycle import OVER
from store.migrate import migrate
from store.models import Models
from store.predictions import Predictions
from store.records import JobRecord
from tests.crash.nursery import Nursery
from tests.infrastructure.process import free_port
from tests.infrastructure.processes import PATIENCE, eventually
from tests.service.house import TENANT, clean_environment

IMPATIENT = {
    "NUDGE_LEASE_S": "1",
    "NUDGE_RENEW_S": "0.1",
    "NUDGE_RESCUE_S": "0.1",
    "NUDGE_OVERDUE_S": "0.3",
    "NUDGE_CONCURRENCY": "1",
    "NUDGE_PART_S": "0.0001",  # every 256 rows are a part of their own
    "NUDGE_GIVE_WAY": "false",  # the tests themselves keep the processors busy
}


class Fleet:
    """The processes, the store seen from outside, and a client that does not give up."""

    def __init__(self, database_url: str, broker_url: str, folder: Path) -> None:
        self.folder = folder
        self.points = folder / "points"
        self.points.mkdir()
        self.database = Database(database_url)
        migrate(self.database)
        self.blobs = Blobs(self.database, f"file://{folder / 'blobs'}", folder / "cache")
        self.jobs, self.models = Jobs(self.database), Models(self.database, self.blobs)
        self.predictions = Predictions(self.database)
        self.environment = clean_environment() | IMPATIENT
        self.environment |= {"NUDGE_DATA": str(folder), "DATABASE_URL": database_url, "BROKER_URL": broker_url}
        self.environment |= {"NUDGE_CRASH_POINTS": str(self.points)}
        self.http = httpx.Client(timeout=PATIENCE * 30, trust_env=False)
        self.nursery = Nursery(self.environment)
        self.urls: list[str] = []
        self.alive: dict[int, tuple[str, str, dict[str, str]]] = {}  # module, name and own environment by process
        for number in (1, 2):
            port = free_port()
            self.urls.append(f"http://127.0.0.1:{port}")
            self._start("service", f"server-{number}", {"NUDGE_PORT": str(port)})
            self._start("worker", f"worker-{number}", {})
        self._keys = itertools.count(1)

    def _start(self, module: str, name: str, environment: dict[str, str]) -> None:
        process = self.nursery.start(module, self.folder / f"{name}.log", **environment)
        self.alive[process] = module, name, environment

    def arm(self, point: str, passes: int = 0) -> None:
        """Have the process that reaches `point` killed there, after so many times that it is passed."""
        aside = self.points / "aside"
        aside.write_text(str(passes))
        aside.rename(self.points / point)

    def victim(self, point: str) -> str:
        """Wait until somebody is killed at `point`; gives its module, and starts a server or worker again."""
        eventually(lambda: any(self.points.glob("killed *")), 60, f"{point} is reached")
        [grave] = self.points.glob("killed *")
        assert not (self.points / point).exists()
        process = int(grave.name.removeprefix("killed "))
        grave.unlink()
        if (killed := self.alive.pop(process, None)) is None:
            eventually(lambda: not psutil.pid_exists(process), 30, f"{process} is gone")
            return "worker.trainer"
        assert self.nursery.wait(process) == -signal.SIGKILL
        self._start(*killed)
        return killed[0]

    def ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        """The answer of whichever server gives one: a client whose connection breaks sends again."""
        deadline = time.monotonic() + PATIENCE * 60
        for url in itertools.cycle(self.urls):
            try:
                return self.http.request(method, url + path, **content)
            except httpx.TransportError:
                assert time.monotonic() < deadline, self.last_words()
                time.sleep(0.02)
        raise AssertionError("there is no server")

    def upload(self, rows: int = 600) -> str:
        """The id of a dataset of two rings."""
        draw = np.random.default_rng(7)
        labels = np.arange(rows) % 2
        angle, radius = draw.uniform(0, 2 * np.pi, rows), 1.0 + labels + draw.normal(0, 0.1, rows)
        x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        answer = self.ask("POST", "/v1/datasets", json={"name": "rings", "x": x.tolist(), "y": labels.tolist()})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def submit(self, spec: dict[str, Any]) -> str:
        """The id of a new job, of predictions where a model is named; the request is sent again, also when answered."""
        name = f"crash-{next(self._keys)}"
        spec, headers = spec | {"name": name}, {"Idempotency-Key": name}
        model = spec.pop("model", None)
        path = "/v1/jobs" if model is None else f"/v1/models/{model}/batch-predictions"
        first, second = (self.ask("POST", path, json=spec, headers=headers) for _ in range(2))
        assert (first.status_code, second.status_code) == (202, 202), first.text
        assert second.headers["Idempotent-Replayed"] == "true"
        assert first.json()["id"] == second.json()["id"]
        return str(first.json()["id"])

    def wait(self, job: str, until: Callable[[JobRecord], bool]) -> JobRecord:
        deadline = time.monotonic() + PATIENCE * 60
        while not until(record := self.jobs.get(TENANT, job)):
            assert time.monotonic() < deadline, f"{record}\n{self.jobs.events(TENANT, job)}\n{self.last_words()}"
            time.sleep(0.02)
        return record

    def wait_over(self, job: str) -> JobRecord:
        return self.wait(job, lambda record: record.status in OVER)

    def wait_training(self, job: str) -> JobRecord:
        """Its first epoch is reported, or the first of its predictions, and others are not."""
        return self.wait(job, lambda record: record.epoch > 0 or bool(record.rows_done))

    def owner(self, job: str) -> psutil.Process:
        """The worker that took a job last."""
        workers = [event.data["worker"] for event in self.jobs.events(TENANT, job) if event.type == "started"]
        return psutil.Process(int(workers[-1].rpartition("-")[2]))

    def let_pass_an_hour(self) -> None:
        """All bytes, and what lies aside of them, are older than they are by more than an hour."""
        with self.database.transaction() as connection:
            connection.execute(
                update(tables.blob).values(touched_at=datetime.now(UTC) - timedelta(seconds=2 * GRACE_S))
            )
        long_ago = time.time() - 2 * GRACE_S
        for path in (self.folder / "blobs").rglob("*"):
            os.utime(path, (long_ago, long_ago))

    def collect(self) -> int:
        """Sweep up unnamed bytes in a process of its own; gives its exit code."""
        return self.nursery.wait(self.nursery.start("tests.crash.collector", self.folder / "collector.log"))

    def bytes_in_files(self) -> list[str]:
        """The digests of all bytes that a row of the database knows as a file."""
        with self.database.reading() as connection:
            return list(connection.scalars(select(tables.blob.c.digest).where(tables.blob.c.content.is_(None))))

    def last_words(self) -> str:
        return "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in self.folder.glob("*.log"))

    def close(self) -> None:
        self.nursery.close()
        self.http.close()
        self.database.dispose()
