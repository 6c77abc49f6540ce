"""The sum that all convolutions are, over images; a sequence is an image of one column.

With windows p over x (n, rows, columns, channels), cells i of the kernel, and W (kernel rows, kernel columns, channels,
filters), where x is 0 beyond its borders:

    y[p]  = b + sum_i x[p stride + i dilation - before] W[i]
    dW[i] = sum_p x[p stride + i dilation - before]^T dy[p]             db = sum_p dy[p]
    dx[q] = sum of dy[p] W[i]^T over all p and i that meet at q = p stride + i dilation - before

This is the cross-correlation that neural networks call a convolution: the kernel is not turned around (I. Goodfellow,
Y. Bengio, A. Courville, "Deep Learning", 2016, eq. 9.6). With groups, channels and filters are cut into as many equal
stretches, and filters see the channels of their own stretch only: W is (kernel rows, kernel columns, channels / groups,
filters). One cell of the kernel is one matrix product over all windows, so the only room it takes is for one cell.
"""

from __future__ import annotations

from math import prod
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from core.initializers import Initializer
from core.layers.layer import Array, Misfit, Scratch, Shape, Variable
from core.layers.windows import Windows

VECTOR = 16  # numbers, at most
Filters = Annotated[int, Field(strict=True, ge=1, le=2**20, examples=[16])]


class Convolution(NamedTuple):
    """Where the windows stand, and what is seen and made in them. Arrays as above; `rooms` are those of `scratch`."""

    windows: Windows
    channels: int
    filters: int
    groups: int

    def forward(self, x: Array, W: Array, b: Array, y: Array, rooms: tuple[Array, ...]) -> None:
        """Fill y."""
        seen, made, _ = rooms
        y[...] = b
        for cell, windows, inputs in self.windows.cells():
            product = _room(made, target := self._split(y[windows]))
            np.matmul(_matrices(self._gather(x[inputs], seen)), self._split(W[cell]), out=_matrices(product))
            target += product

    def backward(
        self, x: Array, W: Array, dy: Array, gradients: tuple[Array, ...], dx: Array | None, rooms: tuple[Array, ...]
    ) -> None:
        """Fill the gradients of W and b, and dx if it is wanted."""
        seen, made, _ = rooms
        dW, db = gradients
        np.sum(dy, axis=(0, 1, 2), out=db)
        dW[...] = 0
        if dx is not None:
            dx[...] = 0
        for cell, windows, inputs in self.windows.cells():
            d = _matrices(self._gather(dy[windows], made))
            np.matmul(_matrices(self._gather(x[inputs], seen)).swapaxes(1, 2), d, out=self._split(dW[cell]))
            if dx is not None:
                product = _room(seen, target := self._split(dx[inputs]))
                np.matmul(d, self._split(W[cell]).swapaxes(1, 2), out=_matrices(product))
                target += product

    def parameters(self, kernel: Shape, weights: Initializer, biases: Initializer) -> dict[str, Variable]:
        """W (*kernel, channels / groups, filters) and b (filters), which begin with these initializers."""
        cells, inside = prod(kernel), self.channels // self.groups
        fans = cells * inside, cells * self.filters // self.groups
        return {
            "weights": Variable((*kernel, inside, self.filters), weights, *fans, penalised=True),
            "biases": Variable((self.filters,), biases, *fans),
        }

    @property
    def flops(self) -> int:
        """Those of forward for one example."""
        fan_in = self.windows.rows.size * self.windows.columns.size * self.channels // self.groups
        return (2 * fan_in + 1) * prod(self.windows.shape) * self.filters

    def scratch(self, rows: int) -> dict[str, Scratch]:
        """Room for what one cell of the kernel sees in all windows, and for what it adds to them.

        The compiled form keeps images with a frame of zeros there, and in `packed` the weights as it reads them.
        """
        down, across = self.windows.rows, self.windows.columns
        channels, filters = self.channels, self.filters
        windows = down.count * across.count
        seen = max(windows, (down.length + sum(down.frame())) * (across.length + sum(across.frame()))) * channels
        framed = (down.count + sum(down.frame_of_windows())) * (across.count + sum(across.frame_of_windows()))
        made = max(windows, framed) * filters
        cells = down.size * across.size
        inside, outside = channels // self.groups, filters // self.groups
        runs, length = (down.size, across.size * inside) if across.dilation == 1 else (cells, inside)
        packed = max(
            cells * self.groups * max(inside * _in_vectors(outside), outside * _in_vectors(inside)),
            filters * runs * _in_vectors(length),
        )
        return {
            "seen": Scratch((rows * (seen + VECTOR),)),
            "made": Scratch((rows * made + VECTOR,)),
            "packed": Scratch((packed + VECTOR,)),
        }

    def _split(self, a: Array) -> Array:
        """The view (groups, ..., k) of an array (..., groups k)."""
        return np.moveaxis(a.reshape(*a.shape[:-1], self.groups, -1), -2, 0)

    def _gather(self, a: Array, room: Array) -> Array:
        """A copy of a, split into groups."""
        split = self._split(a)
        copy = _room(room, split)
        copy[...] = split
        return copy


def check_groups(groups: int, channels: int, filters: int) -> None:
    """Raises Misfit where channels or filters cannot be cut into groups of equal size."""
    for name, count, field in ("channels of its input", channels, "groups"), ("filters", filters, "filters"):
        if count % groups:
            way = f"choose groups that divide {count}" if field == "groups" else f"choose a multiple of {groups}"
            raise Misfit(field, f"The {count} {name} cannot be cut into {groups} groups of equal size: {way}.")


def _in_vectors(columns: int) -> int:
    return -(-columns // VECTOR) * VECTOR


def _room(room: Array, like: Array) -> Array:
    """The beginning of a flat room, in the shape of another array."""
    return room[: like.size].reshape(like.shape)


def _matrices(a: Array) -> Array:
    """(groups, ..., k) contiguous, as one matrix a group."""
    return a.reshape(len(a), -1, a.shape[-1])
