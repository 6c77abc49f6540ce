"""How a small change travels forward: products of a layer's Jacobian J = dy/dx with a change of its input.

Layers know how to go backward, dy -> dy J. Forward, x' -> J x', follows from it: where y is an affine function of x,
by the layer itself, f(x') - f(0); where each output depends on its own input alone, J is a diagonal, which is what
backward makes of ones; for all others row by row, (J x')_r = (e_r J) . x', with e_r the unit vector of the output r.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from core.explanations.alone import Alone
from core.explanations.backpropagation import Flow
from core.layers.avg_pool2d import AvgPool2D
from core.layers.batch_norm import BatchNorm
from core.layers.conv1d import Conv1D
from core.layers.conv2d import Conv2D
from core.layers.dense import Dense
from core.layers.dropout import Dropout
from core.layers.elementwise import Elementwise
from core.layers.flatten import Flatten
from core.layers.global_avg_pool import GlobalAvgPool
from core.layers.layer import Array
from core.layers.reshape import Reshape
from core.network import Piece

# In evaluation mode.
AFFINE = (Dense, Conv1D, Conv2D, AvgPool2D, GlobalAvgPool, Flatten, Reshape, Dropout, BatchNorm)
UNITS = 256  # outputs that are gone backward from together


def along_input(flow: Flow, change: Array) -> Array:
    """J x' (n, *output_shape) for changes x' (n, *input_shape)."""
    layer = flow.at.layer
    if isinstance(layer, Elementwise):
        return change * slopes(flow)
    if isinstance(layer, AFFINE):
        alone = flow.alone(1)
        moved = np.stack([alone.forward(row[None], None)[0].copy() for row in change])
        still = alone.forward(np.zeros((1, *flow.at.input_shape)), None)
        return moved - still
    alone = flow.alone(min(UNITS, prod(flow.at.output_shape)))
    made = np.empty((len(change), *flow.at.output_shape))
    for row in range(len(change)):
        found = [np.tensordot(dx, change[row], change[row].ndim) for dx in _backward_from_units(flow, alone, row)]
        made[row] = np.concatenate(found).reshape(flow.at.output_shape)
    return made


def slopes(flow: Flow) -> Array:
    """dy/dx (n, *shape) of a layer that works on each number by itself."""
    alone = flow.alone(1)
    made = np.empty_like(flow.context.x)
    for row in range(len(made)):
        y = alone.forward(flow.context.x[row : row + 1], None)
        dx = alone.backward(np.ones_like(y))
        assert dx is not None
        made[row] = dx[0]
    return made


def along_parameter(flow: Flow, piece: Piece, index: tuple[int, ...]) -> Array:
    """dy/dp (n, *output_shape) for the entry of a parameter of the layer or of one inside it, e_r by e_r where y is
    not affine in it."""
    layer, context, rows, alone = flow.at.layer, flow.context, len(flow.context.x), flow.alone(1)
    start = min(own.start for at in flow.at.walk() for own in at.parameters)
    entry = piece.start - start + int(np.ravel_multi_index(index, piece.variable.shape))
    masks = [None if context.mask is None else context.mask[row : row + 1] for row in range(rows)]
    made = np.empty((rows, *flow.at.output_shape))
    if isinstance(layer, AFFINE):  # in its parameters too
        kept = alone.theta.copy()
        for value, sign in (1.0, 1.0), (0.0, -1.0):
            alone.theta[entry] = value
            for row in range(rows):
                y = sign * alone.forward(context.x[row : row + 1], masks[row])[0]
                made[row] = y if sign > 0 else made[row] + y
        alone.theta[...] = kept
        return made
    for row in range(rows):
        alone.forward(context.x[row : row + 1], masks[row])
        flat = made[row].reshape(-1)
        for unit in range(flat.size):
            alone.backward(np.eye(1, flat.size, unit).reshape(1, *flow.at.output_shape))
            flat[unit] = alone.gradient[entry]
    return made


def _backward_from_units(flow: Flow, alone: Alone, row: int) -> Iterator[Array]:
    """e_r J (units, *input_shape) for the outputs r of one row, some units at a time."""
    context, width = flow.context, prod(flow.at.output_shape)
    for start in range(0, width, UNITS):
        count = min(UNITS, width - start)
        mask = None if context.mask is None else np.repeat(context.mask[row : row + 1], count, axis=0)
        alone.forward(np.repeat(context.x[row : row + 1], count, axis=0), mask)
        dx = alone.backward(np.eye(count, width, start).reshape(count, *flow.at.output_shape))
        assert dx is not None
        yield dx
