"""Replay: train a job again from its receipt, and compare every checkpoint and metric with what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.checkpoint import Checkpoint
from core.data import Dataset
from core.fingerprint import Fingerprint, differences, fingerprint
from core.receipt import Receipt, metrics_digest
from core.training import Chunk, Diverged, Epoch, fit
from core.training_spec import TrainingSpec

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
    start: Checkpoint | None = None,
    progress: Progress = lambda _: None,
) -> Verdict:
    """Train as far as the receipt tells, or to the first difference.

    The caller has seen to it that the datasets and the checkpoint to start from are those of the receipt.
    Raises what `fit` raises, and ValidationError for a spec that this version does not read.
    """
    spec = TrainingSpec.model_validate(receipt.spec)
    here = fingerprint(spec)
    elsewhere = differences(receipt.fingerprint, here, "there") if receipt.fingerprint else ""
    expected = {(mark.epoch, mark.step): mark.digest for mark in receipt.checkpoints}
    left = dict(expected)
    last = max([*expected, (receipt.epochs, 0)])
    rows: list[dict[str, object]] = []

    def verdict(difference: Difference | None) -> Verdict:
        return Verdict(len(expected) - len(left), len(rows), difference, elsewhere, here)

    if last > (0, 0):
        try:
            for moment in fit(spec, data, validation, start=start, stops={place for place in expected if place[1]}):
                place = _place(moment)
                if isinstance(moment, Epoch):
                    rows.append({"epoch": moment.epoch, **moment.metrics})
                done = place[0] + (moment.step / moment.steps if isinstance(moment, Chunk) else 0)
                progress(min(1.0, done / max(1, last[0] + bool(last[1]))))
                if place in left:
                    found = moment.checkpoint().digest
                    if found != left[place]:
                        return verdict(Difference(_named(place), left[place], found))
                    del left[place]
                if place >= last:
                    break
        except Diverged as error:
            return verdict(Difference("the end of the training", "no divergence", str(error)))
    if left:
        return verdict(Difference("the end of the training", _named(min(left)), _named((len(rows), 0))))
    found = metrics_digest(rows[: receipt.epochs])
    if found != receipt.metrics_digest:
        return verdict(Difference("the metrics", receipt.metrics_digest, found))
    return verdict(None)


def _place(moment: Chunk | Epoch) -> tuple[int, int]:
    return (moment.epoch, 0) if isinstance(moment, Epoch) else (moment.epoch - 1, moment.step)


def _named(place: tuple[int, int]) -> str:
    epoch, step = place
    return f"the checkpoint after epoch {epoch}" + (f" and {step} batches" if step else "")
