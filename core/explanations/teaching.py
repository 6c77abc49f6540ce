"""The rows that teach: which of a dataset's rows cost most, or push hardest."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data import Dataset
from core.explanations.backpropagation import Examples
from core.explanations.row_norms import row_norms
from core.explanations.subject import Subject
from core.layers.layer import Array
from core.spec import Finding, SpecError
from core.workspace import layout

Order = Literal["loss", "gradient_norm"]
BATCH_BYTES = 32 * 2**20


class Lesson(NamedTuple):
    """What one row teaches: its own cost C_i, |dC_i/dtheta|, and what the network gives for it, outputs (width,)."""

    row: int
    loss: float
    gradient_norm: float
    outputs: Array


def flops(subject: Subject, rows: int) -> int:
    """About what it takes: backward costs twice what forward does."""
    return 3 * subject.network.flops * rows


def lessons(subject: Subject, data: Dataset, rows: NDArray[np.int64], order: Order, top: int) -> list[Lesson]:
    """The `top` of the given rows with the largest loss or gradient, the largest first; equal ones as given.

    Raises:
        SpecError: the dataset, or one of the rows, is not of the model's kind (at /dataset).
    """
    if not len(rows):
        return []
    size = _batch(subject)
    costs, norms, outputs = [], [], []
    for start in range(0, len(rows), size):
        found = subject.backpropagate(_rows(subject, data, rows[start : start + size]))
        costs.append(found.costs)
        norms.append(row_norms(found))
        outputs.append(found.outputs)
    columns: dict[Order, Array] = {"loss": np.concatenate(costs), "gradient_norm": np.concatenate(norms)}
    shown = np.concatenate(outputs)
    best = np.argsort(-columns[order], kind="stable")[:top]  # what is not a number comes last
    return [Lesson(int(rows[i]), float(columns["loss"][i]), float(columns["gradient_norm"][i]), shown[i]) for i in best]


def _rows(subject: Subject, data: Dataset, rows: NDArray[np.int64]) -> Examples:
    try:
        return subject.rows(data, rows)
    except SpecError as error:
        at, detail = error.errors[0]
        if not at.startswith("/inputs/"):
            raise
        row = rows[int(at.rpartition("/")[2])]
        raise SpecError([Finding("/dataset", f"Row {row}: {detail}")]) from None


def _batch(subject: Subject) -> int:
    """How many rows are gone through together: as many as a few megabytes hold."""
    network = subject.network
    each = layout(network, 1, "float64", backward=True, input_gradient=not subject.looks_up, lasting=True).bytes
    return min(256, max(1, BATCH_BYTES // max(1, each)))
