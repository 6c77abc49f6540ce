"""How hard each row of a batch pushes: the norm of its own gradient, formed only where that is the cheaper way.

A row's gradient of a weight matrix is a sum over places t (the steps of a sequence, the windows of an image; one place
for a dense layer) of outer products, G = sum_t a_t^T d_t, of what comes in, a_t (k), and the derivative by what goes
out, d_t (m). Its squared norm is also a sum over pairs of places,

    |G|^2 = sum_t sum_s (a_t . a_s)(d_t . d_s),

which costs P^2 (k + m) for P places instead of P k m. For one place this is I. Goodfellow, "Efficient per-example
gradient computations", 2015, eq. 3: |d|^2 |a|^2, and |d|^2 (|a|^2 + 1) with the biases.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from typing import NamedTuple

import numpy as np

from core.explanations.backpropagation import Backpropagation, Flow
from core.layers.axes import as_images
from core.layers.batch_norm import BatchNorm
from core.layers.conv1d import Conv1D
from core.layers.conv2d import Conv2D
from core.layers.convolution import Convolution
from core.layers.dense import Dense
from core.layers.embedding import Embedding
from core.layers.gru import GRU
from core.layers.layer import Array, Layer
from core.layers.layer_norm import LayerNorm
from core.layers.lstm import LSTM
from core.layers.self_attention import SelfAttention
from core.layers.simple_rnn import SimpleRNN

PAIRS = 4 * 2**20  # numbers of pairs, or of gradients, that are held at a time


class Products(NamedTuple):
    """A parameter whose gradient is, for each row, the sum over its places of a^T d: a (n, P, k), d (n, P, m)."""

    a: Array
    d: Array


class Gradients(NamedTuple):
    """A parameter whose gradient is at hand for each row: (n, ...)."""

    each: Array


def row_norms(found: Backpropagation) -> Array:
    """|dC_i/dtheta| (n,) of each row's own cost C_i, which is not divided by the number of rows."""
    n = len(found.examples)
    squares = np.zeros(n)
    for flow in found.flows():
        if flow.at.parameters and flow.dy is not None:
            for term in parts(flow.at.layer, flow, flow.dy):
                squares += _squares(term)
    norms: Array = n * np.sqrt(squares)
    return norms


