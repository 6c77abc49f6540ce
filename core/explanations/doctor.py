"""Looks at a network while it trains and says what hampers it, with the evidence and what to do.

Some of the training rows are a sample; at some epochs, fixed by their number, they are gone through forward and
backward. Each finding is told once for each layer, when it is first met.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, isfinite

import numpy as np

from core.checkpoint import Checkpoint
from core.data import Dataset
from core.explanations import symptoms
from core.explanations.subject import Subject
from core.explanations.symptoms import Finding
from core.layers.layer import Array
from core.metrics import Measured
from core.random import Purpose, Random
from core.training_spec import TrainingSpec

SAMPLE = 256  # rows, fewer for networks in which they take long
SAMPLE_FLOPS = 300_000_000
LOOKS = 32  # over a whole run, besides the first epochs


class Doctor:
    """Follows one run. The checkpoints that it is shown are those of this run, in order."""

    def __init__(self, spec: TrainingSpec, data: Dataset) -> None:
        """`data` are the training rows."""
        self._spec, self._data = spec, data
        ends, often = spec.epochs, ceil(spec.epochs / LOOKS)
        first = {2**power for power in range(ends.bit_length())}
        # The epochs, counted from 1, behind which the network itself is looked at, and not its metrics alone.
        self.looks = frozenset({*first, *range(often, ends + 1, often), ends})
        self._history: list[Measured] = []
        self._told: set[tuple[str, int | None]] = set()
        self._sample: Array | None = None
        self._before: Array | None = None

    def before_last_step(self, checkpoint: Checkpoint) -> None:
        """Remember the weights of one step before the end of an epoch, to see how far the last step goes."""
        self._before = Subject.from_checkpoint(checkpoint).theta

    def look(
        self, epoch: int, metrics: Measured, checkpoint: Checkpoint | None, *, last: bool = False
    ) -> list[Finding]:
        """What is found behind an epoch and was not told before; `checkpoint` where the network is to be looked at.

        Behind the `last` epoch labels are looked at too.
        """
        self._history.append(metrics)
        found = [*symptoms.overfitting(epoch, self._history), *symptoms.bouncing(epoch, self._history)]
        if checkpoint is not None:
            found += self._network(epoch, checkpoint, found, last)
        self._before = None
        new = [finding for finding in found if (finding.kind, finding.layer) not in self._told]
        self._told |= {(finding.kind, finding.layer) for finding in new}
        return new

    def _network(self, epoch: int, checkpoint: Checkpoint, before: Sequence[Finding], last: bool) -> Iterator[Finding]:
        subject = Subject.from_checkpoint(checkpoint)
        rows = self._rows(subject)
        passed = subject.backpropagate(subject.rows(self._data, rows))
        if not (isfinite(passed.cost) and np.isfinite(passed.gradient).all()):
            return  # the run is about to say so itself
        flows = passed.outer()
        found = [*symptoms.dead(epoch, flows), *symptoms.saturated(epoch, flows), *symptoms.gradients(epoch, flows)]
        yield from found
        if self._before is not None and self._before.shape == subject.theta.shape:
            known = {finding.kind for finding in (*before, *found)} | {kind for kind, _ in self._told}
            change = subject.theta - self._before
            yield from symptoms.updates(epoch, self._spec.epochs, flows, change, subject.theta, known)
        if last:
            yield from symptoms.labels(epoch, subject, passed, self._data.indices()[rows])

    def _rows(self, subject: Subject) -> Array:
        if self._sample is None:
            size = min(SAMPLE, len(self._data), max(8, SAMPLE_FLOPS // max(1, 3 * subject.network.flops)))
            order = Random(self._spec.seed, Purpose.CHECK).permutation(len(self._data))
            self._sample = np.sort(order[:size])
        return self._sample
