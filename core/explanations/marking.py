"""Marks gradients that a student worked out: which entries are off, and the slip that would explain it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from core.explanations.backpropagation import Backpropagation
from core.explanations.names import places
from core.layers.elementwise import Elementwise
from core.layers.layer import Array
from core.losses import MeanSquaredError, Quadratic
from core.network import Piece

SQUARES = (Quadratic, MeanSquaredError)
TOLERANCE = 1e-4  # relative to the entry, or where that is small, to a hundredth of the largest one


class Slip(NamedTuple):
    """What went wrong, in a word, and what to do about it."""

    name: str
    advice: str


SIGN = Slip("sign", "All signs are turned around: the gradient is dC/dw, the nudge downhill is minus that.")
TRANSPOSE = Slip(
    "transpose", "Rows and columns are exchanged: the entry [from, to] belongs to the weight between them."
)
AVERAGE = Slip("average", "This is the sum over the rows: the cost is their mean, so divide by their number.")
TWICE_AVERAGED = Slip("averaged twice", "This is divided by the number of rows once too often.")
FACTOR = Slip("factor 2", "This is half of it: look for a factor 2 that is missing.")
SQUARE = Slip("factor 2", "This is half of it: the derivative of (a - y)^2 is 2 (a - y).")
DOUBLED = Slip("doubled", "This is twice of it: look for a factor 2 that does not belong there.")


def _no_slope(layer: str, kind: str) -> Slip:
    return Slip(
        "activation derivative",
        f"The derivative of the {kind} of layer {layer} is missing: on the way back, multiply by it, unit by unit.",
    )


class Off(NamedTuple):
    """An entry that is off."""

    entry: tuple[int, ...]
    yours: float
    right: float


@dataclass(frozen=True)
class Marked:
    """off: the entries that are off, the worst first. slips: those that together explain all of it, if some do; factor:
    what remains to be multiplied by, where that is all that remains."""

    right: bool
    off: list[Off]
    slips: list[Slip]
    factor: float | None


def mark(found: Backpropagation, piece: Piece, yours: Array) -> Marked | None:
    """Gradients of one parameter, of the mean cost of the examples; None where they have neither its shape nor, for a
    matrix, that of its transpose."""
    with np.errstate(all="ignore"):  # whoever sends 1e308 is told that it is off
        return _mark(found, piece, yours)


def _mark(found: Backpropagation, piece: Piece, yours: Array) -> Marked | None:
    right = piece.of(found.gradient)
    if yours.shape not in (right.shape, right.shape[::-1]):
        return None
    if yours.shape == right.shape:
        wrong = ~_near(yours, right)
        if not wrong.any():
            return Marked(True, [], [], None)
        distance = np.where(wrong, np.abs(yours - right), -1)
        order = np.argsort(-distance.reshape(-1), kind="stable")[: int(wrong.sum())]
        places = [tuple(int(i) for i in np.unravel_index(entry, right.shape)) for entry in order]
        off = [Off(place, float(yours[place]), float(right[place])) for place in places]
    else:
        off = []
    slips, factor = _explanation(found, piece, yours)
    return Marked(False, off, slips, factor)


def _near(yours: Array, right: Array) -> Array:
    scale = np.maximum(np.abs(right), np.abs(right).max(initial=0.0) / 100)
    close: Array = np.abs(yours - right) <= TOLERANCE * scale
    return close


def _explanation(found: Backpropagation, piece: Piece, yours: Array) -> tuple[list[Slip], float | None]:
    """The fewest slips after which every entry is right; else none, and the factor between all entries if it is one."""
    if not yours.any() or not np.isfinite(yours).all():
        return [], None
    factors = _factors(len(found.examples), SQUARE if isinstance(found.loss, SQUARES) else FACTOR)
    scaled: tuple[list[Slip], float] | None = None
    candidates = sorted(_candidates(found, piece), key=lambda candidate: len(candidate[0]))
    explained = []
    for slips, gradient in candidates:
        if gradient.shape != yours.shape or not gradient.any():
            continue
        for more, factor in factors:
            if (slips or more) and _near(yours, factor * gradient).all():
                explained.append([*slips, *more])
        factor = float(np.vdot(yours, gradient) / np.vdot(gradient, gradient))
        if scaled is None and np.isfinite(factor) and _near(yours, factor * gradient).all():
            scaled = slips, factor
    if explained:
        return min(explained, key=len), None
    return scaled if scaled is not None else ([], None)


def _factors(rows: int, half: Slip) -> list[tuple[list[Slip], float]]:
    """Products of the factors that are forgotten, or taken once too often."""
    signs: list[tuple[list[Slip], float]] = [([], 1.0), ([SIGN], -1.0)]
    twos: list[tuple[list[Slip], float]] = [([], 1.0), ([half], 0.5), ([DOUBLED], 2.0)]
    averages: list[tuple[list[Slip], float]] = [([], 1.0)]
    if rows > 1:
        averages += [([AVERAGE], float(rows)), ([TWICE_AVERAGED], 1 / rows)]
    return [([*one, *two, *three], a * b * c) for (one, a), (two, b), (three, c) in product(signs, twos, averages)]


def _candidates(found: Backpropagation, piece: Piece) -> Iterator[tuple[list[Slip], Array]]:
    """The gradient as it is, and as it comes out without the derivative of an activation, or of all of them."""
    known = {at.number: (place, at.layer) for place, at in places(found.network.layers)}
    slopes = [number for number, (_, layer) in known.items() if isinstance(layer, Elementwise)]
    ways = [[], *([number] for number in slopes), *([slopes] if len(slopes) > 1 else [])]
    for way in ways:
        gradient = piece.of(found.gradient if not way else found.without_slopes(frozenset(way))).copy()
        slips = [_no_slope(place, layer.type) for place, layer in (known[number] for number in way)]
        yield slips, gradient
        if gradient.ndim == 2:
            yield [TRANSPOSE, *slips], gradient.T
