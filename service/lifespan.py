"""What the process opens when it starts and closes when it stops; nothing opens at import."""

import asyncio
import functools
import os
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

from service.admission import Admission
from service.broadcast import Broadcast
from service.predictors import Predictors
from service.settings import ServiceSettings
from service.uploads import Uploads
from store.blobs import Blobs
from store.database import Database
from store.datasets import Datasets
from store.errors import Unavailable
from store.jobs import Jobs
from store.models import Models
from store.queue import Doorbell
from store.settings import StoreSettings

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 32  # more than the database has connections: who waits for one must not hold up who needs none
COMPUTERS = 2
PATIENCE_S = 0.8  # with the store's own 4 s, an outage is told within 5 s


class Services:
    """Everything that routes use, one of each in a process."""

    def __init__(self, settings: ServiceSettings, store: StoreSettings) -> None:
        self.settings = settings
        self.store = store
        self.database = Database(store.database)
        self.blobs = Blobs(self.database, store.blobs, store.cache)
        self.datasets = Datasets(self.database, self.blobs)
        self.jobs = Jobs(self.database)
        self.models = Models(self.database, self.blobs)
        self.admission = Admission(self.datasets, self.jobs, settings.max_memory_bytes)
        self.doorbell = Doorbell(store.broker_url)
        self.broadcast = Broadcast(self.jobs, self.call, settings.heartbeat_s)
        self.predictors = Predictors(self.models, self.call, settings.loaded_models)
        folder = store.data.absolute() / "uploads" / f"{os.getpid()}-{secrets.token_hex(4)}"
        self.uploads = Uploads(folder, settings.max_uploads)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._computers = ThreadPoolExecutor(COMPUTERS, thread_name_prefix="predict")
        self._free = asyncio.Semaphore(THREADS)

    async def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function of the store in a thread.

        Raises:
            Unavailable: every thread is taken, which means that the store answers nobody.
        """
        if self._free.locked():
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._free.acquire()
            except TimeoutError:
                raise Unavailable("every thread waits for it") from None
        else:
            await self._free.acquire()
        work = asyncio.get_running_loop().run_in_executor(self._threads, functools.partial(function, *args, **kwargs))
        # The thread is free when its work is done, not when a client stops waiting for it.
        work.add_done_callback(self._release)
        return await asyncio.shield(work)

    async def write(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a short write of the store. On SQLite all take turns in one thread: a line of tasks costs less than
        a line of threads that wait for the same lock."""
        if not self.database.is_sqlite:
            return await self.call(function, *args, **kwargs)
        work = asyncio.get_running_loop().run_in_executor(self._writer, functools.partial(function, *args, **kwargs))
        return await asyncio.shield(work)

    async def compute(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run mathematics in one of a few threads: each keeps a workspace for each model that it meets."""
        work = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._computers, work)

    def _release(self, work: asyncio.Future[R]) -> None:
        self._free.release()
        if not work.cancelled():
            work.exception()  # seen, even when nobody waits any longer

    async def close(self) -> None:
        """Close everything, in an order in which nothing misses what it needs."""
        await self.broadcast.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._writer.shutdown(wait=False, cancel_futures=True)
        self._computers.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self.doorbell.close)
        await asyncio.to_thread(self.uploads.clear)
        self.database.dispose()


@asynccontextmanager
async def opened(settings: ServiceSettings, store: StoreSettings) -> AsyncIterator[Services]:
    """The services while the application runs."""
    services = Services(settings, store)
    try:
        yield services
    finally:
        await services.close()
