"""What a trainer tells its supervisor, over the pipe between them."""

from dataclasses import dataclass

from core.fingerprint import Fingerprint
from core.metrics import Measured
from store.progress import EpochReport, Progress


@dataclass(frozen=True)
class Stepped:
    """A sign of life between two reports."""

    progress: Progress


@dataclass(frozen=True)
class Kept:
    """A checkpoint with its bytes."""

    epoch: int
    step: int
    digest: str
    metrics: Measured
    content: bytes
    best: bool
    steps: int


@dataclass(frozen=True)
class Marked:
    """The weights of a traced job after `step` updates."""

    step: int
    content: bytes


@dataclass(frozen=True)
class Reported:
    """Finished epochs, with the checkpoints and marks that belong to them, and what computed them."""

    epochs: tuple[EpochReport, ...]
    checkpoints: tuple[Kept, ...]
    progress: Progress
    fingerprint: Fingerprint
    marks: tuple[Marked, ...] = ()


@dataclass(frozen=True)
class Finished:
    """Training came to its end, or `stopped_early` says that it was not worth going on; a traced job's descent."""

    stopped_early: bool
    descent: bytes | None = None


@dataclass(frozen=True)
class PartMade:
    """The predictions of some rows, behind the first `first_row`, and what computed them."""

    first_row: int
    rows: int
    content: bytes
    progress: Progress
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Written:
    """All rows are predicted, and the file is written."""


@dataclass(frozen=True)
class Stopped:
    """The trainer stopped because it was asked to; its last report holds the checkpoint, or the last part."""


@dataclass(frozen=True)
class Starved:
    """The trainer cannot go on now, but the same may succeed later; `detail` is a clause for people."""

    detail: str


@dataclass(frozen=True)
class Broken:
    """The job cannot go on: `reason` is a word for programs, `detail` a sentence for people."""

    reason: str
    detail: str
    epoch: int | None = None


Message = Stepped | Reported | Finished | PartMade | Written | Stopped | Starved | Broken
STOP = "stop"  # what the supervisor says to ask for a checkpoint and an end
