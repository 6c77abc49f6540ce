"""One pass forward and backward through a network, with everything on the way kept to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from core.explanations.alone import Alone
from core.layers.layer import Array, Context
from core.losses import Loss
from core.network import Network, Placed
from core.workspace import Workspace


class Examples(NamedTuple):
    """Rows as the network sees them: x (n, *input_shape) preprocessed, y (n, width) as the loss compares it with the
    outputs, mask (n, time) or None; all float64."""

    x: Array
    y: Array
    mask: Array | None

    def __len__(self) -> int:
        return len(self.x)


class Flow(NamedTuple):
    """What went through one layer: its context (x, y, parameters) and dy = dC/dy, None where nothing can wish."""

    at: Placed
    context: Context
    dy: Array | None

    @property
    def y(self) -> Array:
        """What the layer gave, (n, *output_shape)."""
        x = self.context.x
        return x.reshape(len(x), *self.at.output_shape) if self.at.layer.reshapes else self.context.y

    def alone(self, rows: int) -> Alone:
        """The layer by itself, for batches of up to `rows`."""
        return Alone(self.at, self.context, rows)


class Backpropagation:
    """C = mean of the costs C_i (n,) of the rows, its derivatives, and all that was computed on the way.

    outputs (n, width): what a prediction shows. gradient (size,): dC/dtheta, in the order of theta.
    da (n, width): dC/d(last layer's output). dx (n, *input_shape): dC/dx of the preprocessed inputs, None without
    `to_inputs`.
    """

    def __init__(
        self, network: Network, loss: Loss, theta: Array, state: Array, examples: Examples, *, to_inputs: bool = True
    ) -> None:
        x, y, mask = examples
        n = len(x)
        self.network, self.loss, self.examples = network, loss, examples
        self.gradient = np.zeros(network.size)
        self._workspace = Workspace(
            network, n, theta=theta, state=state, gradient=self.gradient, input_gradient=to_inputs, lasting=True
        )
        room = np.empty((n, prod(network.output_shape)))
        with np.errstate(all="ignore"):
            a = self._workspace.forward(x, mask)
            self.outputs = loss.outputs(a).copy()
            self.costs = loss.forward(a, y, room)
            self.da = loss.backward(a, y, room) / n
            self.dx = self._workspace.backward(self.da)

    @property
    def cost(self) -> float:
        """C."""
        return float(self.costs.mean())

    @property
    def contexts(self) -> tuple[Context, ...]:
        """Those of the network's layers, as forward and backward left them."""
        return self._workspace.contexts(len(self.examples))

    def without_slopes(self, layers: frozenset[int]) -> Array:
        """What the gradient would be if the derivatives of these elementwise layers, by their numbers, were 1.

        A new vector; afterwards everything is again as it was.
        """
        _backward_without(layers, self.network.layers, self.contexts, self.da)
        wrong = self.gradient.copy()
        self._workspace.backward(self.da)
        return wrong

    def flows(self) -> Iterator[Flow]:
        """Every layer, those inside others behind the one that they are in, in the order of the numbers."""
        return _flows(self.network.layers, self.contexts, self.da)

    def outer(self) -> list[Flow]:
        """Those of the network's own layers, without the layers inside them."""
        own = {at.number for at in self.network.layers}
        return [flow for flow in self.flows() if flow.at.number in own]


def _backward_without(
    taken_for_1: frozenset[int], layers: Sequence[Placed], contexts: Sequence[Context], dy: Array
) -> Array | None:
    """Backward past some of the layers in a row; what goes around a block is added to what comes through it."""
    for at, ctx in zip(reversed(layers), reversed(contexts), strict=True):
        if at.number in taken_for_1:
            continue
        if at.inner:
            through = _backward_without(taken_for_1, at.inner, ctx.inner, dy)
            dx = None if through is None else dy + through
        else:
            dx = at.layer.backward(dy, ctx)
        if dx is None:
            return None
        dy = dx
    return dy


def _flows(layers: Sequence[Placed], contexts: Sequence[Context], dy: Array | None) -> Iterator[Flow]:
    dys: list[Array | None] = []  # from the last layer to the first
    for at, ctx in zip(reversed(layers), reversed(contexts), strict=True):
        dys.append(dy)
        if dy is not None:
            dy = dy.reshape(ctx.x.shape) if at.layer.reshapes else ctx.dx
    for at, ctx, dy in zip(layers, contexts, reversed(dys), strict=True):
        yield Flow(at, ctx, dy)
        yield from _flows(at.inner, ctx.inner, dy)
