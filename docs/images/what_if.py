"""Draws the picture of docs/explanations.md of what one weight does: the change runs through the layers to the cost.

.venv/bin/python docs/images/what_if.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as File
from typing import NamedTuple

import numpy as np

from core.explanations.paths import Path, Paths
from core.explanations.what_if import WhatIf, what_if
from core.layers.layer import Array
from docs.images.digits import digits, trained
from docs.images.paper import BLUE, BOLD, GREY, INK, RED, box, hue, line, picture, signed, svg, words

ROW, LAYER, DELTA, BEST = 5, 1, 0.25, 7
WIDTH, HEIGHT, TOP, FLOOR = 880, 600, 84, 326  # the network stands between TOP and FLOOR
COLUMNS = {1: 330, 3: 510, 5: 690}  # where the neurons of the dense layers stand
START, COST = (190.0, 205.0), (840.0, 205.0)
LOWERS, RAISES = BLUE, RED
PIXEL = 15.5
MIDDLE = 'text-anchor="middle"'


class Asked(NamedTuple):
    """What came of it, for the digit x, of which the weight leads from `pixel` to `neuron`."""

    found: WhatIf
    ways: Paths
    pixel: int
    neuron: int
    x: Array

    @property
    def best(self) -> list[Path]:
        """The paths that carry most."""
        return self.ways.best(BEST)

    def share(self, path: Path) -> float:
        """How much a path carries beside the heaviest."""
        return abs(path.contribution) / abs(self.best[0].contribution)

    def place(self, layer: int, unit: int) -> tuple[float, float]:
        """Where a neuron of a dense layer stands."""
        width = self.found.ripples[layer - LAYER].actual.shape[1]
        return COLUMNS[layer], TOP + (FLOOR - TOP) * (unit + 0.5) / width


def asked() -> Asked:
    """The weight of the first dense layer to which the cost of the digit is most sensitive, changed."""
    data = digits()
    subject = trained(data)
    examples = subject.rows(data, np.array([ROW]))
    piece = subject.piece(LAYER, "weight")
    gradient = piece.of(subject.backpropagate(examples).gradient)
    pixel, neuron = (int(n) for n in np.unravel_index(np.abs(gradient).argmax(), gradient.shape))
    found = what_if(subject, examples, LAYER, "weight", (pixel, neuron), DELTA)
    assert isinstance(found.paths, Paths)
    return Asked(found, found.paths, pixel, neuron, examples.x[0])


def effect(path: Path) -> str:
    """The colour of what the change does to the cost by way of it."""
    return LOWERS if path.contribution * DELTA < 0 else RAISES


def weight(the: Asked) -> Iterator[str]:
    """The digit, the pixel that the weight leads from, and the weight."""
    yield from picture(the.x, 20, 140, 8 * PIXEL, signed=False)
    x, y = 20 + the.pixel % 8 * PIXEL, 140 + the.pixel // 8 * PIXEL
    yield box(x, y, PIXEL, PIXEL, f'fill="none" stroke="{RED}" stroke-width="2.5"')
    yield line(x + PIXEL, y + PIXEL / 2, *START, INK, 'stroke-width="1.5" stroke-dasharray="3 3"')
    x, y = START
    yield f'<circle cx="{x:g}" cy="{y:g}" r="13" fill="#fff" stroke="{INK}" stroke-width="2"/>'
    yield words(x, y + 4, "w", f"{BOLD} {MIDDLE}")
    yield words(x, y + 32, signed(the.found.value), MIDDLE)
    yield words(x, y + 48, signed(DELTA), f"{BOLD} {MIDDLE}")


def routes(the: Asked) -> Iterator[str]:
    """The heaviest paths as lines, thicker where they carry more."""
    for path in reversed(the.best):
        corners = [START, *(the.place(*unit) for unit in path.units), COST]
        points = " ".join(f"{x:.0f},{y:.0f}" for x, y in corners)
        share = the.share(path)
        yield (
            f'<polyline points="{points}" fill="none" stroke="{effect(path)}" stroke-width="{0.8 + 4 * share:.1f}" '
            f'stroke-opacity="{0.35 + 0.55 * share:.2f}" stroke-linejoin="round"/>'
        )


def neurons(the: Asked) -> Iterator[str]:
    """A circle for each of the dense layers' neurons, the deeper in colour the more its output changes."""
    for ripple in the.found.ripples:
        if ripple.layer not in COLUMNS:
            continue
        change = ripple.actual[0]
        shares = change / np.abs(change).max()
        yield words(COLUMNS[ripple.layer], TOP - 10, f"layer {ripple.layer}", f"{BOLD} {MIDDLE}")
        for unit, share in enumerate(shares.tolist()):
            x, y = the.place(ripple.layer, unit)
            yield f'<circle cx="{x}" cy="{y:.1f}" r="7" fill="#fff"/>'
            shade = f'fill="{hue(share)}" fill-opacity="{abs(share):.2f}"'
            yield f'<circle cx="{x}" cy="{y:.1f}" r="7" {shade} stroke="{INK}"/>'
            if ripple is the.found.ripples[-2]:
                yield words(x + 14, y + 4, str(unit), BOLD)
    yield f'<circle cx="{COST[0]:g}" cy="{COST[1]:g}" r="15" fill="{INK}"/>'
    yield words(COST[0], COST[1] + 4, "C", f'{BOLD} {MIDDLE} fill="#fff"')


