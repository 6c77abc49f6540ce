"""Rescue: find running jobs whose owner gave no sign of life for a whole lease, and take them back.

No wall clock is trusted. A watcher takes a job only after it has itself seen the same heartbeat count unchanged for the
lease, on its own monotonic clock; and the fence decides who may write in any case.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from store.claims import Claims
from store.records import JobRecord


@dataclass(frozen=True)
class _Sighting:
    attempt: int
    heartbeat: int
    since: float


class Watch:
    """One process's memory of every running job's heartbeat. `lease_s` is how long silence is forgiven."""

    def __init__(self, claims: Claims, lease_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.claims = claims
        self.lease_s = lease_s
        self.clock = clock
        self._seen: dict[str, _Sighting] = {}

    def rescue(self) -> list[JobRecord]:
        """Look once; gives the jobs that were taken back. Safe in any number of processes at the same time."""
        now = self.clock()
        seen: dict[str, _Sighting] = {}
        rescued = []
        for job_id, attempt, heartbeat in self.claims.running():
            last = self._seen.get(job_id)
            if last is None or (last.attempt, last.heartbeat) != (attempt, heartbeat):
                seen[job_id] = _Sighting(attempt, heartbeat, now)
            elif now - last.since < self.lease_s:
                seen[job_id] = last
            else:
                silence = f"the worker gave no sign of life for {now - last.since:.0f} s"
                if record := self.claims.hand_back(job_id, attempt, heartbeat, silence):
                    rescued.append(record)
        self._seen = seen
        return rescued
