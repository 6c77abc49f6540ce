"""The drain of a worker: within ten seconds of the signal its jobs are released and it ends, whatever does not answer.

Trainers are asked for a checkpoint first. Whoever is slower than that (one long step, a dataset that is being fetched,
a checkpoint that is being stored) loses the work since the last checkpoint, but not the job: it is released as it was.
"""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import structlog
from celery.worker import state

from worker.crew import Crew

log = structlog.get_logger(__name__)
PATIENCE_S = 6.0  # for the trainers' checkpoints, and for storing them
END_S = 9.0  # from the signal to the end of the process
SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


class Drain:
    """Watches over the end of a worker from threads of its own: the others may be waiting for what never comes.

    The signals are waited for, not handled: a handler runs in the main thread, between any two of its instructions. It
    would come too late where that thread waits, and never where it interrupts another handler that holds a lock (as
    Celery's does while it tells of the first of two signals). So they are blocked in all threads that are started from
    here on, and handlers that Celery installs for them are never called.

    `folder` is the worker's own for temporary files.
    """

    def __init__(self, crew: Crew, folder: Path) -> None:
        self._crew, self._folder = crew, folder
        self._idle = threading.Event()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threading.Thread(target=self._run, name="drain", daemon=True).start()
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def ask(self) -> None:
        """Begin: the trainings checkpoint and release, Celery stops."""
        self._crew.workshop.draining.set()
        state.should_stop = 0  # Celery looks here, before it connects to the broker too

    def wait(self) -> None:
        """Return when nobody trains any more. While somebody does not stop, this never returns: the process ends."""
        self._idle.wait()

    def _listen(self) -> None:
        signal.sigwait(SIGNALS)
        self.ask()

    def _run(self) -> None:
        self._crew.workshop.draining.wait()
        end = time.monotonic() + END_S
        whole = False
        try:
            whole = self._crew.rest(PATIENCE_S)
            if whole:
                self._idle.set()
                time.sleep(max(0.0, end - time.monotonic()))  # the process ends meanwhile, unless something holds it up
            else:
                whole = self._crew.release(end - time.monotonic() - 0.5)
                self._crew.workshop.bell.close(0.5)
            log.warning("worker.broke_off", released=whole)
            shutil.rmtree(self._folder, ignore_errors=True)
        finally:  # nobody else would end it: not even a log that cannot be written keeps it alive
            os._exit(0 if whole else 1)
