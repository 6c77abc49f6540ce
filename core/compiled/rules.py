"""What each kind of layer becomes: the rules by which operations are written for it.

A rule sees a layer at its place, its context for a full batch, and the addresses of what comes in. Addresses stay the
same for smaller batches, which use the beginning of each place. A layer without a rule is computed by its own NumPy
methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import NamedTuple

from core.compiled.library import Operation
from core.layers.dropout import Dropout
from core.layers.layer import Array, Context
from core.network import Placed

BY_COLUMN = 256  # bytes of a line of W from which sorting the entries of a batch by column pays


class Moving(NamedTuple):
    """What an operation needs to move a matrix of theta as soon as it finds its gradient: `move.h`.

    kind: 1 + that of the optimizer; values: its constants and those of penalties and decay; memory, sums: addresses.
    """

    kind: int
    values: tuple[float, ...]
    memory: tuple[int, int]
    sums: int


Claim = Callable[[Array], Moving | None]  # asks to move a matrix; None where it is moved later, with all the others


class Site(NamedTuple):
    """A layer where it stands: x and y are the addresses of its input and output, `mask` that of the mask of the
    batch's sequences (n, time), 0 if there is none; `move` is asked by operations that can move its weights."""

    at: Placed
    ctx: Context
    x: int
    y: int
    mask: int = 0
    move: Claim = lambda W: None


class Sparse(NamedTuple):
    """Addresses for inputs that are told by what is not zero: the rows of the batch, and room to sort by column."""

    rows: int
    starts: int
    numbers: int
    values: int


Forward = Callable[[Site], list[Operation]]
Backward = Callable[[Site, int], list[Operation]]  # the address of dy beside it


class Rule(NamedTuple):
    """The operations of forward and of backward, each in order.

    touched: how many numbers of a layer's scratch they write, for so many rows and threads, by its name; all, where
    it is not named. The rest is room for NumPy, whose pages are never written here.
    """

    forward: Forward
    backward: Backward
    touched: Callable[[Placed, int, int], Mapping[str, int]] = lambda at, rows, threads: {}


def address(array: Array | None) -> int:
    """Where an array begins; 0 for none."""
    return 0 if array is None else array.ctypes.data


def _dense(site: Site) -> list[Operation]:
    W, b = site.ctx.parameters
    return [Operation("dense_forward", (*W.shape, 1), (site.x, address(W), address(b), site.y))]


def _dense_back(site: Site, dy: int) -> list[Operation]:
    W = site.ctx.parameters[0]
    dW, db = site.ctx.gradients
    places = (site.x, address(W), 0, dy, address(site.ctx.dx), address(dW), address(db))
    gradients = moves(Operation("dense_gradients", (*W.shape, 1), places), site.move(W))
    # What goes backward needs W as it was.
    return [gradients] if site.ctx.dx is None else [Operation("dense_backward", (*W.shape, 1), places), gradients]


def moves(operation: Operation, moving: Moving | None) -> Operation:
    """The same operation, which finds the gradient of a matrix p[1], moving that too."""
    if moving is None:
        return operation
    places = (*operation.p, 0, 0)[:8]
    return operation._replace(kind=moving.kind, v=moving.values, p=(*places, *moving.memory, moving.sums))


def sparse_dense(site: Site, x: Sparse) -> list[Operation]:
    """A first dense layer on sparse inputs."""
    W, b = site.ctx.parameters
    return [Operation("sparse_forward", W.shape, (x.rows, address(W), address(b), site.y))]


def sparse_dense_back(site: Site, x: Sparse, dy: int) -> list[Operation]:
    """Its gradients."""
    W = site.ctx.parameters[0]
    dW, db = site.ctx.gradients
    places = (x.rows, address(W), x.starts, dy, x.numbers, address(dW), address(db), x.values)
    if W.shape[1] * W.itemsize < BY_COLUMN:
        return [moves(Operation("sparse_gradients", W.shape, places), site.move(W))]
    gradients = moves(Operation("column_gradients", W.shape, places), site.move(W))
    return [Operation("sort_by_column", W.shape, places), gradients]


def _dropout(site: Site) -> list[Operation]:
    size = prod(site.at.input_shape)
    if not site.ctx.training:
        return [Operation("elementwise_forward", (size,), (site.x, site.y))]
    (mask,), layer = site.ctx.scratch, site.at.layer
    assert isinstance(layer, Dropout)
    return [Operation("dropout_forward", (size, site.at.number), (site.x, site.y, address(mask)), (layer.rate,))]


def _dropout_back(site: Site, dy: int) -> list[Operation]:
    if site.ctx.dx is None:
        return []
    places = (dy, address(site.ctx.dx), address(site.ctx.scratch[0]))
    return [Operation("dropout_backward", (prod(site.at.input_shape),), places)]


RULES = {
    "dense": Rule(_dense, _dense_back),
    "dropout": Rule(_dropout, _dropout_back),
}
