"""What went through a network, averaged over rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.explanations.backpropagation import Examples, Flow
from core.explanations.subject import Subject
from core.layers.dense import Dense
from core.layers.layer import Array
from core.network import Placed
from core.workspace import layout

ROOM_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class Wishes:
    """One layer, averaged over the rows: what it gave, -dC/d(what it gave), and -dC/d(what it was given).

    activations, desire: output_shape. previous: input_shape. seen (inputs,): what a dense layer was given, None of
    others. The wishes are None at a layer that looks numbers up, and before it.
    """

    at: Placed
    activations: Array
    desire: Array | None
    previous: Array | None
    seen: Array | None

    @classmethod
    def of(cls, flow: Flow, share: float) -> Wishes:
        """The part of those rows in the average that went through the layer together; `share` is theirs in all."""
        at, context, dy = flow
        y, dx = flow.y, dy if at.layer.reshapes else context.dx
        each = share / len(y)
        seen = context.x.sum(axis=0) * each if isinstance(at.layer, Dense) else None
        activations = y.sum(axis=0) * each
        desire, previous = (None if dy is None else _wish(d, share) for d in (dy, dx))
        return cls(
            at,
            activations,
            None if desire is None else desire.reshape(at.output_shape),
            None if previous is None else previous.reshape(at.input_shape),
            seen,
        )

    def add(self, more: Wishes) -> None:
        """Take in the part of other rows."""
        for name in ("activations", "desire", "previous", "seen"):
            mine, theirs = getattr(self, name), getattr(more, name)
            if mine is not None:
                mine += theirs


def _wish(derivative: Array | None, share: float) -> Array | None:
    """-dC/da, summed over the rows that are each 1/n of C; 0 has no sign."""
    return None if derivative is None else np.subtract(0.0, derivative.sum(axis=0) * share)


@dataclass(frozen=True, eq=False)
class Averages:
    """C over the rows, and all that belongs to it.

    outputs (width,): what a prediction shows. target (width,): what the loss compares them with. inputs
    (*input_shape), preprocessed. gradient (size,): dC/dtheta. layers: all, in the order of the numbers.
    """

    rows: int
    cost: float
    outputs: Array
    target: Array
    inputs: Array
    gradient: Array
    layers: list[Wishes]

    @classmethod
    def over(cls, subject: Subject, examples: Examples, room_bytes: int = ROOM_BYTES) -> Averages:
        """Backpropagate the examples, as many together as fit the room, but always one."""
        n, network = len(examples), subject.network
        cost, outputs, gradient = 0.0, np.zeros(network.output_shape), np.zeros(network.size)
        layers: list[Wishes] = []
        for part in _parts(subject, examples, room_bytes):
            found = subject.backpropagate(part)
            share = len(part) / n
            cost += share * found.cost
            outputs += share * found.outputs.mean(axis=0)
            gradient += share * found.gradient
            parts = [Wishes.of(flow, share) for flow in found.flows()]
            for known, more in zip(layers, parts, strict=False):
                known.add(more)
            layers = layers or parts
        return cls(
            n, cost, outputs, subject.loss.aims(examples.y).mean(axis=0), examples.x.mean(axis=0), gradient, layers
        )


def _parts(subject: Subject, examples: Examples, room_bytes: int) -> Iterator[Examples]:
    n = rows = len(examples)
    if n > 1:
        each = layout(subject.network, 1, "float64", backward=True, input_gradient=True, lasting=True).bytes
        rows = max(1, room_bytes // max(1, each))
    for start in range(0, n, rows):
        part = slice(start, start + rows)
        yield Examples(examples.x[part], examples.y[part], None if examples.mask is None else examples.mask[part])
