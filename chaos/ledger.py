"""What the clients know: what was accepted, what was asked of it since, and what they saw."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

RETRIED = "worker_lost"  # the only reason for which a job of ours may fail: too many faults in a row


@dataclass(frozen=True)
class Sight:
    """A job as it was answered once."""

    status: str
    attempt: int
    epoch: int
    last_event: int
    fraction: float
    rows_done: int = 0


@dataclass
class Known:
    """An accepted job."""

    id: str
    kind: str
    keys: set[str] = field(default_factory=set)
    status: str = "queued"
    reason: str | None = None
    cancelled: bool = False  # a cancel was accepted with 202
    cancel_tried: bool = False
    sights: list[Sight] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen, and nobody will retry it."""
        return self.status in ("succeeded", "cancelled") or (self.status == "failed" and not self.may_be_retried)

    @property
    def may_be_retried(self) -> bool:
        """Whether it failed since it met too many faults."""
        return self.status == "failed" and (self.reason or "").startswith(RETRIED)


@dataclass(frozen=True)
class Loss:
    """A job whose owner was killed or frozen at this time (Unix)."""

    job: str
    attempt: int
    at: float


class Ledger:
    """Shared by all threads of the load."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.jobs: dict[str, Known] = {}
        self.doubled: list[str] = []  # two answers to one key that name two jobs
        self.errors: list[str] = []
        self.unanswered = 0  # submissions without a key that broke off: each may have made a job
        self.losses: list[Loss] = []
        self.answers: Counter[str] = Counter()
        self.deleted: set[str] = set()  # verified by the soak
        self.asked: set[str] = set()  # models that jobs of predictions are sent to

    def accept(self, job_id: str, kind: str, key: str | None) -> None:
        """A submission was answered with 202."""
        with self.lock:
            if key is not None:
                for other in self.jobs.values():
                    if key in other.keys and other.id != job_id:
                        self.doubled.append(f"key {key}: {other.id} and {job_id}")
            known = self.jobs.setdefault(job_id, Known(job_id, kind))
            if key is not None:
                known.keys.add(key)

    def see(self, view: dict[str, Any], *, in_order: bool = False) -> None:
        """A job was answered; `in_order` by the one thread whose looks follow each other."""
        with self.lock:
            known = self.jobs.get(view["id"])
            if known is None:
                return
            known.status, known.reason = view["status"], view["status_reason"]
            if in_order:
                progress = view["progress"]
                sight = Sight(
                    view["status"],
                    view["attempt"],
                    progress["epoch"],
                    view["last_event"],
                    progress["fraction"],
                    progress["rows_done"] or 0,
                )
                if not known.sights or known.sights[-1] != sight:
                    known.sights.append(sight)

    def alive(self) -> list[Known]:
        """Jobs that are not settled."""
        with self.lock:
            return [known for known in self.jobs.values() if not known.settled]

    def lose(self, held: list[tuple[str, int]]) -> None:
        """The owner of these (job, attempt) is killed or frozen now."""
        with self.lock:
            self.losses += [Loss(job, attempt, time.time()) for job, attempt in held]

    def error(self, text: str) -> None:
        """The server answered as it never should."""
        with self.lock:
            self.errors.append(text)

    def forget(self, job_id: str) -> None:
        """It was verified, and is deleted now."""
        with self.lock:
            self.deleted.add(job_id)
            del self.jobs[job_id]
            self.losses = [loss for loss in self.losses if loss.job != job_id]
