"""Rescue: find running jobs whose owner gave no sign of life for a whole lease, and take them back.

No wall clock is trusted. A watcher takes a job only after it has itself seen the same heartbeat count unchanged for the
lease, on its own monotonic clock, and only over time in which it did look: while a watcher sleeps or cannot reach the
database, an owner may be asleep or cut off with it. And the fence decides who may write in any case.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from store.claims import Claims
from store.errors import Unavailable
from store.records import JobRecord

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Sighting:
    attempt: int
    heartbeat: int
    since: float


class Watch:
    """One process's memory of every running job's heartbeat.

    `lease_s` is how long silence is forgiven, `every_s` how often the caller means to look.
    """

    def __init__(
        self, claims: Claims, lease_s: float, clock: Callable[[], float] = time.monotonic, every_s: float = 5.0
    ) -> None:
        self.claims = claims
        self.lease_s = lease_s
        self.clock = clock
        self.longest_pause_s = max(lease_s / 3, 2 * every_s)
        self._looked = clock()
        self._seen: dict[str, _Sighting] = {}

    def rescue(self) -> list[JobRecord]:
        """Look once; gives the jobs that were taken back. Safe in any number of processes at the same time.

        Raises:
            Unavailable: the database cannot be reached.
        """
        now = self.clock()
        running = self.claims.running()
        if now - self._looked > self.longest_pause_s:
            self._seen = {}
        self._looked, noticed = now, self.clock()  # a question that hangs adds nothing to anybody's silence
        seen: dict[str, _Sighting] = {}
        rescued = []
        for job_id, attempt, heartbeat in running:
            last = self._seen.get(job_id)
            if last is None or (last.attempt, last.heartbeat) != (attempt, heartbeat):
                seen[job_id] = _Sighting(attempt, heartbeat, noticed)
            elif now - last.since < self.lease_s:
                seen[job_id] = last
            else:
                silence_s = now - last.since
                detail = f"the worker gave no sign of life for {silence_s:.0f} s"
                seen[job_id] = last
                try:
                    if record := self.claims.hand_back(job_id, attempt, heartbeat, detail, silence_s):
                        rescued.append(record)
                except Unavailable:
                    raise
                except Exception:  # one job that cannot be moved must not keep the others from their rescue
                    log.exception("job.rescue_failed", job=job_id)
        self._seen = seen
        return rescued