def ripples(the: Asked, left: float, top: float) -> Iterator[str]:
    """How far each layer's outputs move."""
    yield words(left, top, "The ripple: how far each layer's outputs move", BOLD)
    norms = [(float(np.linalg.norm(r.actual)), float(np.linalg.norm(r.first_order))) for r in the.found.ripples]
    scale = 200 / max(max(pair) for pair in norms)
    for number, (ripple, (actual, first)) in enumerate(zip(the.found.ripples, norms, strict=True)):
        y = top + 26 + 26 * number
        yield words(left, y + 4, f"{ripple.layer} {ripple.type}")
        yield box(left + 72, y - 8, actual * scale, 16, f'fill="{GREY}"')
        x = left + 72 + first * scale
        yield line(x, y - 10, x, y + 10, INK, 'stroke-width="2"')
        yield words(left + 80 + max(actual, first) * scale, y + 4, f"{actual:.3g}")
    yield words(left, top + 192, "grey: what happens; black stroke: what first order says")


def table(the: Asked, left: float, top: float) -> Iterator[str]:
    """The heaviest paths by name, and what all come to."""
    count = the.ways.count
    yield words(left, top, f"{count} paths from w through layers 1, 3, 5 to the cost, best first", BOLD)
    for number, path in enumerate(the.best):
        y = top + 26 + 22 * number
        way = " → ".join(str(unit) for _, unit in path.units)
        length = 150 * the.share(path)
        yield words(left, y + 4, f"w → {way} → C")
        yield box(left + 130, y - 7, length, 14, f'fill="{effect(path)}"')
        yield words(left + 138 + length, y + 4, signed(path.contribution))
    told = f"all {count} together {signed(the.ways.total, 5)}; backpropagation says {signed(the.found.gradient, 5)}"
    yield words(left, top + 192, told)


def drawing() -> str:
    """The whole picture."""
    the = asked()

    def parts() -> Iterator[str]:
        head = f"What if the weight from pixel {the.pixel} to neuron {the.neuron} were {DELTA} larger?"
        yield words(20, 28, head, f'{BOLD} font-size="15"')
        told = f"the change of the cost: dC/dw · {DELTA} = {signed(the.found.predicted)} predicted"
        yield words(20, 48, f"{told}, {signed(the.found.measured)} measured")
        yield from routes(the)
        yield from weight(the)
        yield from neurons(the)
        yield words(20, 344, "circles: blue gives more, orange less")
        yield words(450, 344, "paths by which the larger weight")
        yield words(652, 344, "lowers the cost", f'fill="{LOWERS}"')
        yield words(750, 344, "raises the cost", f'fill="{RAISES}"')
        yield from ripples(the, 20, 392)
        yield from table(the, 450, 392)

    return svg(WIDTH, HEIGHT, parts())


if __name__ == "__main__":
    File(__file__).with_suffix(".svg").write_text(drawing(), encoding="utf-8")
