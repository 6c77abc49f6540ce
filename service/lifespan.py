"""What the process opens when it starts and closes when it stops; nothing opens at import."""

import asyncio
import gc
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.checkpoint import Checkpoint
from core.explanations.subject import Subject
from core.predictor import Predictor
from service.admission import Admission
from service.broadcast import Broadcast
from service.forwards import Forwards
from service.gathering import Gathering
from service.lanes import Lane
from service.loaded import Loaded
from service.model_names import ModelNames
from service.settings import ServiceSettings
from service.uploads import Uploads
from store.aliases import Aliases
from store.blobs import Blobs
from store.database import Database
from store.datasets import Datasets
from store.jobs import Jobs
from store.models import Models
from store.predictions import Predictions
from store.queue import Doorbell
from store.records import ModelRecord
from store.settings import StoreSettings
from store.submissions import NewJob, Submission
from store.weights import WeightSets

THREADS = 12  # as many as the database has connections
COMPUTERS = 2  # each keeps a workspace for each model that it meets
COMPUTING_S = 20.0
ASSESSING_S = 60.0  # what takes long has a line of its own, so that predictions need not wait behind it
LARGEST_GROUP = 32
OPEN_DATASETS = 16
PATIENCE_S = 0.8  # with the store's own 4 s, an outage is told within 5 s


class Services:
    """Everything that routes use, one of each in a process."""

    def __init__(self, settings: ServiceSettings, store: StoreSettings) -> None:
        self.settings = settings
        self.store = store
        self.database = Database(store.database)
        reads = Lane("store", THREADS, PATIENCE_S)
        # SQLite takes one writer at a time: a line of tasks costs less than a line of threads at the same lock.
        writes = Lane("write", 1, PATIENCE_S) if self.database.is_sqlite else reads
        computers = Lane("compute", COMPUTERS, COMPUTING_S)
        assessors = Lane("assess", 1, ASSESSING_S)
        self.lanes = (reads, writes, computers, assessors)
        self.call, self.write, self.compute, self.assess = reads.run, writes.run, computers.run, assessors.run
        self.blobs = Blobs(self.database, store.blobs, store.cache)
        self.datasets = Datasets(self.database, self.blobs)
        self.jobs = Jobs(self.database)
        self.submissions = Gathering(self._write_jobs, LARGEST_GROUP)
        self.models = Models(self.database, self.blobs)
        self.aliases = Aliases(self.database)
        self.predictions = Predictions(self.database)
        self.weights = WeightSets(self.database, self.blobs)
        self.admission = Admission(self.datasets, self.jobs, self.weights, self.blobs, settings.max_memory_bytes)
        self.doorbell = Doorbell(store.broker_url)
        self.broadcast = Broadcast(self.jobs, self.call, settings.heartbeat_s)
        self.predictors = Loaded(self.call, settings.loaded_models, self.models.get, self._predictor)
        self.model_names = ModelNames(self.models, self.call)
        self.forwards = Forwards(self.compute, settings.max_predict_flops)
        self.subjects = Loaded(self.call, settings.loaded_models, self.models.get, self._subject)
        self.open_datasets = Loaded(self.call, OPEN_DATASETS, self.datasets.get, self.datasets.open)
        folder = store.data.absolute() / "uploads" / f"{os.getpid()}-{secrets.token_hex(4)}"
        self.uploads = Uploads(folder, settings.max_uploads)

    async def _write_jobs(self, group: list[NewJob]) -> list[Submission | Exception]:
        return await self.write(self.jobs.submit_all, group)

    def _predictor(self, record: ModelRecord) -> Predictor:
        return Predictor.from_checkpoint(self._checkpoint(record), compiled=True)

    def _subject(self, record: ModelRecord) -> Subject:
        return Subject.from_checkpoint(self._checkpoint(record))

    def _checkpoint(self, record: ModelRecord) -> Checkpoint:
        return Checkpoint.from_bytes(self.models.load(record))

    async def close(self) -> None:
        """Close everything, in an order in which nothing misses what it needs."""
        await self.broadcast.close()
        for lane in self.lanes:
            lane.close()
        await asyncio.to_thread(self.doorbell.close)
        await asyncio.to_thread(self.uploads.clear)
        self.database.dispose()


@asynccontextmanager
async def opened(settings: ServiceSettings, store: StoreSettings) -> AsyncIterator[Services]:
    """The services while the application runs."""
    services = Services(settings, store)
    services.doorbell.open()
    # What stands now stands until the end: the collector need not walk through the whole application again and again.
    gc.collect()
    gc.freeze()
    try:
        yield services
    finally:
        await services.close()
