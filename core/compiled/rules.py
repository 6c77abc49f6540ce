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

BY_COLUMN = 64  # outputs from which sorting the entries of a batch by column pays


class Site(NamedTuple):
    """A layer where it stands: x and y are the addresses of its input and output, `mask` that of the mask of the
    batch's sequences (n, time), 0 if there is none."""

    at: Placed
    ctx: Context
    x: int
    y: int
    mask: int = 0


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
    made = [Operation("dense_gradients", (*W.shape, 1), places)]
    return made if site.ctx.dx is None else [*made, Operation("dense_backward", (*W.shape, 1), places)]


def sparse_dense(site: Site, x: Sparse) -> list[Operation]:
    """A first dense layer on sparse inputs."""
    W, b = site.ctx.parameters
    return [Operation("sparse_forward", W.shape, (x.rows, address(W), address(b), site.y))]


def sparse_dense_back(site: Site, x: Sparse, dy: int) -> list[Operation]:
    """Its gradients."""
    dW, db = site.ctx.gradients
    places = (x.rows, 0, 0, dy, address(dW), address(db), x.starts, x.numbers, x.values)
    if dW.shape[1] < BY_COLUMN:
        return [Operation("sparse_gradients", dW.shape, places)]
    return [Operation(name, dW.shape, places) for name in ("sort_by_column", "column_gradients")]


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
