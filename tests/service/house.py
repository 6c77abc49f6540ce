"""A server over a real store, and a worker's part played by the tests."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from core.training import Epoch, fit
from store.blobs import Blobs
from store.checkpoints import NewCheckpoint
from store.claims import Claims
from store.database import Database
from store.datasets import Datasets
from store.holds import Claim
from store.jobs import Jobs
from store.migrate import migrate
from store.models import Models
from store.progress import EpochReport, Progress
from tests.infrastructure.process import ServerProcess, answers, free_port

TENANT = "default"
NETWORK = {"layers": [{"type": "dense", "units": 4}, {"type": "tanh"}, {"type": "dense", "units": 2}]}


class House:
    """A migrated store in a folder, and one server over it."""

    def __init__(self, folder: Path, database_url: str | None = None, **environment: str) -> None:
        self.folder = folder
        self.database_url = database_url or f"sqlite:///{folder / 'nudge.db'}"
        self.database = Database(self.database_url)
        migrate(self.database)
        self.blobs = Blobs(self.database, f"file://{folder / 'blobs'}", folder / "cache")
        self.datasets = Datasets(self.database, self.blobs)
        self.jobs = Jobs(self.database)
        self.models = Models(self.database, self.blobs)
        self.claims = Claims(self.database)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = ServerProcess(
            [sys.executable, "-m", "service"],
            folder / "server.log",
            ready=lambda: answers(f"{self.url}/livez"),
            environment=clean_environment()
            | {"NUDGE_DATA": str(folder), "DATABASE_URL": self.database_url, "NUDGE_PORT": str(self.port)}
            | environment,
        )
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def spec(self, dataset: str, **changes: Any) -> dict[str, Any]:
        return {
            "dataset": dataset,
            "network": NETWORK,
            "loss": {"type": "cross_entropy"},
            "batch_size": 4,
            "epochs": 3,
            **changes,
        }

    def add_dataset(self, name: str = "corners") -> str:
        rows = [[0.0, 0.5], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]] * 3
        answer = self.http.post("/v1/datasets", json={"name": name, "x": rows, "y": ["a", "b", "b", "a"] * 3})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def submit(self, dataset: str, **changes: Any) -> str:
        answer = self.http.post("/v1/jobs", json=self.spec(dataset, **changes))
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def claim(self, job: str) -> Claim:
        claim = self.claims.claim(job, "a test")
        assert claim is not None
        return claim

    def followed(self, times: int) -> bool:
        """Whether so many streams and long polls wait now."""
        return f"nudge_followers {times}.0" in self.http.get("/metrics").text

    def report(self, claim: Claim, epoch: int, **metrics: float | None) -> None:
        """One epoch's event, with no checkpoint."""
        self.claims.report(claim, [EpochReport(epoch, dict(metrics))], [], Progress(epoch / 100, 10.0, 1.0))

    def train(self, job: str, descent: bytes | None = None) -> str:
        """Do a worker's work from claim to model; gives the model. `descent` is what a traced job saw."""
        claim = self.claim(job)
        data = self.datasets.open(self.datasets.get(TENANT, claim.spec.dataset))
        for step in fit(claim.spec, data):
            if isinstance(step, Epoch):
                checkpoint = step.checkpoint()
                content = checkpoint.to_bytes()
                new = NewCheckpoint(
                    checkpoint.epoch,
                    checkpoint.step,
                    checkpoint.digest,
                    dict(checkpoint.metrics),
                    self.blobs.put(content),
                    len(content),
                    step.best,
                )
                progress = Progress(step.epoch / claim.spec.epochs, 100.0, 0.0)
                self.claims.report(claim, [EpochReport(step.epoch, dict(step.metrics))], [new], progress)
        seen = None if descent is None else self.blobs.put(descent)
        model = self.claims.succeed(claim, descent=seen).model_id
        assert model is not None
        return model


def clean_environment() -> dict[str, str]:
    """The environment without what would configure the system under test."""
    ours = ("NUDGE_", "DATABASE_URL", "BROKER_URL", "BLOBS_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@contextmanager
def running(folder: Path, database_url: str | None = None, **environment: str) -> Iterator[House]:
    """A house with its server running."""
    house = House(folder, database_url, **environment)
    try:
        house.server.start()
        yield house
    finally:
        house.http.close()
        house.server.stop()
        house.database.dispose()


def is_problem(answer: httpx.Response, status: int, slug: str | None = None) -> dict[str, Any]:
    """The problem in an answer, with everything that every problem must have."""
    assert answer.status_code == status, (answer.status_code, answer.text[:600])
    assert answer.headers["content-type"] == "application/problem+json"
    assert b"NaN" not in answer.content.replace(b"NaN is not a JSON", b"").replace(b"not NaN or", b"")
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["title"]
    assert problem["instance"].startswith("/")
    assert problem["type"].startswith("/problems/")
    if slug is not None:
        assert problem["type"] == f"/problems/{slug}", problem
    for error in problem.get("errors", []):
        assert set(error) >= {"pointer", "detail"}
        assert error["detail"]
    return problem
