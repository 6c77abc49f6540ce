"""A migrated store on SQLite and on PostgreSQL, with a small dataset in it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.data import Dataset
from core.estimate import Estimate
from core.schema import ClassTarget, DataSchema
from core.training_spec import TrainingSpec
from store.blobs import Blobs
from store.checkpoints import NewCheckpoint
from store.claims import Claims
from store.database import Database
from store.datasets import DatasetRecord, Datasets
from store.holds import Claim
from store.jobs import Jobs
from store.migrate import migrate
from store.models import Models
from store.progress import EpochReport, Progress
from tests.infrastructure.postgres import PostgresServer

TENANT = "default"
ESTIMATE = Estimate(parameters=2, flops_per_epoch=10, memory_bytes=1000)


class Store:
    """Everything of the store over one database, and short ways to do what a worker does."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.blobs = Blobs(database, f"file://{folder / 'blobs'}", folder / "cache")
        self.datasets = Datasets(database, self.blobs)
        self.jobs = Jobs(database)
        self.claims = Claims(database)
        self.models = Models(database, self.blobs)
        self.dataset = self.add_dataset("points")

    def add_dataset(self, name: str, rows: int = 4, tenant: str = TENANT) -> DatasetRecord:
        schema = DataSchema(
            rows=rows, input_shape=(2,), input_dtype="float64", target=ClassTarget(classes=("no", "yes"))
        )
        x = np.arange(rows * 2, dtype=np.float64).reshape(rows, 2)
        dataset = Dataset(schema, x, np.arange(rows, dtype=np.int32) % 2)
        folder = self.folder / f"upload-{name}-{rows}"
        folder.mkdir(exist_ok=True)
        dataset.save(folder)
        return self.datasets.add(tenant, name, folder, schema)

    def spec(self, **changes: object) -> TrainingSpec:
        body: dict[str, object] = {
            "dataset": self.dataset.id,
            "network": {"layers": [{"type": "dense", "units": 2}]},
            "loss": {"type": "cross_entropy"},
            "epochs": 3,
        }
        return TrainingSpec.model_validate(body | changes)

    def submit(self, **changes: object) -> str:
        return self.jobs.submit(TENANT, self.spec(**changes), ESTIMATE).job.id

    def start(self, job_id: str, owner: str = "worker-1") -> Claim:
        claim = self.claims.claim(job_id, owner)
        assert claim is not None
        return claim

    def add_model(self) -> str:
        """Train one; gives its id."""
        claim = self.start(self.submit())
        self.report(claim, 1)
        model = self.claims.succeed(claim).model_id
        assert model is not None
        return model

    def new_checkpoint(self, epoch: int, *, best: bool = False, step: int = 0) -> NewCheckpoint:
        content = f"checkpoint of epoch {epoch} step {step}".encode()
        blob = self.blobs.put(content)
        return NewCheckpoint(epoch, step, blob, {"train_loss": 1 / max(epoch, 1)}, blob, len(content), best)

    def report(self, claim: Claim, *epochs: int, checkpoint: bool = True, best: bool = False) -> None:
        kept = [self.new_checkpoint(epochs[-1], best=best)] if checkpoint else []
        reports = [EpochReport(epoch, {"train_loss": 1 / epoch}) for epoch in epochs]
        self.claims.report(claim, reports, kept, Progress(epochs[-1] / 3, 100.0, 1.0))

    def event_types(self, job_id: str) -> list[str]:
        events = self.jobs.events(TENANT, job_id)
        assert [event.number for event in events] == list(range(1, len(events) + 1))
        assert self.jobs.get(TENANT, job_id).last_event == len(events)
        return [event.type for event in events]


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with nothing but its tables, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "nudge.sqlite"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    """The name of such a database on PostgreSQL."""
    _migrate(postgres_server.create("migrated"))
    return "migrated"


def _migrate(url: str) -> None:
    database = Database(url)
    migrate(database)
    database.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{shutil.copy(request.getfixturevalue('migrated_file'), tmp_path)}"
    else:
        template = request.getfixturevalue("migrated_template")
        url = request.getfixturevalue("postgres_database")(template)
    opened = Database(url)
    yield opened
    opened.dispose()


@pytest.fixture
def store(database: Database, tmp_path: Path) -> Store:
    return Store(database, tmp_path)
