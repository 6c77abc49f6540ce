"""Real worker processes over a real store and a real broker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from sqlalchemy import text

from core.data import Dataset
from core.estimate import check
from core.schema import ClassTarget, DataSchema
from core.training_spec import TrainingSpec
from standalone.lifeline import dies_with_parent
from store.blobs import Blobs
from store.database import Database
from store.datasets import Datasets
from store.errors import Unavailable
from store.jobs import Jobs
from store.lifecycle import OVER
from store.migrate import migrate
from store.models import Models
from store.predictions import Predictions
from store.queue import Doorbell
from store.records import JobRecord
from tests.infrastructure.processes import PATIENCE, eventually

TENANT = "default"
# Seconds, in which a test can interfere: each example is a step of its own, through layers of some width.
LONG = {
    "epochs": 600,
    "batch_size": 1,
    "network": {
        "layers": [
            {"type": "dense", "units": 128},
            {"type": "tanh"},
            {"type": "dense", "units": 64},
            {"type": "tanh"},
            {"type": "dense", "units": 2},
        ],
    },
    "optimizer": {"type": "sgd", "learning_rate": 0.01},
    "checkpoints": {"every_epochs": 1, "keep": 2},
}


class Plant:
    """A store with a dataset of two rings, and workers to be started over it."""

    def __init__(self, database_url: str, broker_url: str, folder: Path) -> None:
        self.folder = folder
        self.database_url, self.broker_url = database_url, broker_url
        self.database = Database(database_url)
        migrate(self.database)
        self.blobs = Blobs(self.database, f"file://{folder / 'blobs'}", folder / "cache")
        self.datasets = Datasets(self.database, self.blobs)
        self.jobs = Jobs(self.database)
        self.models = Models(self.database, self.blobs)
        self.predictions = Predictions(self.database)
        self.bell = Doorbell(broker_url)
        self.dataset = self.add_rings()

    def add_rings(self, rows: int = 600) -> str:
        draw = np.random.default_rng(7)
        labels = np.arange(rows) % 2
        angle, radius = draw.uniform(0, 2 * np.pi, rows), 1.0 + labels + draw.normal(0, 0.1, rows)
        x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        schema = DataSchema(rows=rows, input_shape=(2,), input_dtype="float64", target=ClassTarget(classes=(0, 1)))
        folder = self.folder / f"rings-{rows}"
        folder.mkdir()
        Dataset(schema, x, labels.astype(np.int32)).save(folder)
        return self.datasets.add(TENANT, "rings", folder, schema).id

    def submit(self, *, ring: bool = True, **changes: object) -> str:
        body: dict[str, object] = {
            "dataset": self.dataset,
            "validation": {"fraction": 0.25},
            "network": {
                "layers": [{"type": "dense", "units": 16}, {"type": "tanh"}, {"type": "dense", "units": 2}],
            },
            "loss": {"type": "cross_entropy"},
            "optimizer": {"type": "sgd", "learning_rate": 0.2, "momentum": 0.9},
            "epochs": 5,
        }
        spec = TrainingSpec.model_validate(body | changes)
        estimate = check(spec, self.datasets.get(TENANT, spec.dataset).schema, None)
        job_id = self.jobs.submit(TENANT, spec, estimate).job.id
        if ring:
            self.bell.ring(job_id)
        return job_id

    def job(self, job_id: str) -> JobRecord:
        return self.jobs.get(TENANT, job_id)

    def wait(self, job_id: str, until: Callable[[JobRecord], bool]) -> JobRecord:
        deadline = time.monotonic() + PATIENCE * 90
        while not until(job := self.job(job_id)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{job}\n{self.events(job_id)}\n{self.logs()}")
            time.sleep(0.02)
        return job

    def wait_over(self, job_id: str) -> JobRecord:
        return self.wait(job_id, lambda job: job.status in OVER)

    def events(self, job_id: str) -> list[str]:
        return [event.type for event in self.jobs.events(TENANT, job_id)]

    def digest(self, job_id: str) -> str:
        """The digest of a job's last checkpoint."""
        job = self.job(job_id)
        assert job.checkpoint_id is not None
        return self.jobs.checkpoint(TENANT, job.checkpoint_id).digest

    def metrics(self, job_id: str) -> list[dict[str, object]]:
        """The metric rows without their timings."""
        timings = {"seconds", "examples_per_s"}
        rows = self.jobs.metrics(TENANT, job_id)
        return [{name: value for name, value in row.items() if name not in timings} for row in rows]

    def logs(self) -> str:
        return "\n".join(path.read_text()[-4000:] for path in self.folder.glob("worker-*.log"))

    @contextmanager
    def worker(self, **settings: str) -> Iterator[psutil.Process]:
        """A worker process; killed at the end if it still runs."""
        environment = os.environ | {
            "NUDGE_DATA": str(self.folder),
            "DATABASE_URL": self.database_url,
            "BROKER_URL": self.broker_url,
            "NUDGE_RENEW_S": "1.5",  # longer than a report: orders must come through those too
            "NUDGE_RESCUE_S": "0.5",
            "NUDGE_CONCURRENCY": "1",
            "NUDGE_GIVE_WAY": "false",  # the tests themselves keep the processors busy
            **settings,
        }
        number = len(list(self.folder.glob("worker-*.log")))
        with (self.folder / f"worker-{number}.log").open("w") as log:
            command = [sys.executable, "-m", "worker"]
            child = subprocess.Popen(
                command,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=dies_with_parent(signal.SIGKILL),  # noqa: PLW1509 (one C call)
            )
        process = psutil.Process(child.pid)
        try:
            yield process
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(60)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
                    raise

    def trainers(self, worker: psutil.Process) -> list[psutil.Process]:
        """The trainer processes of a worker: the grandchildren that its warm parent forked."""
        return [trainer for parent in worker.children() for trainer in parent.children()]

    def wait_trainer(self, worker: psutil.Process) -> psutil.Process:
        deadline = time.monotonic() + PATIENCE * 60
        while not (found := self.trainers(worker)):
            if time.monotonic() > deadline:
                raise TimeoutError(self.logs())
            time.sleep(0.01)
        return found[0]

    @contextmanager
    def suspended(self, worker: psutil.Process) -> Iterator[None]:
        """A worker with all of its processes, frozen between two transactions: none could go on in their place else."""
        family = [worker, *worker.children(recursive=True)]

        def suspend() -> bool:
            for process in family:
                process.suspend()
            if self.is_quiet():
                return True
            resume()
            time.sleep(0.2)  # for the transaction to end
            return False

        def resume() -> None:
            for process in family:
                with suppress(psutil.NoSuchProcess):  # whoever woke first may have ended the others
                    process.resume()

        eventually(suspend, 60, "they are suspended between two transactions")
        try:
            yield
        finally:
            resume()

    def is_quiet(self) -> bool:
        """Whether nobody is in the middle of a transaction."""
        others = "datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
        try:
            with self.database.transaction() as connection:  # on SQLite there is but one at a time
                if self.database.is_sqlite:
                    return True
                return connection.scalar(text(f"SELECT count(*) FROM pg_stat_activity WHERE {others}")) == 0
        except Unavailable:
            return False

    def close(self) -> None:
        self.bell.close()
        self.database.dispose()


