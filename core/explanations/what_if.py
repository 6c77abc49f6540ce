"""What if one weight were a little different: what its derivative predicts, and what then happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np

from core.explanations.backpropagation import Examples, Flow
from core.explanations.paths import NoPaths, Paths, paths
from core.explanations.subject import Subject
from core.explanations.tangents import AFFINE, along_input, along_parameter
from core.layers.elementwise import Elementwise
from core.layers.layer import Array
from core.network import Network, Piece, pairs
from core.spec import Finding, SpecError


class Ripple(NamedTuple):
    """How the outputs (n, *shape) of one layer change: to first order in the change of the weight, and in truth."""

    layer: int
    type: str
    first_order: Array
    actual: Array
    kinks: int  # numbers that came to the other side of a kink, where first order says nothing


@dataclass(frozen=True, eq=False)
class WhatIf:
    """gradient: dC/dw. predicted: dC/dw delta. measured: C(w + delta) - C(w). paths: of one example, else why none."""

    cost: float
    value: float
    gradient: float
    predicted: float
    measured: float
    ripples: list[Ripple]
    paths: Paths | NoPaths


def what_if(
    subject: Subject, examples: Examples, layer: int, parameter: str, index: Sequence[int], delta: float
) -> WhatIf:
    """Change the entry `index` of a parameter of a layer of the spec, counted from 0, by `delta`.

    The parameter is named as `Subject.piece` takes it; of one inside a residual block the ripple begins behind that.

    Raises:
        SpecError: there is no such layer, parameter or entry (at /layer, /parameter or /index), or delta is so large
            that the cost is no longer a number (at /delta).
    """
    piece = subject.piece(layer, parameter)
    entry = _entry(piece, layer, index)
    at = piece.start + int(np.ravel_multi_index(entry, piece.variable.shape))
    theta = subject.theta.copy()
    theta[at] += delta
    before, after = subject.backpropagate(examples), subject.backpropagate(examples, theta)
    if not np.isfinite(after.cost):
        detail = "With a change so large the cost is no longer a number: make it smaller."
        raise SpecError([Finding("/delta", detail)])
    flows, moved = before.outer(), after.outer()
    gradient = float(before.gradient[at])
    try:
        found: Paths | NoPaths = paths(before, flows, layer, piece, entry)
    except NoPaths as reason:
        found = reason
    return WhatIf(
        cost=before.cost,
        value=float(subject.theta[at]),
        gradient=gradient,
        predicted=gradient * delta,
        measured=after.cost - before.cost,
        ripples=_ripples(flows, moved, layer, piece, entry, delta),
        paths=found,
    )


def flops(network: Network) -> int:
    """About what it takes for one example, at most: two passes, and the change carried forward, through most layers at
    the price of one more, through others unit by unit."""
    once = (*AFFINE, Elementwise)
    return sum(
        at.layer.flops(at.input_shape) * (6 + (2 if isinstance(at.layer, once) else 3 * prod(at.output_shape)))
        for at in network.layers
    )


def _entry(piece: Piece, layer: int, index: Sequence[int]) -> tuple[int, ...]:
    shape = piece.variable.shape
    if len(index) != len(shape) or any(not 0 <= i < size for i, size in zip(index, shape, strict=True)):
        inside = piece.name.removeprefix(f"layers.{layer}.")
        detail = f"{inside} of layer {layer} is of shape {list(shape)}: give one number, from 0, for each axis."
        raise SpecError([Finding("/index", detail)])
    return tuple(index)


def _ripples(
    flows: Sequence[Flow],
    moved: Sequence[Flow],
    layer: int,
    piece: Piece,
    entry: tuple[int, ...],
    delta: float,
) -> list[Ripple]:
    ripples = []
    change: Array = np.empty(0)
    for number in range(layer, len(flows)):
        flow, then = flows[number], moved[number]
        change = delta * along_parameter(flow, piece, entry) if number == layer else along_input(flow, change)
        sides = (_sides(each) for each in (flow, then))
        kinks = sum(int(np.count_nonzero(one != other)) for one, other in zip(*sides, strict=True))
        ripples.append(Ripple(number, flow.at.layer.type, change, then.y - flow.y, kinks))
    return ripples


def _sides(flow: Flow) -> list[Array]:
    """On which side of its kinks each number of the layer lies, and of those inside it."""
    return [side for at, context in pairs([flow.at], [flow.context]) for side in at.layer.sides(context)]
