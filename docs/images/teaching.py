"""Draws the picture of docs/explanations.md of the rows that teach: what each costs, and how hard it pushes.

.venv/bin/python docs/images/teaching.py
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from pathlib import Path

import numpy as np

from core.explanations.subject import Subject
from core.explanations.teaching import Lesson, lessons
from core.layers.layer import Array
from docs.images.digits import digits, trained
from docs.images.paper import BLUE, BOLD, RED, dots, line, picture, svg, words

EPOCHS, HARDEST, ACROSS = 8, 12, 4
WIDTH, HEIGHT, LEFT, TOP, WIDE, HIGH = 880, 480, 56, 62, 360, 330
SIZE = 76


def seen() -> tuple[Subject, list[Lesson], Array, Array]:
    """The network, every row of the digits, the hardest push first, the images, and their labels."""
    data = digits()
    subject = trained(data, epochs=EPOCHS)
    every = np.arange(len(data))
    return subject, lessons(subject, data, every, "gradient_norm", len(data)), data.x, data.y


def drawing() -> str:
    """The whole picture."""
    subject, rows, images, labels = seen()
    loss, norm = (np.array([getattr(row, name) for row in rows]) for name in ("loss", "gradient_norm"))
    highest, furthest = ceil(norm.max() * 5) / 5, ceil(loss.max() * 5) / 5

    def across(value: Array) -> Array:
        return LEFT + WIDE * value / furthest

    def down(value: Array) -> Array:
        return TOP + HIGH - HIGH * value / highest

    def scatter() -> Iterator[str]:
        for share in np.linspace(0, 1, 5):
            x, y = LEFT + WIDE * share, TOP + HIGH * (1 - share)
            yield line(x, TOP, x, TOP + HIGH, "#e4e7eb") + line(LEFT, y, LEFT + WIDE, y, "#e4e7eb")
            yield words(x, TOP + HIGH + 18, f"{furthest * share:.2g}", 'text-anchor="middle"')
            yield words(LEFT - 8, y + 4, f"{highest * share:.2g}", 'text-anchor="end"')
        yield dots(across(loss), down(norm), BLUE, 3.5, 'stroke-opacity="0.45"')
        for x, y in zip(across(loss[:HARDEST]), down(norm[:HARDEST]), strict=True):
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="none" stroke="{RED}" stroke-width="1.8"/>'
        yield words(LEFT + WIDE / 2, TOP + HIGH + 38, "what a row costs", 'text-anchor="middle"')
        yield words(LEFT, TOP - 10, "how hard it pushes: the length of its own gradient")

    def hardest(left: float, top: float) -> Iterator[str]:
        yield words(left, top - 10, f"The {HARDEST} that push hardest", f'{BOLD} fill="{RED}"')
        for number, row in enumerate(rows[:HARDEST]):
            x, y = left + (SIZE + 30) * (number % ACROSS), top + (SIZE + 36) * (number // ACROSS)
            yield from picture(images[row.row] / 255, x, y, SIZE, signed=False)
            said, label = subject.said(row.outputs), labels[row.row]
            yield words(x, y + SIZE + 15, f"{label}, taken for {said}" if said != label else f"{label}, and right")

    def parts() -> Iterator[str]:
        yield words(20, 28, "The rows that teach", f'{BOLD} font-size="15"')
        yield from scatter()
        few = np.searchsorted(np.cumsum(norm), norm.sum() / 2) + 1
        told = f"{len(rows):,} digits, {EPOCHS} epochs on: {few} of them push as hard as all the others together"
        yield words(20, HEIGHT - 32, told)
        yield words(20, HEIGHT - 12, "bottom right: wrong and sure of it; behind flat sigmoids even these push little")
        yield from hardest(460, TOP)

    return svg(WIDTH, HEIGHT, parts())


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(drawing(), encoding="utf-8")
