"""The chain rule spelled out: every path along which a change of one weight reaches the cost.

dC/dw is the sum, over all paths from w through one unit of each layer behind it to the cost, of the products of the
derivatives along the path (W. Baur, V. Strassen, "The complexity of partial derivatives", Theoretical Computer Science
22 (1983), section 2; 3Blue1Brown's "Backpropagation calculus" draws one such path). Backpropagation sums them from the
cost; here they are summed from the weight, by products of Jacobians, which is a way of its own to the same number.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from math import fsum, prod
from typing import NamedTuple

import numpy as np

from core.explanations.backpropagation import Backpropagation, Flow
from core.explanations.tangents import along_parameter, slopes
from core.layers.batch_norm import BatchNorm
from core.layers.dense import Dense
from core.layers.dropout import Dropout
from core.layers.elementwise import Elementwise
from core.layers.expression import Expression
from core.layers.layer import Array
from core.layers.softmax import Softmax
from core.network import Piece

ENUMERATED = 100_000  # paths that are gone along one by one


class NoPaths(Exception):
    """Why there are none to be told."""


class Step(NamedTuple):
    """From the numbers before a layer to those behind it: J[i, j] = dy_j/dx_i where all meet, else its diagonal."""

    layer: int
    jacobian: Array

    @property
    def meets(self) -> bool:
        """Whether each number behind depends on all before."""
        return self.jacobian.ndim == 2


class Path(NamedTuple):
    """units: (layer, unit) from the weight's own layer on, one for each layer where paths part; factors: dz/dw first,
    dC/da last; contribution: their product."""

    units: tuple[tuple[int, int], ...]
    factors: tuple[float, ...]
    contribution: float


@dataclass(frozen=True)
class Paths:
    """How many there are, their sum, the sum of their absolute values, and the sum of those that were gone along one by
    one, None where there are more than ENUMERATED."""

    layer: int
    start: Array  # dy/dw for each unit of the weight's layer
    steps: list[Step]
    end: Array  # dC/da for each output

    @property
    def count(self) -> int:
        """Exactly."""
        widths = [int(step.jacobian.shape[1]) for step in self.steps if step.meets]
        return int(np.count_nonzero(self.starts)) * prod(widths)

    @property
    def starts(self) -> Array:
        """Which units the weight touches itself: where paths begin."""
        touched: Array = self.start != 0 if self.start.any() else np.arange(len(self.start)) == 0
        return touched

    @property
    def total(self) -> float:
        """The sum over all paths, from the weight to the cost."""
        return float(_forward(self.start, self.steps) @ self.end)

    @property
    def absolute(self) -> float:
        """The sum of the absolute values of all paths: beside it, rounding is to be judged."""
        steps = [Step(step.layer, np.abs(step.jacobian)) for step in self.steps]
        return float(_forward(np.abs(self.start), steps) @ np.abs(self.end))

    def enumerated(self) -> float | None:
        """The same sum, path by path."""
        if self.count > ENUMERATED:
            return None
        units = np.flatnonzero(self.starts)
        products = self.start[units]
        for _, jacobian in self.steps:
            if jacobian.ndim == 2:
                products = (products[:, None] * jacobian[units]).reshape(-1)
                units = np.tile(np.arange(jacobian.shape[1]), len(units))
            else:
                products = products * jacobian[units]
        return fsum((products * self.end[units]).tolist())

    def best(self, top: int) -> list[Path]:
        """Those that carry most, the heaviest first; paths that carry nothing are left out."""
        return list(islice(self._heaviest(top), top))

    def _heaviest(self, top: int) -> Iterator[Path]:
        """Best first: what is left to the cost is bounded by the heaviest way there, so that no path is missed.

        P. Hart, N. Nilsson, B. Raphael, "A formal basis for the heuristic determination of minimum cost paths", 1968.
        """
        bounds = [np.abs(self.end)]  # behind each step, the most that a way to the cost multiplies by
        for _, jacobian in reversed(self.steps):
            size = np.abs(jacobian)
            bounds.append((size * bounds[-1]).max(axis=1) if jacobian.ndim == 2 else size * bounds[-1])
        bounds.reverse()
        number = count()  # so that equal ones never compare their factors
        heap: list[tuple[float, int, int, int, tuple[tuple[int, int], ...], tuple[float, ...]]] = []

        def push(depth: int, unit: int, units: tuple[tuple[int, int], ...], factors: tuple[float, ...]) -> None:
            bound = abs(prod(factors)) * float(bounds[depth][unit])
            if bound > 0:
                heapq.heappush(heap, (-bound, next(number), depth, unit, units, factors))

        for unit in np.flatnonzero(self.start).tolist():
            push(0, unit, ((self.layer, unit),), (float(self.start[unit]),))
        while heap:
            _, _, depth, unit, units, factors = heapq.heappop(heap)
            if depth == len(self.steps):
                factors = (*factors, float(self.end[unit]))
                yield Path(units, factors, prod(factors))
                continue
            layer, jacobian = self.steps[depth]
            if jacobian.ndim == 1:
                push(depth + 1, unit, units, (*factors, float(jacobian[unit])))
                continue
            carried = np.abs(jacobian[unit]) * bounds[depth + 1]
            for behind in np.argsort(-carried, kind="stable")[:top].tolist():
                push(depth + 1, behind, (*units, (layer, behind)), (*factors, float(jacobian[unit, behind])))


def paths(found: Backpropagation, flows: Sequence[Flow], layer: int, piece: Piece, index: tuple[int, ...]) -> Paths:
    """Those of one entry of a parameter of the layer with this index, for a single example.

    `flows` are those of the network's own layers, without those inside others. Raises NoPaths.
    """
    if len(found.examples) > 1:
        raise NoPaths("Paths are told for one example at a time.")
    own = flows[layer]
    if piece not in own.at.parameters:
        raise NoPaths(
            f"The weight lies inside layer {layer}, a {own.at.layer.type}, whose units are not told one by one."
        )
    flat = len(own.at.output_shape) == 1
    if not (isinstance(own.at.layer, Dense | Expression) or (isinstance(own.at.layer, BatchNorm) and flat)):
        raise NoPaths(f"A weight of a {own.at.layer.type} layer reaches the cost through more than single units.")
    start = along_parameter(own, piece, index).reshape(-1)
    steps = [_step(number, flow) for number, flow in enumerate(flows) if number > layer]
    return Paths(layer, start, [step for step in steps if step is not None], found.da[0])


def _step(number: int, flow: Flow) -> Step | None:
    """None where nothing but the shape changes."""
    layer, width = flow.at.layer, prod(flow.at.output_shape)
    if layer.reshapes:
        return None
    if isinstance(layer, Dense):
        return Step(number, flow.context.parameters[0])
    if isinstance(layer, (Elementwise, BatchNorm, Dropout)):
        return Step(number, slopes(flow).reshape(width))
    if isinstance(layer, Softmax) and len(flow.at.output_shape) == 1:
        y = flow.context.y[0]
        return Step(number, np.diag(y) - np.outer(y, y))
    raise NoPaths(
        f"Paths are told for dense and elementwise layers; behind this weight lies layer {number}, a {layer.type}."
    )


def _forward(start: Array, steps: Sequence[Step]) -> Array:
    change = start
    for _, jacobian in steps:
        change = change @ jacobian if jacobian.ndim == 2 else change * jacobian
    return change
