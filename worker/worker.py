"""A whole worker: warm trainers, a crew, the rounds, and Celery where there is a broker."""

import logging
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from multiprocessing import forkserver
from multiprocessing.util import Finalize
from typing import Any

import structlog

from core.compiled import build
from store.blobs import Blobs
from store.claims import Claims
from store.database import Database
from store.datasets import Datasets
from store.environment import read_settings
from store.errors import Unavailable
from store.migrate import is_migrated
from store.queue import Doorbell
from store.rescue import Watch
from store.settings import StoreSettings
from worker import app
from worker.crew import Crew
from worker.rescue import Rounds
from worker.settings import WorkerSettings
from worker.training import Workshop

log = structlog.get_logger(__name__)
LONGEST_FOLDER = 40  # characters
RELEASE_S = 10.0  # a drain ends after so long, whatever a trainer does; rescue takes what is left


def run_worker() -> int:
    """Work until SIGTERM or SIGINT. Gives the exit code."""
    settings, places = read_settings(WorkerSettings), read_settings(StoreSettings)
    _configure_log(settings.log_level)
    database = Database(places.database, pool_size=settings.concurrency + 4)
    try:
        if not is_migrated(database):
            log.error("database.not_migrated", hint="run `nudged migrate` with this version first")
            return 1
    except Unavailable as error:
        log.error("database.unavailable", detail=error.reason)
        return 1
    _keep_sockets_in_a_short_folder()
    _work(settings, places, database)
    database.dispose()
    log.info("worker.stopped")
    return 0


def _keep_sockets_in_a_short_folder() -> None:
    """The kernel limits a socket's path to about a hundred characters, which a long TMPDIR exceeds."""
    too_long = len(tempfile.gettempdir()) > LONGEST_FOLDER and os.access("/tmp", os.W_OK)  # noqa: S108
    folder = tempfile.mkdtemp(prefix="nudge-", dir="/tmp" if too_long else None)  # noqa: S108
    tempfile.tempdir = folder
    # Removed last of all, behind what multiprocessing itself keeps in it.
    Finalize(None, shutil.rmtree, args=(folder,), kwargs={"ignore_errors": True}, exitpriority=-200)


def _work(settings: WorkerSettings, places: StoreSettings, database: Database) -> None:
    trainers = multiprocessing.get_context("forkserver")
    trainers.set_forkserver_preload(["worker.trainer"])
    forkserver.ensure_running()  # warm before the first job comes
    kernels = find_kernels()
    draining, blobs = threading.Event(), Blobs(database, places.blobs, places.cache)
    bell = Doorbell(places.broker_url)
    workshop = Workshop(Claims(database), Datasets(database, blobs), blobs, settings, trainers, draining, bell)
    crew = Crew(workshop, owner=f"{socket.gethostname()}-{os.getpid()}")
    rounds = Rounds(
        crew, Watch(workshop.claims, settings.lease_s, every_s=settings.rescue_s), has_broker=bool(places.broker_url)
    )
    thread = threading.Thread(target=rounds.run, args=(draining,), name="rounds", daemon=True)
    thread.start()
    log.info(
        "worker.ready",
        owner=crew.owner,
        concurrency=settings.concurrency,
        broker=bool(places.broker_url),
        kernels=kernels,
    )
    if places.broker_url:
        app.run(app.make_app(places.broker_url, crew), settings.concurrency, draining, settings.log_level)
    else:
        _wait_for_signal()
    draining.set()
    _wait_for_crew(crew)
    bell.close()


def find_kernels() -> str:
    """Which kernels compute here; they are compiled now where they are not yet and can be, so that no job waits."""
    if build.missing():
        log.info("kernels.compiling", hint="some seconds, once for each version of Nudge")
        try:
            build.build(build.variant() or "")
        except build.CannotCompile as error:
            log.warning("kernels.not_compiled", detail=str(error))
            return "none compiled; NumPy computes, slower"
    return build.summary()


def _wait_for_signal() -> None:
    asked = False

    def drain(_number: int, _frame: Any) -> None:
        nonlocal asked
        asked = True  # no more than that: a handler must not wait for a lock that it interrupted

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, drain)
    while not asked:
        time.sleep(0.1)


def _wait_for_crew(crew: Crew) -> None:
    """Give every training its moment to checkpoint and release."""
    for _ in range(crew.workshop.settings.concurrency):
        if not crew.slots.acquire(timeout=RELEASE_S):
            return


def _configure_log(level: str) -> None:
    logging.basicConfig(level=level.upper(), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
