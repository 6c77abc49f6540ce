"""Draws the picture of docs/explanations.md of a gradient check: backward against differences, and marked homework.

.venv/bin/python docs/images/gradient_check.py
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor, log10
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.explanations.gradient_check import Checked, check
from core.explanations.marking import Marked, mark
from core.layers.layer import Array
from docs.images.digits import digits, trained
from docs.images.paper import BLUE, BOLD, GREY, RED, dots, folded, line, picture, svg, words

ROWS = range(4)
SLOPE, SHEETS = 4, (5, 3)  # the sigmoid that one sheet forgets; the layers whose weights are handed in
TYPOS = {(3, 9): -1.0, (9, 3): 0.0}  # entries of the other one, and what they are multiplied by
SMALLEST = 1e-7  # beyond it differences are rounding
WIDTH, HEIGHT, SIDE, MAP, APART = 880, 520, 370, 140, 210
RED_INK = f'fill="{RED}"'


class Homework(NamedTuple):
    """Gradients of the weights of a layer as a student hands them in, what is right, and how they are marked."""

    layer: int
    yours: Array
    right: Array
    marked: Marked


def seen() -> tuple[list[Checked], list[Homework]]:
    """The check of the network at some rows, and of two sheets: one with slips of the pen, one with a slip."""
    data = digits()
    subject = trained(data)
    examples = subject.rows(data, np.array(ROWS))
    found = subject.backpropagate(examples)
    sheets = []
    for layer in SHEETS:
        piece = subject.piece(layer, "weight")
        right = piece.of(found.gradient).copy()
        if layer < SLOPE:
            yours = piece.of(found.without_slopes(frozenset({SLOPE}))).copy()
        else:
            yours = right.copy()
            for entry, factor in TYPOS.items():
                yours[entry] = factor * yours[entry] + 0.0  # no -0
        marked = mark(found, piece, yours)
        assert marked is not None
        sheets.append(Homework(layer, yours, right, marked))
    return check(subject, examples), sheets


def scatter(checked: list[Checked], homework: Homework, left: float, top: float) -> Iterator[str]:
    """Each derivative as differences of the cost measure it, and as backward says it; those of the homework too."""
    ours = np.abs([(one.measured, one.backward) for found in checked for one in found.compared])
    ours = ours[ours.min(axis=1) > SMALLEST]  # weights behind pixels that are always black move nothing
    places = [
        (one.measured, homework.yours[one.entry])
        for found in checked
        if found.layer == homework.layer and found.piece.name.endswith("weights")
        for one in found.compared
        if one.entry is not None
    ]
    theirs = np.abs(places)
    low = floor(log10(min(ours.min(), theirs.min())))
    high = floor(log10(max(ours.max(), theirs.max()))) + 1

    def across(value: Array) -> Array:
        return left + SIDE * (np.log10(value) - low) / (high - low)

    def down(value: Array) -> Array:
        return top + SIDE - SIDE * (np.log10(value) - low) / (high - low)

    for power in range(low, high + 1):
        share = SIDE * (power - low) / (high - low)
        yield line(left, top + SIDE - share, left + SIDE, top + SIDE - share, "#e4e7eb")
        yield line(left + share, top, left + share, top + SIDE, "#e4e7eb")
        if power > low:
            yield words(left - 8, top + SIDE - share + 4, power_of_ten(power), 'text-anchor="end"')
        yield words(left + share, top + SIDE + 18, power_of_ten(power), 'text-anchor="middle"')
    yield line(left, top + SIDE, left + SIDE, top, GREY, 'stroke-width="1.5"')
    yield dots(across(ours[:, 0]), down(ours[:, 1]), BLUE, 5.5, 'stroke-opacity="0.75"')
    for x, y in zip(across(theirs[:, 0]), down(theirs[:, 1]), strict=True):
        yield cross(float(x), float(y), 4)
    yield words(left + SIDE / 2, top + SIDE + 38, "|dC/dw| by central differences of the cost", 'text-anchor="middle"')
    yield words(left + 8, top + 18, "|dC/dw| that is claimed")


def power_of_ten(power: int) -> str:
    """As it is printed."""
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def cross(x: float, y: float, size: float) -> str:
    """What a teacher writes beside what is wrong."""
    reach = 2 * size
    strokes = f"M{x - size:.1f} {y - size:.1f}l{reach:g} {reach:g}m0 {-reach:g}l{-reach:g} {reach:g}"
    return f'<path d="{strokes}" stroke="{RED}" stroke-width="1.8"/>'


def sheet(homework: Homework, left: float, top: float) -> Iterator[str]:
    """What was handed in beside what is right, and the mark."""
    rows, columns = homework.right.shape
    width = MAP * columns / max(rows, columns)
    side = width / columns
    yield words(left, top, f"dC/dW of layer {homework.layer}, handed in", BOLD)
    yield words(left + APART, top, "right", BOLD)
    for place, gradient in ((left, homework.yours), (left + APART, homework.right)):
        yield from picture(gradient, place, top + 10, width, signed=True)
    told = []
    if not homework.marked.slips:
        for off in homework.marked.off:
            r, c = off.entry
            x, y = left + (c + 0.5) * side, top + 10 + (r + 0.5) * side
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{side:.1f}" fill="none" stroke="{RED}" stroke-width="2"/>'
            told.append(f"[{r}, {c}]: {off.yours:.2g}, right is {off.right:.2g}".replace("-", "−"))
    for slip in homework.marked.slips:
        told += folded(slip.advice, 58)
    yield words(
        left, top + MAP + 30, f"{len(homework.marked.off)} of {rows * columns} entries are off", f"{RED_INK} {BOLD}"
    )
    for number, text in enumerate(told):
        yield words(left, top + MAP + 47 + 17 * number, text, RED_INK)


def drawing() -> str:
    """The whole picture."""
    checked, sheets = seen()
    worst = max(found.worst.error for found in checked if found.worst is not None)
    slipped = next(homework for homework in sheets if homework.marked.slips)

    def parts() -> Iterator[str]:
        yield words(20, 28, "Is backward right? Is the homework?", f'{BOLD} font-size="15"')
        yield from scatter(checked, slipped, 52, 60)
        count = sum(len(found.compared) for found in checked)
        told = f"blue: backward, {count} derivatives; no error above {power_of_ten(ceil(log10(worst)))} of them"
        yield words(20, HEIGHT - 30, told)
        yield words(20, HEIGHT - 12, f"red: the homework on layer {slipped.layer}", RED_INK)
        for number, homework in enumerate(sheets):
            yield from sheet(homework, 450, 66 + 236 * number)

    return svg(WIDTH, HEIGHT, parts())


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(drawing(), encoding="utf-8")
