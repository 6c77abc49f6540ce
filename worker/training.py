"""One claimed training: what its trainer begins with, and what becomes of its reports."""

from functools import partial
from itertools import zip_longest
from pathlib import Path

import structlog

from store.checkpoints import NewCheckpoint
from store.crash_points import reach
from store.errors import BlobDamaged
from store.holds import Claim
from store.trails import Mark
from worker import trainer
from worker.messages import Finished, Kept, Message, Reported
from worker.supervision import Supervision

log = structlog.get_logger(__name__)


class Training(Supervision[Claim]):
    """A run of a training."""

    def assignment(self) -> trainer.Assignment:
        """Its data, and the checkpoint to go on or to begin from."""
        claim, datasets = self.claim, self.workshop.datasets
        names = [claim.spec.dataset, *([claim.validation_dataset] if claim.validation_dataset else [])]
        folders = [datasets.folder(record) for record in datasets.get_all(claim.tenant, names)]
        validation = folders[1] if claim.validation_dataset else None
        resume = self._checkpoint()
        anew = resume is None or claim.spec.trace.surface  # which looks back at the beginning
        return trainer.Assignment(
            claim.spec.model_dump_json(),
            folders[0],
            validation,
            resume=resume,
            start=self.workshop.blobs.verified(claim.start_blob) if claim.start_blob and anew else None,
            marks=self._marks(),
            checkpoint_s=self.workshop.settings.checkpoint_s,
            give_way=self.workshop.settings.give_way,
            memory_bytes=self.workshop.settings.trainer_memory_bytes,
        )

    def _checkpoint(self) -> Path | None:
        """The newest checkpoint whose bytes are whole; a damaged one falls back to the one before."""
        for record, following in zip_longest(self.claim.checkpoints, self.claim.checkpoints[1:]):
            try:
                return self.workshop.blobs.verified(record.blob)
            except BlobDamaged as error:
                log.warning("checkpoint.damaged", checkpoint=record.id, detail=str(error))
                self.persist(partial(self.claims.pass_over, self.claim, record, str(error), following))
        return None

    def _marks(self) -> dict[int, Path]:
        """Where the recorded weights of a traced job lie; a damaged one is left out, so that the path has a gap."""
        found = {}
        for mark in self.claim.marks:
            try:
                found[mark.step] = self.workshop.blobs.verified(mark.blob)
            except BlobDamaged as error:
                log.warning("mark.damaged", job=self.claim.job_id, step=mark.step, detail=str(error))
        return found

    def take(self, message: Message) -> bool:
        """Store epochs and checkpoints; in the end the model."""
        if isinstance(message, Reported):
            self._report(message)
            return False
        assert isinstance(message, Finished)
        stopping = self.claim.spec.early_stopping
        reason = stopping.reason if stopping is not None and message.stopped_early else None
        best = stopping is not None
        descent = None if message.descent is None else self._put(message.descent)
        self.persist(lambda: self.claims.succeed(self.claim, model_from_best=best, reason=reason, descent=descent))
        return True

    def _report(self, message: Reported) -> None:
        reach("training.reported")
        checkpoints = [self._store(kept) for kept in message.checkpoints]
        marks = [Mark(marked.step, self._put(marked.content)) for marked in message.marks]
        told = message.epochs, checkpoints, message.progress, message.fingerprint, marks
        self.written(message.progress, lambda: self.claims.report(self.claim, *told))

    def _put(self, content: bytes) -> str:
        return self.persist(lambda: self.workshop.blobs.put(content))

    def _store(self, kept: Kept) -> NewCheckpoint:
        blob = self._put(kept.content)
        reach("training.kept")
        place, content = (kept.epoch, kept.step, kept.digest), (kept.metrics, blob, len(kept.content))
        return NewCheckpoint(*place, *content, kept.best, kept.steps)
