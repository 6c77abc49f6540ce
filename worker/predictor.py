"""What a trainer process does for a job of predictions: all rows from where the job stands, then the file."""

import shutil
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from threadpoolctl import threadpool_limits

from core.batch_prediction import BatchPrediction, Piece, RowRefused
from core.checkpoint import Checkpoint
from core.data import Dataset
from core.fingerprint import numpy_alone
from core.prediction_spec import PredictionSpec
from store.crash_points import reach
from store.progress import Progress
from worker.messages import STOP, Broken, Message, PartMade, Starved, Stepped, Stopped, Written

SIGN_S = 0.25  # between two signs of life
PART_BYTES = 8 * 2**20  # a part that is larger is not waited for


@dataclass(frozen=True)
class PredictionAssignment:
    """All that predicting needs. The files `pieces` and `file` are there, and empty, for it to fill."""

    spec: str
    dataset: Path
    model: Path
    done: int  # rows that are predicted already
    parts: tuple[Path, ...]  # their predictions
    pieces: Path  # those of all rows
    file: Path  # what becomes of them
    part_s: float  # seconds of work after which a part is handed over
    give_way: bool
    memory_bytes: int | None


def predict(assignment: PredictionAssignment, pipe: Connection) -> Message:
    """Predict, telling everything to `pipe`; gives the last message."""
    spec = PredictionSpec.model_validate_json(assignment.spec)
    run = BatchPrediction(spec, Checkpoint.open(assignment.model), Dataset.open(assignment.dataset))
    try:
        with threadpool_limits(1):
            return _predict(assignment, run, _Parts(pipe, len(run.rows), assignment))
    except RowRefused as error:
        return Broken("bad_row", str(error))
    except (BrokenPipeError, ConnectionResetError):
        raise
    except OSError as error:  # of the two files
        return Starved(f"the predictions could not be written: {error.strerror or error}")


def _predict(assignment: PredictionAssignment, run: BatchPrediction, parts: "_Parts") -> Message:
    with assignment.pieces.open("wb") as pieces:
        for path in assignment.parts:
            with path.open("rb") as part:
                shutil.copyfileobj(part, pieces)
        for piece in run.pieces(assignment.done):
            pieces.write(piece.content)
            parts.add(piece)
            if parts.told_to_stop():
                parts.flush()
                return Stopped()
        parts.flush()
    reach("predictor.before_file")
    with assignment.file.open("wb") as file:
        for _ in run.file.write(assignment.pieces, file):
            parts.sign()
            if parts.told_to_stop():
                return Stopped()
    return Written()


class _Parts:
    """Gathers pieces into parts, so that a kill costs a few seconds and not every batch waits for the disk."""

    def __init__(self, pipe: Connection, rows: int, assignment: PredictionAssignment) -> None:
        self._pipe, self._rows, self._part_s = pipe, rows, assignment.part_s
        self._fingerprint = numpy_alone()
        self._began_at = self._done = self._stored = assignment.done
        self._content = bytearray()
        self._began = self._flushed = self._signed = time.monotonic()

    def add(self, piece: Piece) -> None:
        """Note a piece; hand over what was gathered when it is time."""
        self._done = piece.done
        self._content += piece.content
        if time.monotonic() - self._flushed >= self._part_s or len(self._content) >= PART_BYTES:
            self.flush()
        else:
            self.sign()

    def flush(self) -> None:
        """Hand over what was gathered, if anything."""
        if self._done > self._stored:
            reach("predictor.before_part")
            rows, content = self._done - self._stored, bytes(self._content)
            self._pipe.send(PartMade(self._stored, rows, content, self._progress(), self._fingerprint))
            reach("predictor.sent_part")
            self._stored, self._content = self._done, bytearray()
            self._flushed = self._signed = time.monotonic()

    def sign(self) -> None:
        """Give a sign of life, now and then."""
        if time.monotonic() - self._signed >= SIGN_S:
            self._signed = time.monotonic()
            self._pipe.send(Stepped(self._progress()))

    def told_to_stop(self) -> bool:
        return bool(self._pipe.poll() and self._pipe.recv() == STOP)

    def _progress(self) -> Progress:
        spent, gained = time.monotonic() - self._began, self._done - self._began_at
        speed = gained / spent if gained and spent else None
        return Progress(self._done / self._rows, speed, (self._rows - self._done) / speed if speed else None)
