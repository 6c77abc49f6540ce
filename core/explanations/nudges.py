"""The three ways to get a wish: change the biases, change the weights, change what came before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.explanations.averages import Wishes
from core.layers.dense import Dense
from core.layers.layer import Array
from core.network import Piece
from core.preprocessing import Preprocessing

WHOLE = 4096  # numbers that are given without being asked for
BIASES, WEIGHTS = ("biases", "shift"), ("weights", "scale")


@dataclass(frozen=True)
class Pair:
    """One weight's nudge; of a dense layer's weight also the activation at one end and the wish at the other."""

    index: list[int]
    nudge: float
    activation: float | None
    desire: float | None


@dataclass(frozen=True, eq=False)
class Nudge:
    """-dC/dw for all numbers w of a parameter, or of its strongest alone: `values` is then None."""

    parameter: str
    shape: list[int]
    values: Array | None
    strongest: list[Pair]


@dataclass(frozen=True, eq=False)
class Voice:
    """What one neuron of a dense layer wishes of each before: its own wish times the weight between them."""

    neuron: int
    desire: float
    wishes: Array


@dataclass(frozen=True, eq=False)
class PreviousDesire:
    """What a layer wishes of the numbers before it; `each` are the neurons with the largest wishes, of dense layers.

    units: "raw" of the first layer, whose wishes are for inputs as they were uploaded; "activations" of all others.
    """

    units: Literal["raw", "activations"]
    summed: Array
    each: list[Voice] | None


def bias_nudge(wishes: Wishes, gradient: Array) -> Array | None:
    """-dC/db."""
    for piece in wishes.at.parameters:
        if _kind(piece) in BIASES:
            return np.subtract(0.0, piece.of(gradient))
    return None


def weight_nudge(wishes: Wishes, gradient: Array, top: int, whole: bool | None) -> Nudge | None:
    """-dC/dW: for a dense layer the wish at one end of a weight times the activation at the other."""
    for piece in wishes.at.parameters:
        if _kind(piece) in WEIGHTS:
            return _nudge(wishes, piece, gradient, top, whole)
    return None


def other_nudges(wishes: Wishes, gradient: Array, top: int, whole: bool | None) -> list[Nudge]:
    """-dC/dw for what else is learned."""
    known = (*BIASES, *WEIGHTS)
    return [_nudge(wishes, p, gradient, top, whole) for p in wishes.at.parameters if _kind(p) not in known]


def previous_desire(
    wishes: Wishes, weights: Array, top: int, preprocessing: Preprocessing | None
) -> PreviousDesire | None:
    """-dC/dx; with the preprocessing, for the inputs before it. weights (size,): theta."""
    if wishes.previous is None:
        return None
    shape = wishes.at.input_shape

    def told(rows: Array) -> Array:
        return rows if preprocessing is None else preprocessing.backward(rows.reshape(-1, *shape)).reshape(rows.shape)

    each = None
    if isinstance(wishes.at.layer, Dense):
        d = wishes.desire
        assert d is not None
        loudest = np.argsort(-np.abs(d), kind="stable")[:top]
        W = wishes.at.parameters[0].of(weights)
        voices = told(np.ascontiguousarray(W.T[loudest]) * d[loudest, None] + 0.0)
        each = [Voice(int(j), float(d[j]), voice) for j, voice in zip(loudest, voices, strict=True)]
    units: Literal["raw", "activations"] = "activations" if preprocessing is None else "raw"
    return PreviousDesire(units, told(wishes.previous) + 0.0, each)


def is_whole(size: int, whole: bool | None) -> bool:
    """Whether all numbers of a parameter are given: where that is not said, those of small ones."""
    return size <= WHOLE if whole is None else whole


def _nudge(wishes: Wishes, piece: Piece, gradient: Array, top: int, whole: bool | None) -> Nudge:
    nudge = np.subtract(0.0, piece.of(gradient))
    flat = nudge.reshape(-1)
    sizes = -np.abs(flat)
    best = np.argpartition(sizes, min(top, flat.size) - 1)[:top]
    best = best[np.lexsort((best, sizes[best]))]
    dense = isinstance(wishes.at.layer, Dense)
    pairs = []
    for index in zip(*np.unravel_index(best, nudge.shape), strict=True):
        activation = float(wishes.seen[index[0]]) if dense and wishes.seen is not None else None
        desire = float(wishes.desire[index[1]]) if dense and wishes.desire is not None else None
        pairs.append(Pair([int(i) for i in index], float(nudge[index]), activation, desire))
    return Nudge(_kind(piece), list(nudge.shape), nudge if is_whole(nudge.size, whole) else None, pairs)


def _kind(piece: Piece) -> str:
    return piece.name.rsplit(".", 1)[1]
