"""One claimed job, from start to end: start its trainer, renew the lease, write what it reports, obey orders.

This runs in a thread of the worker at normal priority. It renews only while the trainer makes progress, so that a hung
loop loses its lease; and it gives up by itself well before anyone else may take the job.
"""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from threading import Event
from typing import Any, TypeVar

import structlog

from store.blobs import Blobs
from store.checkpoints import NewCheckpoint
from store.claims import Claim, Claims, Orders, Progress
from store.datasets import Datasets
from store.errors import BlobDamaged, Unavailable
from store.queue import Doorbell
from worker import trainer
from worker.messages import STOP, Broken, Finished, Kept, Message, Reported, Stepped, Stopped
from worker.settings import WorkerSettings

T = TypeVar("T")
log = structlog.get_logger(__name__)
TICK_S = 0.25
STOP_PATIENCE_S = 8.0  # a trainer that is asked to stop gets so long to bring its checkpoint


class LeaseLapsed(Exception):
    """The lease was not renewed for so long that another worker may have the job by now."""


class TrainerLost(Exception):
    """The trainer died or hung; its message says how."""


@dataclass(frozen=True)
class Workshop:
    """What every training of a worker shares."""

    claims: Claims
    datasets: Datasets
    blobs: Blobs
    settings: WorkerSettings
    trainers: ForkServerContext
    draining: Event
    bell: Doorbell


