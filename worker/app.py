"""Celery's part of a worker: the bell is a task in a thread pool, whose threads supervise trainers."""

import threading
from typing import Any

from celery import Celery, signals

from store.queue import TASK, celery_app
from worker.crew import Crew


def make_app(broker_url: str, crew: Crew) -> Celery:
    """The Celery application with its one task."""
    app = celery_app(broker_url)

    @app.task(name=TASK, ignore_result=True)  # type: ignore[untyped-decorator]
    def train(_job_id: str) -> None:
        # The bell says that something waits. What is best to train next, the queue in the database knows.
        crew.work()

    return app


def run(app: Celery, concurrency: int, draining: threading.Event, log_level: str) -> None:
    """Run Celery until SIGTERM; the trainings are asked to checkpoint and release as soon as it comes."""

    asked = False

    def drain(**_: Any) -> None:
        # This runs inside a signal handler, which a second signal may interrupt: an Event is set once, or it would
        # wait for itself.
        nonlocal asked
        if not asked:
            asked = True
            draining.set()

    signals.worker_shutting_down.connect(drain, weak=False)
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
