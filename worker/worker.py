"""A whole worker: warm trainers, a crew, the rounds, and Celery where there is a broker."""

import logging
import multiprocessing
import os
import shutil
import socket
import sys
import tempfile
import threading
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from multiprocessing.util import Finalize
from pathlib import Path

import structlog

from core.compiled import build
from store.blobs import Blobs
from store.claims import Claims
from store.database import Database
from store.datasets import Datasets
from store.environment import read_settings
from store.errors import Unavailable
from store.migrate import is_migrated
from store.predictions import Predictions
from store.queue import Doorbell
from store.rescue import Watch
from store.settings import StoreSettings
from worker import app
from worker.crew import Crew
from worker.drain import Drain
from worker.rescue import Rounds
from worker.settings import WorkerSettings
from worker.supervision import Workshop

log = structlog.get_logger(__name__)
LONGEST_FOLDER = 40  # characters


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
    _work(settings, places, database, _short_folder())
    database.dispose()
    log.info("worker.stopped")
    return 0


def _short_folder() -> Path:
    """A folder for temporary files: the kernel limits a socket's path to 100 characters; a long TMPDIR exceeds it."""
    too_long = len(tempfile.gettempdir()) > LONGEST_FOLDER and os.access("/tmp", os.W_OK)  # noqa: S108
    folder = tempfile.mkdtemp(prefix="nudge-", dir="/tmp" if too_long else None)  # noqa: S108
    tempfile.tempdir = folder
    # Removed last of all, behind what multiprocessing itself keeps in it.
    Finalize(None, shutil.rmtree, args=(folder,), kwargs={"ignore_errors": True}, exitpriority=-200)
    return Path(folder)


def _warm_parent() -> ForkServerContext:
    """The parent of all trainers, warm before the first job comes; should it die, the next trainer starts another."""
    trainers = multiprocessing.get_context("forkserver")
    trainers.set_forkserver_preload(["worker.warm"])
    forkserver.ensure_running()
    return trainers


def _work(settings: WorkerSettings, places: StoreSettings, database: Database, folder: Path) -> None:
    trainers = _warm_parent()
    kernels = find_kernels()
    draining, blobs = threading.Event(), Blobs(database, places.blobs, places.cache)
    bell = Doorbell(places.broker_url)
    workshop = Workshop(
        Claims(database), Predictions(database), Datasets(database, blobs), blobs, settings, trainers, draining, bell
    )
    crew = Crew(workshop, owner=f"{socket.gethostname()}-{os.getpid()}")
    drain, hearing = Drain(crew, folder), threading.Event()
    rounds = Rounds(crew, Watch(workshop.claims, settings.lease_s, every_s=settings.rescue_s), hearing.is_set)
    thread = threading.Thread(target=rounds.run, args=(draining,), name="rounds", daemon=True)
    thread.start()
    log.info(
        "worker.ready",
        owner=crew.owner,
        concurrency=settings.concurrency,
        broker=bool(places.broker_url),
        kernels=kernels,
    )
    try:
        if places.broker_url:
            app.run(app.make_app(places.broker_url, crew, hearing), settings.concurrency, settings.log_level)
        else:
            draining.wait()
    finally:
        drain.ask()  # Celery may have ended by itself
        drain.wait()
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
