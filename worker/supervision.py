"""One claimed job, from start to end: start its trainer, hand on what it reports, obey orders.

This runs in a thread of the worker at normal priority, while another one keeps the lease. What a trainer does, and what
becomes of its reports, depends on the kind of job.
"""

import multiprocessing
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from threading import Event
from typing import Any, Generic, TypeVar

import structlog

from store.blobs import Blobs
from store.claims import Claims
from store.crash_points import reach
from store.datasets import Datasets
from store.errors import StaleAttempt, Unavailable
from store.holds import Hold, Orders
from store.predictions import Predictions
from store.progress import Progress
from store.queue import Doorbell
from worker import trainer
from worker.lease import Lease, TrainerLost
from worker.messages import STOP, Broken, Message, Starved, Stepped, Stopped
from worker.settings import WorkerSettings

T = TypeVar("T")
C = TypeVar("C", bound=Hold)
log = structlog.get_logger(__name__)
TICK_S = 0.25
RELEASE_S = 8.0  # how long a drain waits for a store that is away


@dataclass(frozen=True)
class Workshop:
    """What all supervisors of a worker share."""

    claims: Claims
    predictions: Predictions
    datasets: Datasets
    blobs: Blobs
    settings: WorkerSettings
    trainers: ForkServerContext
    draining: Event
    bell: Doorbell


class Supervision(ABC, Generic[C]):
    """One run of one claim."""

    def __init__(self, workshop: Workshop, claim: C) -> None:
        self.workshop = workshop
        self.claim = claim
        self.claims = workshop.claims
        self.lease = Lease(workshop.claims, claim, workshop.settings)
        self.stop_move: str | None = None

    @abstractmethod
    def assignment(self) -> trainer.AnyAssignment:
        """What the trainer is to do; raises what fetching it raises."""

    @abstractmethod
    def take(self, message: Message) -> bool:
        """Write what the trainer says of its own kind of work; True when there is nothing left to do."""

    def run(self) -> None:
        """Go on until the job is over, stopped or handed back.

        Raises:
            StaleAttempt: the job is somebody else's, or over.
            Unavailable: what the job needs cannot be reached, or what it brought cannot be stored.
            LeaseLapsed, TrainerLost, BlobDamaged, NotFound: as they say; the job is still ours to hand back or end.
        """
        with self.lease:
            assignment = self.assignment()
            self.lease.check()
            if self.workshop.draining.is_set():
                self.release()
                return
            reach("supervision.assigned")
            ours, theirs = multiprocessing.Pipe()
            process = self.workshop.trainers.Process(target=trainer.main, args=(assignment, theirs), daemon=True)
            process.start()
            theirs.close()
            self.lease.watch(process.kill)
            try:
                while not self._listen(ours, process) and not self._tend(ours):
                    self.lease.check()
            except TrainerLost:
                if self.stop_move != "fail":
                    raise
                self._fail(self._over_time())  # it was too slow to bring a checkpoint, and would be again
            finally:
                process.kill()
                process.join()
                process.close()
                ours.close()

    def release(self) -> None:
        """Hand the job back as it was last stored, from any thread; whoever tends it here is fenced off by that."""
        with suppress(StaleAttempt):
            self.persist(lambda: self.claims.end(self.claim, "release"))
            self.workshop.bell.ring(self.claim.job_id)

    def _listen(self, pipe: Connection, process: Any) -> bool:
        """Wait a moment for the trainer's next message and write it; True when there is nothing left to do."""
        ready = wait([pipe, process.sentinel], timeout=TICK_S)
        if pipe in ready:
            try:
                message: Message = pipe.recv()
            except (EOFError, ConnectionResetError, OSError) as error:
                raise self._lost(process) from error
            self.lease.storing(True)
            try:
                return self._take(message)
            finally:
                self.lease.storing(False)
        if ready:
            raise self._lost(process)
        return False

    def _lost(self, process: Any) -> Exception:
        self.lease.check()  # a trainer that the lease killed did not just die
        process.join(2.0)
        code = process.exitcode
        cause = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        hint = "; it may have run out of memory" if code == -9 else ""
        return TrainerLost(f"the training process died ({cause}{hint})")

    def _take(self, message: Message) -> bool:
        if isinstance(message, Stepped):
            self.lease.moved(message.progress)
            return False
        if isinstance(message, Starved):
            raise Unavailable(message.detail)
        if isinstance(message, Broken):
            self._fail(message)
            return True
        if not isinstance(message, Stopped):
            return self.take(message)
        move = self.stop_move or "release"
        if move == "fail":
            self._fail(self._over_time())
        else:
            self.persist(lambda: self.claims.end(self.claim, move))
            self.workshop.bell.ring(self.claim.job_id)  # a released job is for another worker, now
        return True

    def written(self, progress: Progress, write: Callable[[], Orders]) -> None:
        """Write a report that says how far the job came."""
        self.lease.progress = progress
        self.lease.written(self.persist(write))

    def _over_time(self) -> Broken:
        return Broken("runtime_limit", f"The job ran longer than its limit of {self.claim.spec.limits.runtime_s:g} s.")

    def _fail(self, broken: Broken) -> None:
        data: dict[str, Any] = {"reason": broken.reason, "detail": broken.detail}
        if broken.epoch is not None:
            data["epoch"] = broken.epoch
        reason = f"{broken.reason}: {broken.detail}"
        self.persist(lambda: self.claims.end(self.claim, "fail", reason=reason, data=data))

    def persist(self, write: Callable[[], T]) -> T:
        """Write, again and again while the store is away, as long as the job surely is ours and time is left."""
        began = time.monotonic()
        while True:
            try:
                return write()
            except Unavailable as error:
                self.lease.check()
                waited = time.monotonic() - began
                if waited > (RELEASE_S if self.workshop.draining.is_set() else self.workshop.settings.lease_s):
                    raise
                log.warning("store.unavailable", job=self.claim.job_id, detail=error.reason)
                time.sleep(TICK_S)

    def _tend(self, pipe: Connection) -> bool:
        """What is due besides listening: orders, limits, a drain; True when the job is ended."""
        if self.lease.orders.cancel:
            self.persist(lambda: self.claims.end(self.claim, "cancel"))
            return True
        limit = self.claim.spec.limits.runtime_s
        if limit is not None and self.claim.runtime_s > limit:
            self._stop(pipe, "fail")  # with its checkpoint: a retry goes on where it stood
        elif self.workshop.draining.is_set():
            self._stop(pipe, "release")
        elif self.lease.orders.pause:
            self._stop(pipe, "pause")
        return False

    def _stop(self, pipe: Connection, move: str) -> None:
        """Ask the trainer, once, to bring a checkpoint and end."""
        if self.stop_move is None:
            self.stop_move = move
            self.lease.stopping()
            try:
                pipe.send(STOP)
            except OSError:
                return  # it just ended; its last message, or its death, is read next
