"""The rules of pools: `pooling.h`."""

from __future__ import annotations

from dataclasses import astuple
from functools import cache

import numpy as np
from numpy.typing import NDArray

from core.compiled.library import Operation
from core.compiled.rules import Rule, Site, address
from core.layers.avg_pool2d import AvgPool2D
from core.layers.axes import image, places
from core.layers.max_pool2d import MaxPool2D
from core.layers.windows import Windows

Table = NDArray[np.int64]


@cache
def _table(windows: Windows) -> Table:
    """`Sliding` of both axes."""
    return np.array([astuple(windows.rows), astuple(windows.columns)], np.int64)


def _pool(name: str, site: Site, x: int, y: int) -> list[Operation]:
    layer, shape = site.at.layer, site.at.input_shape
    assert isinstance(layer, MaxPool2D | AvgPool2D)
    table = _table(layer.windows(shape))
    winners = site.ctx.scratch[0]
    kind = winners.itemsize if isinstance(layer, MaxPool2D) else 0
    at = x, y, address(table), address(winners)
    return [Operation(name, (image(shape, layer.type)[2],), at, kind=kind, kept=table)]


def _global(name: str, site: Site, x: int, y: int) -> list[Operation]:
    winners = address(site.ctx.scratch[0]) if site.ctx.scratch else 0
    return [Operation(name, places(site.at.input_shape, site.at.layer.type), (x, y, winners))]


def _forward(site: Site) -> list[Operation]:
    kind, made = _KINDS[site.at.layer.type]
    return made(f"{kind}_forward", site, site.x, site.y)


def _backward(site: Site, dy: int) -> list[Operation]:
    kind, made = _KINDS[site.at.layer.type]
    return [] if site.ctx.dx is None else made(f"{kind}_backward", site, address(site.ctx.dx), dy)


_KINDS = {
    "max_pool2d": ("max_pool", _pool),
    "avg_pool2d": ("avg_pool", _pool),
    "global_max_pool": ("global_max", _global),
    "global_avg_pool": ("global_avg", _global),
}
_UNTOUCHED = {"larger": 0, "share": 0}
RULES = {name: Rule(_forward, _backward, lambda at, rows, threads: _UNTOUCHED) for name in _KINDS}
