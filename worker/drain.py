"""The drain of a worker: within ten seconds of the signal its jobs are released and it ends, whatever does not answer.

Trainers are asked for a checkpoint first. Whoever is slower than that (one long step, a dataset that is being fetched,
a checkpoint that is being stored) loses the work since the last checkpoint, but not the job: it is released as it was.
"""

import os
import shutil
import threading
import time
from pathlib import Path

import structlog

from worker.crew import Crew

log = structlog.get_logger(__name__)
PATIENCE_S = 6.0  # for the trainers' checkpoints, and for storing them
END_S = 9.0  # from the signal to the end of the process


class Drain:
    """Watches over the end of a worker from a thread of its own: the others may be waiting for what never comes.

    `folder` is the worker's own for temporary files.
    """

    def __init__(self, crew: Crew, folder: Path) -> None:
        self._crew, self._folder = crew, folder
        self.asked = False
        self._idle = threading.Event()
        threading.Thread(target=self._run, name="drain", daemon=True).start()

    def ask(self, *_: object, **__: object) -> None:
        """Begin. This is called by signal handlers, which interrupt one another: an Event that is set twice that way
        would wait for itself."""
        if not self.asked:
            self.asked = True
            self._crew.workshop.draining.set()

    def wait(self) -> None:
        """Return when nobody trains any more. While somebody does not stop, this never returns: the process ends."""
        self._idle.wait()

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