class Training:
    """One run of one claim."""

    def __init__(self, workshop: Workshop, claim: Claim) -> None:
        self.workshop = workshop
        self.claim = claim
        self.claims = workshop.claims
        self.settings = workshop.settings
        self.progress: Progress | None = None
        self.began = self.renewed = self.moved = time.monotonic()
        self.stopping_since: float | None = None
        self.stop_move = "release"

    def run(self) -> None:
        """Train until the job is over, stopped or handed back.

        Raises:
            StaleAttempt: the job is somebody else's, or over.
            LeaseLapsed, TrainerLost, BlobDamaged, NotFound: as they say; the job is still ours to hand back or end.
        """
        assignment = self._assignment()
        ours, theirs = multiprocessing.Pipe()
        process = self.workshop.trainers.Process(target=trainer.main, args=(assignment, theirs), daemon=True)
        process.start()
        theirs.close()
        try:
            while not self._listen(ours, process) and not self._tend(ours):
                pass
        finally:
            process.kill()
            process.join()
            process.close()
            ours.close()

    def _assignment(self) -> trainer.Assignment:
        claim, datasets = self.claim, self.workshop.datasets
        names = [claim.spec.dataset, *([claim.validation_dataset] if claim.validation_dataset else [])]
        folders = [datasets.folder(record) for record in datasets.get_all(claim.tenant, names)]
        validation = folders[1] if claim.validation_dataset else None
        resume = self._checkpoint()
        return trainer.Assignment(
            claim.spec.model_dump_json(),
            folders[0],
            validation,
            resume=resume,
            start=self.workshop.blobs.get(claim.start_blob) if claim.start_blob and resume is None else None,
            give_way=self.settings.give_way,
        )

    def _checkpoint(self) -> bytes | None:
        """The newest checkpoint whose bytes are whole; a damaged one falls back to the one before."""
        for record in self.claim.checkpoints:
            try:
                return self.workshop.blobs.get(record.blob)
            except BlobDamaged as error:
                log.warning("checkpoint.damaged", checkpoint=record.id, detail=str(error))
        return None

    def _listen(self, pipe: Connection, process: Any) -> bool:
        """Wait a moment for the trainer's next message and write it; True when there is nothing left to train."""
        ready = wait([pipe, process.sentinel], timeout=TICK_S)
        if pipe in ready:
            try:
                message: Message = pipe.recv()
            except (EOFError, ConnectionResetError) as error:
                raise self._lost(process) from error
            return self._take(message, pipe)
        if ready:
            raise self._lost(process)
        return False

    def _lost(self, process: Any) -> TrainerLost:
        process.join(2.0)
        code = process.exitcode
        cause = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        hint = "; it may have run out of memory" if code == -9 else ""
        return TrainerLost(f"the training process died ({cause}{hint})")

    def _take(self, message: Message, pipe: Connection) -> bool:
        self.moved = time.monotonic()
        if isinstance(message, Stepped):
            self.progress = message.progress
            return False
        if isinstance(message, Reported):
            return self._obey(self._report(message), pipe)
        if isinstance(message, Stopped):
            self._persist(lambda: self.claims.end(self.claim, self.stop_move))
            self.workshop.bell.ring(self.claim.job_id)  # a released job is for another worker, now
        elif isinstance(message, Finished):
            reason = "early_stopping: the metric did not improve any more" if message.stopped_early else None
            best = self.claim.spec.early_stopping is not None
            self._persist(lambda: self.claims.succeed(self.claim, model_from_best=best, reason=reason))
        else:
            self._fail(message)
        return True

    def _report(self, message: Reported) -> Orders:
        checkpoints = [self._store(kept) for kept in message.checkpoints]
        return self._persist(lambda: self.claims.report(self.claim, message.epochs, checkpoints, message.progress))

    def _store(self, kept: Kept) -> NewCheckpoint:
        blob = self._persist(lambda: self.workshop.blobs.put(kept.content))
        return NewCheckpoint(kept.epoch, kept.step, kept.digest, kept.metrics, blob, len(kept.content), kept.best)

    def _fail(self, broken: Broken) -> None:
        data: dict[str, Any] = {"reason": broken.reason, "detail": broken.detail}
        if broken.epoch is not None:
            data["epoch"] = broken.epoch
        reason = f"{broken.reason}: {broken.detail}"
        self._persist(lambda: self.claims.end(self.claim, "fail", reason=reason, data=data))

    def _persist(self, write: Callable[[], T]) -> T:
        """Write, again and again while the store is away, as long as the lease surely is ours."""
        while True:
            try:
                result = write()
            except Unavailable as error:
                self._check_lease()
                log.warning("store.unavailable", job=self.claim.job_id, detail=error.reason)
                time.sleep(TICK_S)
            else:
                self.renewed = time.monotonic()
                return result

    def _check_lease(self) -> None:
        if time.monotonic() - self.renewed > self.settings.lease_s * 2 / 3:
            raise LeaseLapsed

    def _tend(self, pipe: Connection) -> bool:
        """What is due besides listening: the lease, orders, limits, a drain; True when the job is ended."""
        now = time.monotonic()
        if self.stopping_since is not None and now - self.stopping_since > STOP_PATIENCE_S:
            raise TrainerLost(f"the trainer did not stop within {STOP_PATIENCE_S:.0f} s")
        if now - self.moved > self.settings.hang_s:
            raise TrainerLost(f"the trainer made no progress for {self.settings.hang_s:.0f} s")
        limit = self.claim.spec.limits.runtime_s
        if limit is not None and now - self.began > limit:
            self._fail(Broken("runtime_limit", f"The job ran longer than its limit of {limit:g} s."))
            return True
        if self.workshop.draining.is_set():
            self._stop(pipe, "release")
        if now - self.renewed >= self.settings.renew_s:
            try:
                orders = self.claims.renew(self.claim, self.progress)
            except Unavailable:
                self._check_lease()
                return False
            self.renewed = time.monotonic()
            return self._obey(orders, pipe)
        return False

    def _obey(self, orders: Orders, pipe: Connection) -> bool:
        """Cancel at once; pause once the trainer has brought its checkpoint."""
        if orders.cancel:
            self._persist(lambda: self.claims.end(self.claim, "cancel"))
            return True
        if orders.pause:
            self._stop(pipe, "pause")
        return False

    def _stop(self, pipe: Connection, move: str) -> None:
        if self.stopping_since is None:
            self.stopping_since, self.stop_move = time.monotonic(), move
            try:
                pipe.send(STOP)
            except OSError:
                return  # it just ended; its last message, or its death, is read next
