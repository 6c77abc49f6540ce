"""One claimed job of predictions: what its trainer begins with, and what becomes of its parts and its file."""

from functools import partial
from pathlib import Path

import structlog

from store.crash_points import reach
from store.errors import BlobDamaged
from store.holds import PredictionClaim
from store.parts import Part
from worker.messages import Message, PartMade, Written
from worker.predictor import PredictionAssignment
from worker.supervision import Supervision

log = structlog.get_logger(__name__)


class Predicting(Supervision[PredictionClaim]):
    """A run of a job of predictions."""

    _pieces: Path
    _file: Path

    def run(self) -> None:
        """As every run; the trainer's files are there meanwhile."""
        with self.workshop.blobs.aside() as self._pieces, self.workshop.blobs.aside() as self._file:
            super().run()

    def assignment(self) -> PredictionAssignment:
        """The data, the model, and what is predicted already."""
        claim, blobs, settings = self.claim, self.workshop.blobs, self.workshop.settings
        assert claim.start_blob is not None
        done, parts = self._parts()
        return PredictionAssignment(
            claim.spec.model_dump_json(),
            self.workshop.datasets.folder(self.workshop.datasets.get(claim.tenant, claim.spec.dataset)),
            blobs.verified(claim.start_blob),
            done,
            parts,
            self._pieces,
            self._file,
            part_s=settings.part_s,
            give_way=settings.give_way,
            memory_bytes=settings.trainer_memory_bytes,
        )

    def _parts(self) -> tuple[int, tuple[Path, ...]]:
        """How many rows are done, and their parts: those before the first one that is damaged."""
        paths: list[Path] = []
        for part in self.claim.parts:
            try:
                paths.append(self.workshop.blobs.verified(part.blob))
            except BlobDamaged as error:
                log.warning("part.damaged", job=self.claim.job_id, first_row=part.first_row, detail=str(error))
                self.persist(partial(self.workshop.predictions.pass_over, self.claim, part, str(error)))
                return part.first_row, tuple(paths)
        return (self.claim.parts[-1].done if self.claim.parts else 0), tuple(paths)

    def take(self, message: Message) -> bool:
        """Store a part; in the end the file."""
        if isinstance(message, PartMade):
            self._keep(message)
            return False
        assert isinstance(message, Written)
        blob = self.persist(lambda: self.workshop.blobs.put_file(self._file))
        reach("predicting.put")
        size = self._file.stat().st_size
        self.persist(lambda: self.workshop.predictions.deliver(self.claim, blob, size))
        return True

    def _keep(self, made: PartMade) -> None:
        reach("predicting.reported")
        part = Part(made.first_row, made.rows, self.persist(lambda: self.workshop.blobs.put(made.content)))
        reach("predicting.kept")
        self.written(
            made.progress,
            lambda: self.workshop.predictions.keep(self.claim, part, made.progress, made.fingerprint),
        )
