"""The rule for a convolution, the max pool behind it and an activation between or behind these two: `winners.h`.

The activation grows with its argument, so that it may as well come last: f(max z) = max f(z).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod
from typing import NamedTuple

import numpy as np

from core.compiled import elementwise
from core.compiled.convolutions import Places, Shape, Sweep, Tables, shape_of
from core.compiled.library import Operation
from core.compiled.rules import Site, address
from core.layers.convolution import VECTOR
from core.layers.layer import Array, Context
from core.layers.max_pool2d import MaxPool2D
from core.layers.windows import Sliding
from core.network import Placed

GROWING = ("sigmoid", "tanh", "relu", "softplus")
MOST_WINDOWS, MOST_TERMS = 256, 10_000


class Group(NamedTuple):
    """A convolution, and what is done with it: how many layers, where the pool is among them, and the activation."""

    layers: int
    pool: int
    activation: str | None


def group(layers: Sequence[Placed], index: int) -> Group | None:
    """Those that begin with the layer at `index`; None where it is no convolution, or no pool fits it."""
    types = [at.layer.type for at in layers[index : index + 3]]
    match types:
        case ["conv2d", "max_pool2d", name] if name in GROWING:
            found = Group(3, 1, name)
        case ["conv2d", name, "max_pool2d"] if name in GROWING:
            found = Group(3, 2, name)
        case ["conv2d", "max_pool2d", *_]:
            found = Group(2, 1, None)
        case _:
            return None
    return found if _fits(layers[index], layers[index + found.pool]) else None


def _fits(convolution: Placed, pool: Placed) -> bool:
    """Whether the windows of the pool lie side by side, and the convolution is of one group."""
    shape, windows = shape_of(convolution), _pool(pool)
    apart = all(a.before == 0 and a.stride >= a.size and (a.count - 1) * a.stride + a.size <= a.length for a in windows)
    cells = prod(a.size for a in windows)
    few = 2 <= cells <= MOST_WINDOWS and cells * shape.filters <= MOST_TERMS
    return apart and few and shape.groups == 1 and not shape.unseen


def _pool(pool: Placed) -> tuple[Sliding, ...]:
    assert isinstance(pool.layer, MaxPool2D)
    windows = pool.layer.windows(pool.input_shape)
    return windows.rows, windows.columns


@cache
def _sweep(shape: Shape, pool: tuple[Sliding, ...]) -> tuple[Tables, Sweep, Places, Places]:
    """The windows in the order of the pool's outputs, the sweep, its runs and their beginnings."""
    plain = shape.forward()
    rows, columns = ((np.arange(a.count) * a.stride)[:, None] + np.arange(a.size) for a in pool)
    down = rows[:, None, :, None] * shape.across.count
    number = (down + columns[None, :, None, :]).ravel()
    sweep = plain._replace(at=plain.at[number], to=np.arange(len(number)) * shape.filters)
    # A row of the kernel is a run of neighbours, unless dilation parts them.
    length = shape.inside * (shape.across.size if shape.across.dilation == 1 else 1)
    at = sweep.cells[::length].copy()
    runs = np.array([len(at), length, address(at)], np.int64)
    return Tables.of([sweep], shape.input().frame(), shape, back=False), sweep, runs, at


class Winners(NamedTuple):
    """The operations of one group, y of the convolution's site being where its output goes."""

    convolution: Site
    pool: Placed
    numbers: Array  # of the winners
    kind: int

    @classmethod
    def of(cls, found: Group, site: Site, layers: Sequence[Placed], contexts: Sequence[Context]) -> Winners:
        """`layers` and their contexts are those of the group."""
        kind = 0 if found.activation is None else elementwise.KINDS[found.activation]
        return cls(site, layers[found.pool], contexts[found.pool].scratch[0], kind)

    def forward(self) -> list[Operation]:
        site, shape = self.convolution, shape_of(self.convolution.at)
        tables, *_ = self._told()
        (W, b), (seen, _, packed) = site.ctx.parameters, site.ctx.scratch
        table, panels, winners = address(tables.sweeps), address(packed), address(self.numbers)
        places = site.x, panels, address(b), site.y, table, address(tables.frame), address(seen), winners
        sizes = prod(site.at.input_shape), self._outputs, self._windows, int(bool(site.ctx.gradients)), shape.filters
        return [
            Operation("pack_kernels", (1,), (address(W), panels, table), kept=self._told()),
            Operation("convolve_and_pool", sizes, places, kind=self.kind),
        ]

    def backward(self, dy: int) -> list[Operation]:
        site, shape = self.convolution, shape_of(self.convolution.at)
        tables, sweep, runs, _ = self._told()
        (W, _), (dW, db) = site.ctx.parameters, site.ctx.gradients
        seen, made, packed = site.ctx.scratch
        x, image = prod(site.at.input_shape), shape.input()
        images, size = (site.x, x) if tables.frame is None else (address(seen), image.framed_size)
        told = address(made), address(self.numbers), address(sweep.at), address(runs), address(packed)
        sizes = size, self._outputs, self._windows, shape.filters
        rows = address(sweep.rows)
        gradients = (images, *told, address(dW), address(db), rows)
        numbers = (self._outputs * shape.filters,)
        operations = [
            Operation("elementwise_backward", numbers, (site.y, site.y, dy, told[0]), kind=self.kind),
            Operation("winner_gradients", sizes, gradients, kept=self._told()),
        ]
        if site.ctx.dx is None:
            return operations
        through = address(seen), *told, address(site.ctx.dx), address(tables.frame)
        return [
            *operations,
            Operation("pack_runs", (shape.filters,), (address(W), address(runs), address(packed), rows)),
            Operation("winner_backward", (*sizes, x), through),
        ]

    def _told(self) -> tuple[Tables, Sweep, Places, Places]:
        return _sweep(shape_of(self.convolution.at), _pool(self.pool))

    @property
    def _outputs(self) -> int:
        return prod(a.count for a in _pool(self.pool))

    @property
    def _windows(self) -> int:
        return prod(a.size for a in _pool(self.pool))


def winners_touch(convolution: Placed, pool: Placed, rows: int, threads: int) -> dict[str, int]:
    """As `Rule.touched`, of the convolution of a group."""
    image = shape_of(convolution).input()
    return {
        "seen": (min(rows, threads) if image.frame() is None else rows) * (image.framed_size + VECTOR),
        "made": rows * prod(pool.output_shape),
    }
