"""Replay: train a job again from its receipt, and compare every checkpoint and metric with what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.checkpoint import Checkpoint
from core.data import Dataset
from core.fingerprint import Fingerprint, differences, fingerprint
from core.receipt import Receipt, metrics_digest
from core.training import Chunk, Diverged, Epoch, fit
from core.training_spec import TrainingSpec
from core.weights import Weights

DIVERGED = "diverged: "  # how the reason of a job that diverged begins
END, METRICS = "the end of the training", "the metrics"
Progress = Callable[[float], None]  # told the fraction that is done, 0 to 1


@dataclass(frozen=True)
class Difference:
    """The first place where the replay came to something else."""

    what: str
    expected: str
    found: str


@dataclass(frozen=True)
class Verdict:
    """What a replay came to. `elsewhere` tells what computes otherwise here than there; empty where nothing does."""

    checkpoints: int
    epochs: int
    difference: Difference | None
    elsewhere: str
    fingerprint: Fingerprint

    @property
    def same(self) -> bool:
        """Whether every digest was met."""
        return self.difference is None


def replay(
    receipt: Receipt,
    data: Dataset,
    validation: Dataset | None = None,
    start: Checkpoint | Weights | None = None,
    progress: Progress = lambda _: None,
) -> Verdict:
    """Train as far as the receipt tells, or to the first difference; where the job diverged, until it diverges.

    The caller has seen to it that the datasets and the checkpoint to start from are those of the receipt.
    Raises what `fit` raises, and ValidationError for a spec that this version does not read.
    """
    spec = TrainingSpec.model_validate(receipt.spec)
    here = fingerprint(spec)
    elsewhere = differences(receipt.fingerprint, here, "there") if receipt.fingerprint else ""
    left = {(mark.epoch, mark.step): mark.digest for mark in receipt.checkpoints}
    rows: list[dict[str, object]] = []
    moments = fit(spec, data, validation, start=start, stops={place for place in left if place[1]})
    difference = _train(receipt, moments, left, rows, progress) or _compare_end(receipt, left, rows)
    return Verdict(len(receipt.checkpoints) - len(left), len(rows), difference, elsewhere, here)


def _train(
    receipt: Receipt,
    moments: Iterator[Chunk | Epoch],
    left: dict[tuple[int, int], str],
    rows: list[dict[str, object]],
    progress: Progress,
) -> Difference | None:
    """Train, taking the checkpoints that are met out of `left`; `rows` receives the metrics of each epoch."""
    diverged = (receipt.status_reason or "").startswith(DIVERGED)
    last = max([*left, (receipt.epochs, 0)])
    if last == (0, 0) and not diverged:
        return None
    try:
        for moment in moments:
            place = _place(moment)
            if isinstance(moment, Epoch):
                rows.append({"epoch": moment.epoch, **moment.metrics})
            done = place[0] + (moment.step / moment.steps if isinstance(moment, Chunk) else 0)
            progress(min(1.0, done / max(1, last[0] + bool(last[1]))))
            if place in left:
                found = moment.checkpoint().digest
                if found != left[place]:
                    return Difference(_named(place), left[place], found)
                del left[place]
            if place >= last and not diverged:
                return None
    except Diverged as error:
        said = f"{DIVERGED}{error}"
        return None if said == receipt.status_reason else Difference(END, receipt.status_reason or "another", said)
    return Difference(END, str(receipt.status_reason), "no divergence") if diverged else None


def _compare_end(
    receipt: Receipt, left: dict[tuple[int, int], str], rows: list[dict[str, object]]
) -> Difference | None:
    """What can be compared when the training is over: whether all was met, the metrics, the model."""
    if left:
        return Difference(END, _named(min(left)), _named((len(rows), 0)))
    found = metrics_digest(rows[: receipt.epochs])
    if found != receipt.metrics_digest:
        return Difference(METRICS, receipt.metrics_digest, found)
    if receipt.model_digest not in {None, *(mark.digest for mark in receipt.checkpoints)}:
        return Difference("the model", str(receipt.model_digest), "none of the checkpoints")
    return None


def _place(moment: Chunk | Epoch) -> tuple[int, int]:
    return (moment.epoch, 0) if isinstance(moment, Epoch) else (moment.epoch - 1, moment.step)


def _named(place: tuple[int, int]) -> str:
    epoch, step = place
    batches = "1 batch" if step == 1 else f"{step:,} batches"
    return f"the checkpoint after epoch {epoch}" + (f" and {batches}" if step else "")
