"""fit: the whole training loop, as a generator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from core.categories import check_dataset
from core.checkpoint import Checkpoint
from core.data import Dataset, split
from core.engine import DEFAULT, Engine
from core.estimate import check
from core.evaluation import Evaluation
from core.masks import check_mask_values
from core.metrics import Measured
from core.run import Diverged, Run
from core.schema import ClassTarget
from core.training_spec import TrainingSpec, ValidationFraction
from core.weights import Weights

__all__ = ["Chunk", "Diverged", "Epoch", "fit"]


@dataclass(frozen=True)
class Chunk:
    """Some steps further: `step` of `steps` in the running `epoch` (from 1). step == steps while validating."""

    epoch: int
    step: int
    steps: int
    examples_per_s: float
    _take: Callable[[], Checkpoint] = field(repr=False)

    def checkpoint(self) -> Checkpoint:
        """The run at this point, exact in mid-epoch. To be called before the next step of the generator."""
        return self._take()


@dataclass(frozen=True)
class Epoch:
    """A finished epoch (from 1): its metrics, whether it is the best so far, whether early stopping ends the run."""

    epoch: int
    metrics: Measured
    best: bool
    stop: bool
    _take: Callable[[], Checkpoint] = field(repr=False)

    def checkpoint(self) -> Checkpoint:
        """The run at this point. To be called before the next step of the generator."""
        return self._take()


def fit(
    spec: TrainingSpec,
    data: Dataset,
    validation: Dataset | None = None,
    resume: Checkpoint | None = None,
    *,
    start: Checkpoint | Weights | None = None,
    chunk_s: float = 0.25,
    stops: Collection[tuple[int, int]] = (),
    engine: Engine = DEFAULT,
) -> Iterator[Chunk | Epoch]:
    """Train, yielding a Chunk at least every `chunk_s` seconds (a longer step apart) and an Epoch at each end.

    `validation` is the dataset that the spec names; a fraction is split off here. `resume` goes on where a checkpoint
    of the same run stands; `start` begins a new run with uploaded weights, or with those of a checkpoint and its
    optimizer state where the spec says so. `stops` are places (finished epochs, batches of the next one) to yield a
    Chunk at, besides. Where the chunks fall, and how often a run is resumed, never changes a bit of the weights or of
    the metrics (timings aside).

    Raises SpecError where spec and data do not fit, CheckpointMismatch, and Diverged.
    """
    check(spec, data.schema, None if validation is None else validation.schema)
    if isinstance(spec.validation, ValidationFraction):
        data, validation = split(data, spec.validation.fraction, spec.seed)
    elif spec.validation is None:
        validation = None
    elif validation is None:
        raise ValueError("The spec names a validation dataset: pass it.")
    elif isinstance(data.schema.target, ClassTarget):
        validation = validation.with_classes(data.schema.target)

    if spec.from_optimizer_state and resume is None and start is None:
        raise ValueError("The spec begins with the optimizer state of a checkpoint: pass it as `start`.")
    run = Run(spec, data, resume, start, engine)
    del resume, start  # copied: training has no need of their memory
    for at, read in ("/dataset", data), ("/validation/dataset", validation):
        if read is not None:
            check_dataset(run.model.network, read)
            check_mask_values(run.model.network, read, at)
    evaluation = None if validation is None else Evaluation(run, validation, engine)
    while run.epoch < spec.epochs and not _stopped(run):
        asked = {step for epoch, step in stops if epoch == run.epoch}
        yield from _epoch(run, evaluation, chunk_s, asked)


def _epoch(run: Run, evaluation: Evaluation | None, chunk_s: float, stops: set[int]) -> Iterator[Chunk | Epoch]:
    """One epoch, or the rest of it; `stops` are numbers of batches to yield a Chunk behind."""
    before = run.examples
    training = validating = 0.0

    def chunk() -> Chunk:
        speed = (run.examples - before) / max(training, 1e-9)
        return Chunk(run.epoch + 1, run.step, run.steps, speed, _taker(run))

    def left_to(stop: int) -> Callable[[], int]:
        return lambda: stop - run.step

    run.shuffle()
    while run.step < run.steps:
        stop = min(step for step in (*stops, run.steps) if step > run.step)
        training += _work(run.advance, left_to(min(stop, run.steps)), chunk_s)
        if run.step < run.steps:
            yield chunk()
    metrics = run.finish_epoch()
    if run.steps in stops:
        yield chunk()
    speed = (run.examples - before) / max(training, 1e-9)
    if evaluation is not None:
        evaluation.restart()
        while evaluation.left:
            validating += _work(evaluation.advance, lambda: evaluation.left, chunk_s)
            if evaluation.left:
                yield chunk()
        metrics |= evaluation.metrics()

    run.metrics = dict(metrics)
    best = _is_best(run, metrics)
    run.epoch, run.step = run.epoch + 1, 0
    run.sums[...] = 0
    if best:
        run.best, run.best_epoch = _watched(run, metrics), run.epoch
    metrics |= {"examples_per_s": speed, "seconds": training + validating}
    yield Epoch(run.epoch, metrics, best, _stopped(run), _taker(run))


def _work(advance: Callable[[int], None], left: Callable[[], int], seconds: float) -> float:
    """Advance at least one step, until none is left or one more would take too long; returns the seconds it took."""
    began = perf_counter()
    done, spent = 0, 0.0
    with np.errstate(all="ignore"):  # what is not finite is looked for, and ends the run as Diverged
        while left() and (not done or spent * (done + 1) / done < seconds):
            # Half of the time that is left, so that a slow stretch cannot overrun it by much.
            steps = max(1, int((seconds - spent) * done / (2 * spent))) if done else 1
            steps = min(steps, left())
            advance(steps)
            done += steps
            spent = max(perf_counter() - began, 1e-9)
    return spent


def _watched(run: Run, metrics: Measured) -> float | None:
    """The value that says which epoch is best."""
    value = metrics[run.spec.watched]
    assert not isinstance(value, list)
    return value


def _is_best(run: Run, metrics: Measured) -> bool:
    value = _watched(run, metrics)
    if value is None or run.best is None:
        return run.best is None
    return value > run.best if run.spec.higher_is_better else value < run.best


def _stopped(run: Run) -> bool:
    stopping = run.spec.early_stopping
    return stopping is not None and run.epoch - run.best_epoch >= stopping.patience


def _taker(run: Run) -> Callable[[], Checkpoint]:
    position = run.epoch, run.step

    def take() -> Checkpoint:
        if (run.epoch, run.step) != position:
            raise RuntimeError("Training has gone on since: take a checkpoint before the next step.")
        return run.checkpoint()

    return take
