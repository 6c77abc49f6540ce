"""The rules of convolutions: where their patches lie, as the tables that `convolution.h` reads.

Number k of the patch of window w is image[at[w] + cells[k]], in an image with a frame of zeros where it is padded. dx
is a convolution as well: of dy, with the kernel turned around. With a stride, the places of x fall into classes, each
of which meets its own cells of the kernel; every class is a sweep of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.compiled.library import Operation
from core.compiled.rules import Rule, Site, address
from core.layers.conv1d import Conv1D
from core.layers.conv2d import Conv2D
from core.layers.windows import Sliding
from core.network import Placed

Places = NDArray[np.int64]


class Image(NamedTuple):
    """The numbers of one example, and of the frame of zeros around its rows and columns."""

    rows: int
    columns: int
    channels: int
    above: int = 0
    below: int = 0
    before: int = 0
    behind: int = 0

    @property
    def framed_row(self) -> int:
        return (self.before + self.columns + self.behind) * self.channels

    @property
    def framed_size(self) -> int:
        return (self.above + self.rows + self.below) * self.framed_row

    def frame(self) -> Places | None:
        """`Frame` in convolution.h; None where there is none."""
        if not (self.above or self.below or self.before or self.behind):
            return None
        row, before = self.columns * self.channels, self.before * self.channels
        return _integers(self.rows, row, self.above * self.framed_row, before, self.framed_row, self.framed_size)

    def places(self, rows: Places, columns: Places, channels: Places) -> Places:
        """Where the numbers of these rows, columns and channels lie, in row-major order of the three."""
        size = self.framed_row
        found: Places = np.add.outer(np.add.outer(rows * size, columns * self.channels), channels).ravel()
        return found


class Sweep(NamedTuple):
    """`Sweep` in convolution.h, of the first group."""

    at: Places
    to: Places
    cells: Places
    rows: Places
    columns: int


class Shape(NamedTuple):
    """What a convolution is told by."""

    down: Sliding
    across: Sliding
    channels: int
    filters: int
    groups: int

    @property
    def inside(self) -> int:
        """Channels that a filter sees."""
        return self.channels // self.groups

    @property
    def unseen(self) -> bool:
        """Whether some cells of the kernel lie in the padding for every window."""
        return any(len(_seen(axis)) < axis.size for axis in (self.down, self.across))

    def kernel(self, i: Places, j: Places, channel: Places, filter_: Places) -> Places:
        """Where the weights of these cells lie, in row-major order of the four."""
        cells = np.add.outer(i * self.across.size, j).ravel()
        ends = np.add.outer(channel * self.filters, filter_).ravel()
        found: Places = np.add.outer(cells * self.inside * self.filters, ends).ravel()
        return found

    def input(self) -> Image:
        """x, with its frame."""
        return Image(self.down.length, self.across.length, self.channels, *self.down.frame(), *self.across.frame())

    def forward(self) -> Sweep:
        """y from x."""
        image = self.input()
        i, j = _seen(self.down), _seen(self.across)
        starts = np.arange(self.down.count) * self.down.stride, np.arange(self.across.count) * self.across.stride
        at = image.places(*starts, _NONE)
        rows, columns = image.above + _shifts(self.down, i), image.before + _shifts(self.across, j)
        cells = image.places(rows, columns, np.arange(self.inside))
        rows_of_W = self.kernel(i, j, np.arange(self.inside), _NONE)
        return Sweep(at, np.arange(len(at)) * self.filters, cells, rows_of_W, self.filters // self.groups)

    def output(self) -> Image:
        """dy, with the frame that dx needs."""
        frame = *self.down.frame_of_windows(), *self.across.frame_of_windows()
        return Image(self.down.count, self.across.count, self.filters, *frame)

    def backward(self) -> Iterator[Sweep]:
        """dx from dy."""
        image, filters = self.output(), np.arange(self.filters // self.groups)
        x = Image(self.down.length, self.across.length, self.channels)
        for r, c in product(_classes(self.down), _classes(self.across)):
            at = image.places(r.windows + image.above, c.windows + image.before, _NONE)
            cells = image.places(r.shifts, c.shifts, filters)
            rows = self.kernel(r.cells, c.cells, _NONE, filters)
            order = np.argsort(cells, kind="stable")
            if len(at):
                yield Sweep(at, x.places(r.inputs, c.inputs, _NONE), cells[order], rows[order], self.inside)


class _Class(NamedTuple):
    """Inputs along an axis that are met by the same cells: by cell i of the window that is its shift further."""

    inputs: Places
    windows: Places
    cells: Places
    shifts: Places


_NONE = np.zeros(1, np.int64)


def _classes(axis: Sliding) -> list[_Class]:
    """Window p meets input q with cell i where q + before = p stride + i dilation."""
    found = []
    q, i = np.arange(axis.length), _seen(axis)
    for r in range(axis.stride):
        inputs = q[(q + axis.before) % axis.stride == r]
        cells = i[(i * axis.dilation) % axis.stride == r]
        shifts = (r - cells * axis.dilation) // axis.stride
        found.append(_Class(inputs, (inputs + axis.before - r) // axis.stride, cells, shifts))
    return found


def _seen(axis: Sliding) -> Places:
    """The cells of the kernel that lie inside for any window."""
    return np.array([i for i, *_ in axis.cells()], np.int64)


def _shifts(axis: Sliding, i: Places) -> Places:
    return i * axis.dilation - axis.before


def _integers(*values: int) -> Places:
    return np.array(values, np.int64)


class Tables(NamedTuple):
    """Sweeps as convolution.h reads them, what they point into, the frame, and how many numbers the panels are."""

    sweeps: Places
    frame: Places | None
    kept: tuple[Places, ...]

    @classmethod
    def of(cls, sweeps: list[Sweep], frame: Places | None, shape: Shape, *, back: bool) -> Tables:
        """For all groups; `back`: sweeps that go from dy to dx."""
        x, y = shape.inside, shape.filters // shape.groups
        entries, panels = [], 0
        for sweep in sweeps:
            steps = (y, x, y, shape.filters) if back else (x, y, y, 1)
            for g in range(shape.groups):
                source, target, weights = (g * step for step in steps[:3])
                told = len(sweep.at), len(sweep.cells), sweep.columns, source, target, panels, weights, steps[3]
                entries.append((*told, *(address(a) for a in sweep[:4])))
                panels += len(sweep.cells) * -(-sweep.columns // 16) * 16
        return cls(np.array(entries, np.int64), frame, tuple(a for sweep in sweeps for a in sweep[:4]))


@cache
def _forward_tables(shape: Shape) -> Tables:
    return Tables.of([shape.forward()], shape.input().frame(), shape, back=False)


@cache
def _backward_tables(shape: Shape) -> Tables:
    return Tables.of(list(shape.backward()), shape.output().frame(), shape, back=True)


def shape_of(at: Placed) -> Shape:
    """The convolution at a place."""
    assert isinstance(at.layer, Conv1D | Conv2D)
    windows, channels, filters, groups = at.layer.convolution(at.input_shape)
    return Shape(windows.rows, windows.columns, channels, filters, groups)


def _sizes(shape: Shape) -> tuple[int, int]:
    down, across = shape.down, shape.across
    return down.length * across.length * shape.channels, down.count * across.count * shape.filters


def _forward(site: Site) -> list[Operation]:
    shape = shape_of(site.at)
    tables, (seen, _, packed) = _forward_tables(shape), site.ctx.scratch
    W, b = site.ctx.parameters
    table, panels = address(tables.sweeps), address(packed)
    places = site.x, panels, address(b), site.y, table, address(tables.frame), address(seen)
    return [
        Operation("pack_kernels", (len(tables.sweeps),), (address(W), panels, table), kept=tables),
        Operation("convolve", (*_sizes(shape), len(tables.sweeps), int(bool(site.ctx.gradients))), places),
    ]


def _backward(site: Site, dy: int) -> list[Operation]:
    shape = shape_of(site.at)
    x, y = _sizes(shape)
    tables, (seen, made, packed) = _forward_tables(shape), site.ctx.scratch
    (W, _), (dW, db) = site.ctx.parameters, site.ctx.gradients
    image, size = (site.x, x) if tables.frame is None else (address(seen), shape.input().framed_size)
    places = image, 0, address(dW), dy, address(tables.sweeps), address(db)
    count = len(tables.sweeps)
    operations = [Operation("convolution_gradients", (size, y, count, 0, shape.filters), places, kept=tables)]
    if shape.unseen:
        operations.insert(0, Operation("clear", (dW.size,), (address(dW),)))
    if site.ctx.dx is None:
        return operations
    back = _backward_tables(shape)
    table, panels = address(back.sweeps), address(packed)
    through = dy, panels, 0, address(site.ctx.dx), table, address(back.frame), address(made)
    return [
        *operations,
        Operation("pack_kernels", (len(back.sweeps),), (address(W), panels, table), kept=back),
        Operation("convolve", (y, x, len(back.sweeps), 0), through),
    ]


def _touched(at: Placed, rows: int, threads: int) -> dict[str, int]:
    """Images with a frame, if they have one: x for all rows, dy for one of each thread."""
    shape = shape_of(at)
    x, dy = shape.input(), shape.output()
    return {
        "seen": 0 if x.frame() is None else rows * x.framed_size,
        "made": 0 if dy.frame() is None else min(rows, threads) * dy.framed_size,
    }


RULES = {name: Rule(_forward, _backward, _touched) for name in ("conv1d", "conv2d")}
