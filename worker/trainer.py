"""The trainer: a process of its own for each job. It knows the mathematics and a pipe; no database, no broker.

It is forked from a warm, thread-free parent that has imported all of this already, so it starts in milliseconds.
"""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from threadpoolctl import threadpool_limits

from core.checkpoint import Checkpoint, CheckpointDamaged, CheckpointMismatch
from core.data import Dataset, DatasetDamaged
from core.explanations.symptoms import Finding
from core.fingerprint import fingerprint
from core.metrics import Measured
from core.spec import SpecError
from core.training import Chunk, Diverged, Epoch, fit
from core.training_spec import TrainingSpec
from core.weights import Weights
from store.crash_points import reach
from store.progress import EpochReport, Progress
from worker import giving_way
from worker.checkup import Checkup
from worker.messages import STOP, Broken, Finished, Kept, Marked, Message, Reported, Stepped, Stopped
from worker.predictor import PredictionAssignment, predict
from worker.trace import Trace

REPORT_S = 1.0  # epochs shorter than this are reported together
LOOK_S = 0.25  # between two signs of life while a traced job looks back
MARKS_BYTES = 8 * 2**20  # of recorded weights that are sent together


@dataclass(frozen=True)
class Assignment:
    """All that training needs: the spec as JSON, where the arrays lie, and the checkpoint to go on or begin from."""

    spec: str
    dataset: Path
    validation: Path | None
    resume: Path | None  # a checkpoint of this very job, to go on from
    start: Path | None  # what a new run begins with: uploaded weights, or a checkpoint of another job
    checkpoint_s: float  # seconds of training after which a checkpoint is kept, wherever it stands
    marks: Mapping[int, Path]  # the weights that earlier attempts of a traced job recorded
    give_way: bool
    memory_bytes: int | None  # more than this it may not take


AnyAssignment = Assignment | PredictionAssignment


def main(assignment: AnyAssignment, pipe: Connection) -> None:
    """Train or predict, telling everything to `pipe`; ends when told STOP, when the pipe closes, or when it is done."""
    giving_way.die_with_parent()
    giving_way.be_the_first_to_go()
    if assignment.memory_bytes is not None:
        giving_way.take_no_more_than(assignment.memory_bytes)
    if assignment.give_way:
        giving_way.give_way()
    # Ctrl-C reaches the whole process group, a service manager's SIGTERM the whole tree; what stops a trainer is its
    # supervisor alone.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    reach("trainer.started")
    try:
        last = predict(assignment, pipe) if isinstance(assignment, PredictionAssignment) else _train(assignment, pipe)
        reach("trainer.over")
        pipe.send(last)
    except MemoryError:
        pipe.send(Broken("out_of_memory", _too_little(assignment.memory_bytes)))
    except SpecError as error:
        pipe.send(Broken("bad_spec", str(error)))
    except (CheckpointDamaged, CheckpointMismatch) as error:
        pipe.send(Broken("bad_checkpoint", str(error)))
    except DatasetDamaged as error:
        pipe.send(Broken("data_missing", str(error)))
    except (BrokenPipeError, EOFError, ConnectionResetError):
        sys.exit(1)  # nobody listens any more
    except Exception as error:  # our own mistake: it would only happen again
        traceback.print_exc()
        pipe.send(Broken("internal_error", f"{type(error).__name__}: {error}"))


def _too_little(memory_bytes: int | None) -> str:
    if memory_bytes is None:
        return "The job needs more memory than this machine has free."
    return f"The job needs more than the {memory_bytes} bytes of memory that a trainer may take here."


def _train(assignment: Assignment, pipe: Connection) -> Message:
    spec = TrainingSpec.model_validate_json(assignment.spec)
    with threadpool_limits(spec.threads):
        return _fit(assignment, spec, pipe)


def _fit(assignment: Assignment, spec: TrainingSpec, pipe: Connection) -> Message:
    data = Dataset.open(assignment.dataset)
    validation = Dataset.open(assignment.validation) if assignment.validation else None
    resume = Checkpoint.open(assignment.resume) if assignment.resume else None
    opened = Weights if spec.from_weights else Checkpoint
    start = opened.open(assignment.start) if assignment.start else None
    checkup = Checkup(spec, data)
    trace = Trace(spec, data, resume, start, assignment.marks) if spec.trace.surface else None
    reports = _Reports(spec, pipe, resume, assignment.checkpoint_s, trace.epochs if trace is not None else 0.0)
    # A run that is taken up again behind its last epoch yields nothing more.
    stopped_early = resume is not None and resume.step == 0 and resume.epoch < spec.epochs
    stops = [*checkup.stops(), *(trace.stops if trace is not None else ())]
    moments = fit(spec, data, validation, resume, start=start, stops=stops)
    del resume, start  # while they are held, their files keep their place on the disk though they are deleted
    end = _follow(moments, checkup, trace, reports, pipe, stopped_early)
    if trace is None or not isinstance(end, Finished):
        return end
    for share in trace.look_back():  # the run is gone by now, with its memory
        reports.look_back(share)
        reach("trainer.looks_back")
        if _told_to_stop(pipe):
            return Stopped()
    return replace(end, descent=trace.descent)


