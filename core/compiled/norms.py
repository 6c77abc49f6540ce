"""The rules of normalisation: `norms.h`, which tells h from x anew; the room that NumPy gives to h holds the means."""

from __future__ import annotations

from math import prod

from core.compiled.library import Operation
from core.compiled.rules import Rule, Site, address
from core.layers.batch_norm import BatchNorm
from core.layers.layer_norm import LayerNorm
from core.network import Placed


def _sizes(site: Site) -> tuple[int, int]:
    *before, last = site.at.input_shape
    return prod(before), last


def _told(site: Site) -> tuple[int, int, int]:
    """x, and where its means and 1 / sqrt(variance + epsilon) are."""
    mean, r = site.ctx.scratch
    return site.x, address(mean), address(r)


def _batch_norm(site: Site) -> list[Operation]:
    layer, told, sizes = site.at.layer, _told(site), _sizes(site)
    assert isinstance(layer, BatchNorm)
    running, constants = (address(vector) for vector in site.ctx.state), (layer.epsilon, layer.momentum)
    kind = int(not site.ctx.training)
    scale_and_shift = (address(vector) for vector in site.ctx.parameters)
    return [
        Operation("batch_norm_statistics", sizes, (*told, *running), constants, kind),
        Operation("batch_norm_forward", sizes, (*told, *scale_and_shift, site.y)),
    ]


def _layer_norm(site: Site) -> list[Operation]:
    layer = site.at.layer
    assert isinstance(layer, LayerNorm)
    scale_and_shift = (address(vector) for vector in site.ctx.parameters)
    return [Operation("layer_norm_forward", _sizes(site), (*_told(site), *scale_and_shift, site.y), (layer.epsilon,))]


def _backward(site: Site, dy: int) -> list[Operation]:
    name, sizes = site.at.layer.type, _sizes(site)
    (dscale, dshift), (scale, _), dx = site.ctx.gradients, site.ctx.parameters, site.ctx.dx
    places = (*_told(site), dy, address(dscale), address(dshift))
    made = [Operation(f"{name}_gradients", sizes, places)]
    return made if dx is None else [*made, Operation(f"{name}_backward", sizes, (*places, address(scale), address(dx)))]


def _touched(at: Placed, rows: int, threads: int) -> dict[str, int]:
    means = at.input_shape[-1] if at.layer.type == "batch_norm" else rows * prod(at.input_shape[:-1])
    return {"h": means}


RULES = {
    "batch_norm": Rule(_batch_norm, _backward, _touched),
    "layer_norm": Rule(_layer_norm, _backward, _touched),
}
