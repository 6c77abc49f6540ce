"""Celery's part of a worker: the bell is a task in a thread pool, whose threads supervise trainers."""

import threading

import structlog
from celery import Celery, bootsteps

from store.crash_points import reach
from store.queue import TASK, celery_app
from worker.crew import Crew

log = structlog.get_logger(__name__)


def make_app(broker_url: str, crew: Crew, hearing: threading.Event) -> Celery:
    """The Celery application with its one task; `hearing` is set while bells can be heard."""
    app = celery_app(broker_url)

    @app.task(name=TASK, ignore_result=True)  # type: ignore[untyped-decorator]
    def train(_job_id: str) -> None:
        reach("bell.heard")
        # The bell says that something waits. What is best to train next, the queue in the database knows.
        crew.work()

    class Hearing(bootsteps.StartStopStep):  # type: ignore[misc]
        """Notes when the queue of bells is listened to, and when the connection to it breaks."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, _consumer: object) -> None:
            log.info("bell.heard")
            hearing.set()

        def stop(self, _consumer: object) -> None:
            if hearing.is_set() and not crew.workshop.draining.is_set():
                log.warning("bell.lost", hint="the queue is looked at in the database meanwhile")
            hearing.clear()

    app.steps["consumer"].add(Hearing)
    return app


def run(app: Celery, concurrency: int, log_level: str) -> None:
    """Run Celery until the drain stops it."""
    app.worker_main(
        [
            "worker",
            "--pool=threads",
            f"--concurrency={concurrency}",
            f"--loglevel={log_level}",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )
