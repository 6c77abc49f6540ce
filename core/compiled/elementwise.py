"""The operations of layers that work on each number alone, and of softmax."""

from __future__ import annotations

from math import prod

from core.compiled.library import Operation
from core.compiled.rules import Rule, Site, address

# The kinds of elementwise.h, from 1 on, and the field of the layer that is its constant.
CONSTANTS = {
    "sigmoid": None,
    "tanh": None,
    "relu": None,
    "softplus": None,
    "leaky_relu": "slope",
    "elu": "alpha",
    "silu": None,
    "gelu": None,
}
KINDS = {name: kind for kind, name in enumerate(CONSTANTS, 1)}


def _operation(name: str, site: Site, *gradients: int) -> Operation:
    layer = site.at.layer
    field = CONSTANTS[layer.type]
    kept = address(site.ctx.scratch[0]) if site.ctx.scratch else 0
    places = (site.x, site.y, *gradients, kept)
    values = () if field is None else (getattr(layer, field),)
    return Operation(name, (prod(site.at.input_shape),), places, values, KINDS[layer.type])


def _forward(site: Site) -> list[Operation]:
    return [_operation("elementwise_forward", site, 0, 0)]


def _backward(site: Site, dy: int) -> list[Operation]:
    if site.ctx.dx is None:
        return []
    return [_operation("elementwise_backward", site, dy, address(site.ctx.dx))]


def _softmax(site: Site) -> list[Operation]:
    *rows, width = site.at.input_shape
    return [Operation("softmax_forward", (width, prod(rows)), (site.x, site.y))]


def _softmax_back(site: Site, dy: int) -> list[Operation]:
    if site.ctx.dx is None:
        return []
    *rows, width = site.at.input_shape
    return [Operation("softmax_backward", (width, prod(rows)), (site.y, dy, address(site.ctx.dx)))]


RULES = {"softmax": Rule(_softmax, _softmax_back), **dict.fromkeys(KINDS, Rule(_forward, _backward))}