@dataclass(frozen=True)
class Outcome:
    """What a job came to."""

    digest: str
    metrics: list[dict[str, object]]


def undisturbed_outcome(folder: Path, spec: dict[str, object]) -> Outcome:
    """What a job comes to when nothing disturbs it."""
    opened = Plant(f"sqlite:///{folder / 'nudge.db'}", "", folder)
    with opened.worker():
        job = opened.wait_over(opened.submit(**spec))
    assert (job.status, job.attempt) == ("succeeded", 1)
    outcome = Outcome(opened.digest(job.id), opened.metrics(job.id))
    opened.close()
    return outcome


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the `LONG` job comes to when nothing disturbs it."""
    return undisturbed_outcome(tmp_path_factory.mktemp("calm"), LONG)


@pytest.fixture
def plant(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Plant]:
    opened = Plant(database_url, broker_url, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def postgres_plant(postgres_url: str, broker_url: str, tmp_path: Path) -> Iterator[Plant]:
    """For what tests/crash and tests/faults show with workers on SQLite as well."""
    opened = Plant(postgres_url, broker_url, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def lone_plant(tmp_path: Path) -> Iterator[Plant]:
    """A plant on SQLite without any broker."""
    opened = Plant(f"sqlite:///{tmp_path / 'nudge.db'}", "", tmp_path)
    yield opened
    opened.close()