def _follow(
    moments: Iterator[Chunk | Epoch],
    checkup: Checkup,
    trace: Trace | None,
    reports: _Reports,
    pipe: Connection,
    stopped_early: bool,
) -> Message:
    """Report every moment of a run to its end."""
    try:
        for moment in moments:
            if trace is not None:
                reports.mark(trace.see(moment))
            if isinstance(moment, Epoch):
                stopped_early = reports.add(moment, checkup.behind(moment))
            else:
                checkup.before(moment)
                reports.progress(moment)
                reach("trainer.mid_epoch")
            if _told_to_stop(pipe):
                reports.flush(moment.checkpoint())
                return Stopped()
    except Diverged as error:
        reports.flush(None)
        return Broken("diverged", str(error), error.epoch)
    return Finished(stopped_early)


def _told_to_stop(pipe: Connection) -> bool:
    return bool(pipe.poll() and pipe.recv() == STOP)


class _Reports:
    """Gathers short epochs, so that a job of 5,000 tiny ones does not wait for the disk 5,000 times."""

    def __init__(
        self, spec: TrainingSpec, pipe: Connection, resume: Checkpoint | None, checkpoint_s: float, beyond: float
    ) -> None:
        """`beyond`: for about how many epochs more it goes on when training is over."""
        self._spec = spec
        self._total = spec.epochs + beyond
        self._pipe = pipe
        self._fingerprint = fingerprint(spec)
        self._checkpoint_s = checkpoint_s
        self._epochs: list[EpochReport] = []
        self._metrics: Measured = {}
        self._best: Kept | None = None
        self._kept_epoch = resume.epoch if resume else 0
        self._place = (resume.epoch, resume.step) if resume else (0, 0)  # of the newest checkpoint
        self._began = self._flushed = self._kept_at = time.monotonic()
        self._first = self._kept_epoch + 1
        self._done_before = resume.epoch + resume.step / resume.steps if resume else 0.0
        self._progress = Progress(0.0, None, None)
        self._marks: list[Marked] = []

    def mark(self, marked: Marked | None) -> None:
        """Note the weights of a traced job; they are sent with the next report, or before they grow large."""
        if marked is not None:
            self._marks.append(marked)
            if sum(len(mark.content) for mark in self._marks) > MARKS_BYTES:
                self.flush(None)

    def progress(self, chunk: Chunk) -> None:
        """Say how far the running epoch came; with a checkpoint when too much would be lost without."""
        self._measure((chunk.epoch - 1) + chunk.step / chunk.steps, chunk.examples_per_s)
        moved = (chunk.epoch - 1, chunk.step) != self._place  # not while validating for long
        if moved and self._overdue():
            self.flush(chunk.checkpoint())
        else:
            self._pipe.send(Stepped(self._progress))

    def add(self, epoch: Epoch, findings: tuple[Finding, ...]) -> bool:
        """Note a finished epoch; send what was gathered when it is time, and always the first and the last one.

        Gives whether the run ends with it, before its time.
        """
        self._epochs.append(EpochReport(epoch.epoch, epoch.metrics, tuple(map(asdict, findings))))
        self._metrics = epoch.metrics
        speed = epoch.metrics.get("examples_per_s")
        self._measure(float(epoch.epoch), speed if isinstance(speed, float) else None)
        last = epoch.stop or epoch.epoch == self._spec.epochs
        due = last or epoch.epoch == self._first or time.monotonic() - self._flushed >= REPORT_S
        many = epoch.epoch - self._kept_epoch >= self._spec.checkpoints.every_epochs
        wanted = last or (due and many) or self._overdue()
        checkpoint = epoch.checkpoint() if wanted or epoch.best else None
        if epoch.best and checkpoint is not None:
            self._best = _kept(checkpoint, epoch.metrics, best=True)
        if due or wanted:
            self.flush(checkpoint if wanted else None)
        return epoch.stop and epoch.epoch < self._spec.epochs

    def flush(self, checkpoint: Checkpoint | None) -> None:
        """Send the epochs gathered so far, with the best checkpoint among them and with `checkpoint`."""
        kept = [self._best] if self._best is not None else []
        if checkpoint is not None:
            self._kept_epoch = checkpoint.epoch if checkpoint.step == 0 else self._kept_epoch
            metrics = self._metrics if checkpoint.step == 0 else {}
            if self._best is None or (self._best.epoch, self._best.step) != (checkpoint.epoch, checkpoint.step):
                kept.append(_kept(checkpoint, metrics, best=False))
        reach("trainer.before_report")
        told = tuple(self._epochs), tuple(kept), self._progress, self._fingerprint, tuple(self._marks)
        self._pipe.send(Reported(*told))
        reach("trainer.sent_report")
        self._epochs, self._best, self._marks = [], None, []
        self._flushed = time.monotonic()
        if kept:
            self._place, self._kept_at = (kept[-1].epoch, kept[-1].step), self._flushed

    def _overdue(self) -> bool:
        return time.monotonic() - self._kept_at >= self._checkpoint_s

    def look_back(self, share: float) -> None:
        """Training is over; say how much of its way has been looked at."""
        epochs = self._spec.epochs
        self._measure(epochs + share * (self._total - epochs), None)
        if time.monotonic() - self._flushed >= LOOK_S:
            self._pipe.send(Stepped(self._progress))
            self._flushed = time.monotonic()

    def _measure(self, epochs_done: float, examples_per_s: float | None) -> None:
        total = self._total
        spent, gained = time.monotonic() - self._began, epochs_done - self._done_before
        eta_s = spent / gained * (total - epochs_done) if gained > 0 else None
        self._progress = Progress(epochs_done / total, examples_per_s, eta_s)


def _kept(checkpoint: Checkpoint, metrics: Measured, best: bool) -> Kept:
    place = checkpoint.epoch, checkpoint.step, checkpoint.digest
    return Kept(*place, dict(metrics), checkpoint.to_bytes(), best, checkpoint.steps)