def _squares(term: Products | Gradients) -> Array:
    if isinstance(term, Gradients):
        flat = term.each.reshape(len(term.each), -1)
        norms: Array = np.vecdot(flat, flat)
        return norms
    (n, places, k), m = term.a.shape, term.d.shape[2]
    squares = np.empty(n)
    in_pairs = places * (k + m) <= k * m
    size = max(1, PAIRS // (places * places if in_pairs else k * m))
    for start in range(0, n, size):
        a, d = term.a[start : start + size], term.d[start : start + size]
        if in_pairs:
            squares[start : start + size] = np.einsum("nts,nts->n", a @ a.swapaxes(1, 2), d @ d.swapaxes(1, 2))
        else:
            squares[start : start + size] = np.square(a.swapaxes(1, 2) @ d).sum(axis=(1, 2))
    return squares


@singledispatch
def parts(layer: Layer, flow: Flow, dy: Array) -> Iterator[Products | Gradients]:
    """The layer's parameters, row by row; by running it backward for one row at a time where nothing better is known.

    In evaluation mode rows do not meet, so that a row alone has the gradient that it has among others.
    """
    alone, context = flow.alone(1), flow.context
    each = np.empty((len(dy), alone.gradient.size))
    for row in range(len(dy)):
        one = slice(row, row + 1)
        alone.forward(context.x[one], None if context.mask is None else context.mask[one])
        alone.backward(dy[one])
        each[row] = alone.gradient
    yield Gradients(each)


@parts.register
def _(layer: Dense, flow: Flow, dy: Array) -> Iterator[Products | Gradients]:
    yield Products(flow.context.x[:, None], dy[:, None])
    yield Gradients(dy)


@parts.register
def _(layer: Conv2D, flow: Flow, dy: Array) -> Iterator[Products | Gradients]:
    yield from _convolution(layer.convolution(flow.at.input_shape), as_images(flow.context.x), dy)


@parts.register
def _(layer: Conv1D, flow: Flow, dy: Array) -> Iterator[Products | Gradients]:
    yield from _convolution(layer.convolution(flow.at.input_shape), flow.context.x[:, :, None], dy[:, :, None])


def _convolution(convolution: Convolution, x: Array, dy: Array) -> Iterator[Products | Gradients]:
    """x (n, rows, columns, channels), dy (n, *windows, filters); each group is a matrix of its own."""
    windows, groups = convolution.windows, convolution.groups
    n, kernel = len(x), (windows.rows.size, windows.columns.size)
    seen = np.zeros((n, *windows.shape, *kernel, x.shape[-1]))  # 0 beyond the borders
    for cell, places, inputs in windows.cells():
        at: tuple[slice | int, ...] = (*places, *cell)
        seen[at] = x[inputs]
    inside, outside = x.shape[-1] // groups, dy.shape[-1] // groups
    for group in range(groups):
        a = seen[..., group * inside : (group + 1) * inside].reshape(n, -1, kernel[0] * kernel[1] * inside)
        d = dy[..., group * outside : (group + 1) * outside].reshape(n, -1, outside)
        yield Products(a, d)
    yield Gradients(dy.sum(axis=(1, 2)))


@parts.register
def _(layer: SimpleRNN, flow: Flow, dy: Array) -> Iterator[Products | Gradients]:
    steps, h, da, *_ = flow.context.scratch
    yield from _recurrent(steps, h, da, da)
    yield Gradients(da.sum(axis=0))


@parts.register
def _(layer: LSTM, flow: Flow, dy: Array) -> Iterator[Products | Gradients]:
    steps, _, h, _, da, *_ = flow.context.scratch
    yield from _recurrent(steps, h, da, da)
    yield Gradients(da.sum(axis=0))


@parts.register
def _(layer: GRU, flow: Flow, dy: Array) -> Iterator[Products | Gradients]:
    steps, _, _, h, da, dq, *_ = flow.context.scratch
    yield from _recurrent(steps, h, da, dq)
    yield Gradients(da.sum(axis=0))
    yield Gradients(dq[..., 2 * layer.units :].sum(axis=0))


def _recurrent(steps: Array, h: Array, da: Array, dq: Array) -> Iterator[Products]:
    """The weights of the inputs and of the states before, of arrays that are time first."""
    yield Products(steps.swapaxes(0, 1), da.swapaxes(0, 1))
    yield Products(h[:-1].swapaxes(0, 1), dq.swapaxes(0, 1))


@parts.register
def _(layer: Embedding, flow: Flow, dy: Array) -> Iterator[Products | Gradients]:
    """a_t is 1 at the number that was looked up: a_t . a_s is whether both places looked up the same."""
    index = flow.context.scratch[0].reshape(len(dy), -1)
    d = dy.reshape(*index.shape, -1)
    numbers = np.arange(len(index))[:, None] * layer.size + index  # no number is shared between rows
    known, places = np.unique(numbers, return_inverse=True)
    sums = np.zeros((len(known), d.shape[2]))
    np.add.at(sums, places.reshape(-1), d.reshape(-1, d.shape[2]))
    squares = np.zeros(len(index))
    np.add.at(squares, known // layer.size, np.square(sums).sum(axis=1))
    yield Gradients(np.sqrt(squares))


@parts.register(BatchNorm)
@parts.register(LayerNorm)
def _(layer: BatchNorm | LayerNorm, flow: Flow, dy: Array) -> Iterator[Products | Gradients]:
    h = flow.context.scratch[0]
    between = tuple(range(1, dy.ndim - 1))
    yield Gradients((dy * h).sum(axis=between))
    yield Gradients(dy.sum(axis=between))


@parts.register
def _(layer: SelfAttention, flow: Flow, dy: Array) -> Iterator[Products | Gradients]:
    placed, _, _, m, dqkv, *_ = flow.context.scratch
    yield Products(placed if layer.positions else flow.context.x, dqkv)
    yield Products(m, dy)
    yield Gradients(dqkv.sum(axis=1))
    yield Gradients(dy.sum(axis=1))
    if layer.positions:
        yield Gradients(dqkv @ flow.context.parameters[0].T)
