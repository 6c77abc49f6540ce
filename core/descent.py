"""The descent of a traced job, as it is kept: two paths on one hill, and how their slopes differ on the way.

The hill is the data cost: in evaluation mode and float64, without penalties, with the running statistics as they are at
the end of the training.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """What is kept of a run; no client describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Point(Record):
    """A place on a path: after `step` updates, at (x, y) of the plane and `off` away from it; None: not finite."""

    step: int
    x: float
    y: float
    off: float
    cost: float | None


class Grid(Record):
    """The cost around the paths: cost[i][j] at x[j], y[i]; None where it is not finite."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    cost: tuple[tuple[float | None, ...], ...]


class LayerSlopes(Record):
    """The same for one of the spec's layers, with what is inside it."""

    index: int
    type: str
    cosine: float | None
    angle: float | None
    minibatch_norm: float | None
    full_norm: float | None


class Slopes(Record):
    """The gradient of the mini-batch of an update, and that of all rows, at the weights after `step` updates.

    `batch` counts the batches of `epoch`, both from 1. `angle` in degrees; it and `cosine` are None where one gradient
    is zero.
    """

    step: int
    epoch: int
    batch: int
    batch_rows: int
    cosine: float | None
    angle: float | None
    minibatch_norm: float | None
    full_norm: float | None
    layers: tuple[LayerSlopes, ...]


class Descent(Record):
    """All that is kept. share: of the variance of all points, along each axis of the plane. rows: trained on;
    cost_rows: those of them that every cost is the mean over. full_diverged: the full path ends before its time."""

    format: Literal[1] = 1
    parameters: int
    updates: int
    rows: int
    cost_rows: int
    share: tuple[float, float]
    minibatch: tuple[Point, ...]
    full: tuple[Point, ...]
    full_diverged: bool
    grid: Grid
    slopes: tuple[Slopes, ...]
