"""Is backward right here? The gradient at given examples against differences of the cost itself.

Along a direction u, dC/du is (8 (C(+h) - C(-h)) - (C(+2h) - C(-2h))) / 12h, up to h^4 (M. Abramowitz, I. Stegun,
"Handbook of Mathematical Functions", 25.3.6). Where a number crosses a kink on the way, such as a ReLU's, the cost has
no such derivative there: a smaller step is taken, and where that does not help either, the direction is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np

from core.explanations.backpropagation import Examples
from core.explanations.subject import Subject
from core.layers.layer import Array, forward_through
from core.network import Network, Piece, pairs
from core.random import Purpose, Random
from core.workspace import Workspace

STEPS = (1e-4, 1e-6)  # tried in this order
DIRECTIONS = 4  # over all entries of a parameter: each finds any wrong one
ENTRIES = 24  # of each parameter that are looked at one by one if nothing else is said, all where there are no more
FLOOR = 1e-5  # of the cost, or of 1 where that is more: gradients below it are compared absolutely
TOLERANCE = 1e-5


class Compared(NamedTuple):
    """One derivative, by one entry, or where that is None along a direction through all entries: what backward says and
    what the differences do. error: their distance, relative to the larger one or to the floor."""

    entry: tuple[int, ...] | None
    backward: float
    measured: float
    error: float


@dataclass(frozen=True)
class Checked:
    """One parameter. smaller_steps, left_out: how many directions met a kink, and how many did so with every step."""

    piece: Piece
    layer: int
    type: str
    compared: list[Compared]
    smaller_steps: int
    left_out: int

    @property
    def worst(self) -> Compared | None:
        """The largest error; None where every direction was left out."""
        return max(self.compared, key=lambda compared: compared.error, default=None)

    @property
    def right(self) -> bool | None:
        """Whether all that could be compared agree; NaN never does. None where nothing could be."""
        return None if not self.compared else all(compared.error <= TOLERANCE for compared in self.compared)


def flops(network: Network, only: frozenset[int] | None = None, entries: int = ENTRIES) -> int:
    """About what the check takes for one row, at most: where kinks are met, every step is tried."""
    behind = [at.layer.flops(at.input_shape) for at in network.layers]
    work = 6 * network.flops
    for layer, placed in enumerate(network.layers):
        if placed.learns and (only is None or layer in only):
            sizes = [prod(piece.variable.shape) for at in placed.walk() for piece in at.parameters]
            looks = sum(DIRECTIONS + min(entries, size) for size in sizes)
            work += 2 * network.flops + 4 * len(STEPS) * looks * sum(behind[layer:])
    return work


def check(
    subject: Subject,
    examples: Examples,
    seed: int = 0,
    *,
    only: frozenset[int] | None = None,
    entries: int = ENTRIES,
) -> list[Checked]:
    """Every parameter of the network, or of the layers in `only`, those of layers inside them too, at the mean cost of
    the examples; so many entries of each are looked at one by one."""
    gradient = subject.backpropagate(examples).gradient
    probe = _Probe(subject, examples)
    found = []
    for layer, placed in enumerate(subject.network.layers):
        if not placed.learns or (only is not None and layer not in only):
            continue
        probe.stand_before(layer)
        for at in placed.walk():
            for piece in at.parameters:
                random = Random(seed, Purpose.CHECK, layer=piece.start)
                found.append(_checked(probe, gradient, piece, layer, at.layer.type, random, entries))
    return found


def _checked(probe: _Probe, gradient: Array, piece: Piece, layer: int, kind: str, random: Random, most: int) -> Checked:
    size = prod(piece.variable.shape)
    floor = FLOOR * max(1.0, abs(probe.cost))
    entries = np.sort(random.permutation(size)[:most]).tolist()
    directions: list[tuple[tuple[int, ...] | None, Array]] = []
    for _ in range(DIRECTIONS):
        u = random.normal((size,))
        directions.append((None, u / np.linalg.norm(u)))
    for entry in entries:
        index = tuple(int(i) for i in np.unravel_index(entry, piece.variable.shape))
        directions.append((index, np.eye(1, size, entry)[0]))
    compared, smaller, left_out = [], 0, 0
    for place, u in directions:
        measured, tries = probe.slope(piece.start, u)
        smaller += tries > 0
        if measured is None:
            left_out += 1
            continue
        claimed = float(gradient[piece.start : piece.start + size] @ u)
        error = abs(claimed - measured) / max(abs(claimed), abs(measured), floor)
        compared.append(Compared(place, claimed, measured, error))
    return Checked(piece, layer, kind, compared, smaller, left_out)


class _Probe:
    """The cost of the examples with theta moved behind a layer, and the side of its kinks that every number is on.

    What the layers before give stays, and is not computed again.
    """

    def __init__(self, subject: Subject, examples: Examples) -> None:
        self._subject, self._examples = subject, examples
        self._theta = subject.theta.copy()
        network, nothing = subject.network, np.zeros(subject.network.size)
        # With room for a gradient, though none is asked for, every layer's numbers stay, and so do their sides.
        self._workspace = Workspace(network, len(examples), theta=self._theta, state=subject.state, gradient=nothing)
        self._room = np.empty_like(examples.y)
        self._layer = 0

    def stand_before(self, layer: int) -> None:
        """From here on theta is moved in this layer, or behind it."""
        if layer:  # what comes to it is made by theta as it is, not as it was moved last
            self._layer = 0
            self._look(0, np.zeros(0))
        self._layer = layer
        self.cost, self._sides = self._look(0, np.zeros(0))

    def slope(self, start: int, u: Array) -> tuple[float | None, int]:
        """dC/du along the direction u of the stretch of theta from `start` on, and how many steps met a kink."""
        for tries, h in enumerate(STEPS):
            looks = {k: self._look(start, k * h * u) for k in (-2, -1, 1, 2)}
            if all(sides == self._sides for _, sides in looks.values()):
                c = {k: cost for k, (cost, _) in looks.items()}
                return (8 * (c[1] - c[-1]) - (c[2] - c[-2])) / (12 * h), tries
        return None, len(STEPS)

    def _look(self, start: int, change: Array) -> tuple[float, list[bytes]]:
        part = self._theta[start : start + len(change)]
        kept = part.copy()
        part += change
        with np.errstate(all="ignore"):
            a = self._forward()
            cost = float(self._subject.loss.forward(a, self._examples.y, self._room).mean())
        part[...] = kept
        contexts = self._workspace.contexts(len(self._examples))[self._layer :]
        found = pairs(self._workspace.network.layers[self._layer :], contexts)
        sides = [side.tobytes() for at, ctx in found for side in at.layer.sides(ctx)]
        return cost, [*sides, self._subject.loss.sides(a, self._examples.y).tobytes()]

    def _forward(self) -> Array:
        """The outputs, computed from the layer on whose input stands in its context."""
        if not self._layer:
            return self._workspace.forward(self._examples.x, self._examples.mask)
        contexts = self._workspace.contexts(len(self._examples))[self._layer :]
        layers = [at.layer for at in self._workspace.network.layers[self._layer :]]
        return forward_through(layers, contexts[0].x, contexts)
