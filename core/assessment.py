"""How a trained network does on a dataset: metrics, which classes it takes for which, and the rows that cost most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.batches import Batches
from core.categories import check_inputs
from core.data import Dataset
from core.explanations.subject import Subject
from core.layers.layer import Array
from core.masks import check_mask_values
from core.metrics import F1, MAE, R2, RMSE, Accuracy, Measured, Metric, Precision, Recall, TopK, by_class
from core.schema import ClassTarget, JsonScalar, RealTarget
from core.spec import Finding, SpecError
from core.workspace import Workspace, evaluation_rows

MOST_CLASSES = 128  # in a confusion matrix


@dataclass(frozen=True)
class Confusion:
    """How many rows of each class (down) were said to be of each class (across), in the order of `classes`.

    Of more than 128 classes, those that occur or are said most; `rows_left_out` have to do with another one.
    """

    classes: tuple[JsonScalar, ...]
    counts: list[list[int]]
    rows_left_out: int


@dataclass(frozen=True)
class Costly:
    """A row, its cost C_i, its target and what the network says; for classes with the probability of what it says."""

    row: int
    cost: float
    target: object
    prediction: object
    probability: float | None


@dataclass(frozen=True)
class Assessment:
    """What came out over all rows; `confusion` is for classes only."""

    metrics: Measured
    confusion: Confusion | None
    costliest: list[Costly]


class Outcome(NamedTuple):
    """Of a batch: the last layer's values a (n, k), the stored targets y (n,) or (n, *shape), the costs C_i (n,)."""

    a: Array
    y: Array
    costs: Array


def assess(subject: Subject, data: Dataset, rows: range, top: int, asked: Sequence[Metric] = ()) -> Assessment:
    """Go through `rows` of a dataset in evaluation mode, in float64, with the data cost alone: no penalties.

    The metrics are the loss, all that suit the target, and those of `asked` that are numbers; their names as in a
    training, without "validation_". `top` rows are named, the costliest first.

    Raises:
        SpecError: the dataset is not of the model's kind, or a row's outputs are not finite (at /dataset).
    """
    data = subject.known(data)
    check_mask_values(subject.network, data, "/dataset")
    target = data.schema.target
    sums = [(metric, np.zeros(metric.room(target.width))) for metric in _metrics(target, asked)]
    costs = np.empty(len(rows))
    said = np.empty(len(rows) if isinstance(target, ClassTarget) else 0, np.int64)
    done = 0
    for a, y, cost in _outcomes(subject, data, np.arange(rows.start, rows.stop)):
        batch = slice(done, done + len(a))
        costs[batch] = cost
        scores, right = a, y
        if isinstance(target, ClassTarget):
            scores = by_class(a, subject.loss.threshold)
            said[batch] = scores.argmax(axis=1)
        else:
            right = y.reshape(a.shape)
        for metric, room in sums:
            metric.add(room, scores, right)
        done += len(a)
    metrics: Measured = {"loss": float(costs.mean())}
    metrics |= {metric.name: metric.value(room) for metric, room in sums}
    confusion = _confusion(target, data.y[rows.start : rows.stop], said) if isinstance(target, ClassTarget) else None
    worst = rows.start + np.argsort(-costs, kind="stable")[:top]
    return Assessment(metrics, confusion, list(_costly(subject, data, worst)))


def _metrics(target: ClassTarget | RealTarget, asked: Sequence[Metric]) -> list[Metric]:
    usual: list[Metric] = [MAE(), RMSE(), R2()]
    if isinstance(target, ClassTarget):
        usual = [Accuracy(), Precision(), Recall(), F1()]
        if target.width > 2:
            usual.append(TopK(k=min(5, target.width - 1)))
    named = {metric.name: metric for metric in (*usual, *asked) if metric.is_number}
    return list(named.values())


def _outcomes(subject: Subject, data: Dataset, rows: NDArray[np.int64]) -> Iterator[Outcome]:
    """Batch by batch; each is good until the next."""
    network, width = subject.network, subject.network.output_shape[0]
    size = min(evaluation_rows(network, "float64"), max(1, len(rows)))
    batches = Batches(data, subject.preprocessing, rows=size, width=width, dtype="float64", masked=network.masked)
    workspace = Workspace(network, size, theta=subject.theta, state=subject.state)
    room = np.empty((size, width))
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        if subject.looks_up:
            _check_looked_up(subject, data, batch)
        x, y, stored = batches.load(batch)
        with np.errstate(all="ignore"):  # what is not finite is looked for
            a = workspace.forward(x, batches.mask)
            costs = subject.loss.forward(a, y, room[: len(batch)])
        finite = np.isfinite(a).all(axis=1) & np.isfinite(costs)
        if not finite.all():
            detail = f"Row {batch[finite.argmin()]} holds numbers so large that what comes out is no longer finite."
            raise SpecError([Finding("/dataset", detail)])
        yield Outcome(a, stored, costs)


def _check_looked_up(subject: Subject, data: Dataset, batch: NDArray[np.int64]) -> None:
    try:
        check_inputs(subject.network, data.x[batch])
    except SpecError as error:
        at, detail = error.errors[0]
        row = batch[int(at.rpartition("/")[2])]
        raise SpecError([Finding("/dataset", f"Row {row}: {detail}")]) from None


def _confusion(target: ClassTarget, true: Array, said: Array) -> Confusion:
    chosen = np.arange(target.width)
    if target.width > MOST_CLASSES:
        occurs = np.bincount(true, minlength=target.width) + np.bincount(said, minlength=target.width)
        chosen = np.sort(np.argsort(-occurs, kind="stable")[:MOST_CLASSES])
    place = np.full(target.width, -1)
    place[chosen] = np.arange(len(chosen))
    down, across = place[true], place[said]
    shown = (down >= 0) & (across >= 0)
    cells = np.bincount(down[shown] * len(chosen) + across[shown], minlength=len(chosen) ** 2)
    counts: list[list[int]] = cells.reshape(len(chosen), -1).tolist()
    return Confusion(tuple(target.classes[i] for i in chosen), counts, int(len(said) - shown.sum()))


def _costly(subject: Subject, data: Dataset, rows: NDArray[np.int64]) -> Iterator[Costly]:
    target, done = data.schema.target, 0
    for a, y, costs in _outcomes(subject, data, rows):
        outputs = subject.loss.outputs(a)
        if isinstance(target, ClassTarget):
            outputs = by_class(outputs, subject.loss.even)
        for output, true, cost in zip(outputs, y, costs.tolist(), strict=True):
            row, done = int(rows[done]), done + 1
            if isinstance(target, ClassTarget):
                said = int(output.argmax())
                yield Costly(row, cost, target.classes[int(true)], target.classes[said], float(output[said]))
            else:
                yield Costly(row, cost, true.tolist(), output.reshape(true.shape).tolist(), None)
