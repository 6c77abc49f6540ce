"""The rounds of a worker: take back the jobs of lost owners, find jobs whose bell never rang, sweep up blobs."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from store.errors import Unavailable
from store.lifecycle import Status
from store.rescue import Watch
from worker.crew import Crew

log = structlog.get_logger(__name__)
COLLECT_S = 600.0


@dataclass
class Rounds:
    """Runs every few seconds in any number of workers at once; doing it twice does no harm.

    While no bell can be heard (`hears`), the queue is looked at more often, and for every job.
    """

    crew: Crew
    watch: Watch
    hears: Callable[[], bool]
    collected: float = field(default_factory=time.monotonic)

    def run(self, stop: threading.Event) -> None:
        """Make rounds until `stop` is set."""
        settings = self.crew.workshop.settings
        rescued = 0.0
        while not stop.wait(settings.rescue_s if self.hears() else min(settings.poll_s, settings.rescue_s)):
            try:
                if time.monotonic() - rescued >= settings.rescue_s:
                    rescued = time.monotonic()
                    self._rescue()
                self._look_for_waiting_jobs()
                if settings.alive_file is not None:
                    settings.alive_file.touch()
            except Unavailable as error:
                log.warning("rounds.store_unavailable", detail=error.reason)
            except Exception:
                log.exception("rounds.error")

    def _rescue(self) -> None:
        for job in self.watch.rescue():
            log.warning("job.rescued", job=job.id, status=job.status)
            if job.status == Status.QUEUED and not self.crew.work_aside():
                self.crew.workshop.bell.ring(job.id)
        grace_s = self.crew.workshop.settings.blob_grace_s
        if time.monotonic() - self.collected >= min(COLLECT_S, grace_s):
            self.collected = time.monotonic()
            if count := self.crew.workshop.blobs.collect(grace_s=grace_s):
                log.info("blobs.collected", count=count)

    def _look_for_waiting_jobs(self) -> None:
        settings = self.crew.workshop.settings
        overdue_s = settings.overdue_s if self.hears() else 0.0
        waiting = self.crew.workshop.claims.queued(settings.concurrency, older_than_s=overdue_s)
        for _ in waiting:
            if self.crew.workshop.draining.is_set() or not self.crew.work_aside():
                return
