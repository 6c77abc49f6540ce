"""Draws the picture of docs/explanations.md: a small network that has learned little of the handwritten digits yet, and
what it wishes for one of them.

.venv/bin/python docs/images/explanation.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.explanations.explanation import Detail, Explanation, LayerExplanation, explain
from core.layers.layer import Array
from docs.images.digits import digits, trained
from docs.images.paper import BOLD, INK, hue, picture, svg, words

ROW, LINES = 5, 26
LEGEND = (
    "blue: more, orange: less, to lower the cost; circles: black is 0, white is 1; "
    f"lines: the {LINES} weights into each layer whose nudges are strongest"
)
WIDTH, HEIGHT, TOP = 880, 500, 66
COLUMNS = {2: 320, 4: 510, 6: 700}  # where the neurons of the sigmoid layers stand


def explained() -> Explanation:
    """One digit, early in training."""
    data = digits()
    subject = trained(data)
    return explain(subject, subject.rows(data, np.array([ROW])), Detail(top=LINES, whole=True))


def heights(count: int) -> Array:
    """Where the neurons of a layer stand."""
    return TOP + (HEIGHT - TOP - 40) * (np.arange(count) + 0.5) / count


def neurons(layer: LayerExplanation, x: float) -> Iterator[str]:
    """A circle for each, as light as it is active, with an arrow as long as its wish."""
    desire = layer.desire
    assert desire is not None
    largest = np.abs(desire).max() or 1.0
    for y, a, wish in zip(heights(len(desire)), layer.activations, desire, strict=True):
        level = round(255 * min(max(float(a), 0.0), 1.0))
        yield f'<circle cx="{x}" cy="{y:.1f}" r="9" fill="rgb({level},{level},{level})" stroke="{INK}"/>'
        length = 10 * wish / largest
        if abs(length) > 0.7:
            tip = y - length
            yield (
                f'<path d="M{x + 16} {y + length:.1f}L{x + 16} {tip:.1f}" stroke="{hue(wish)}" stroke-width="2.5"/>'
                f'<path d="M{x + 12} {tip:.1f}h8l-4 {-4 if wish > 0 else 4}z" fill="{hue(wish)}"/>'
            )


def nudges(layer: LayerExplanation, left: float, right: float, begin: Array | None = None) -> Iterator[str]:
    """Lines for the strongest nudges of a dense layer's weights."""
    nudge = layer.weight_nudge
    assert nudge is not None
    before = heights(nudge.shape[0]) if begin is None else begin
    behind = heights(nudge.shape[1])
    largest = abs(nudge.strongest[0].nudge) or 1.0
    for pair in reversed(nudge.strongest):
        share, (i, j) = abs(pair.nudge) / largest, pair.index
        yield (
            f'<line x1="{left}" y1="{before[i]:.1f}" x2="{right}" y2="{behind[j]:.1f}" stroke="{hue(pair.nudge)}" '
            f'stroke-opacity="{0.15 + 0.65 * share:.2f}" stroke-width="{0.6 + 2 * share:.1f}"/>'
        )


def drawing() -> str:
    """The whole picture."""
    found = explained()
    first, *_ = found.layers
    assert first.previous_desire is not None

    def parts() -> Iterator[str]:
        right, said = int(found.target.argmax()), int(found.outputs.argmax())
        head = f"A {right}, which is taken for a {said}: cost {found.cost:.2f}"
        yield words(20, 28, head, f'{BOLD} font-size="15"')
        yield words(20, TOP - 8, "the input", BOLD)
        yield from picture(found.input.activations, 20, TOP, 140, signed=False)
        yield words(20, TOP + 180, "what is wished of its pixels", BOLD)
        yield from picture(first.previous_desire.summed, 20, TOP + 190, 140, signed=True)
        # The first layer's weights come from the pixels of the input, whose heights they leave at.
        pixels = TOP + 140 * (np.arange(64) // 8 + 0.5) / 8
        yield from nudges(found.layers[1], 164, COLUMNS[2] - 9, pixels)
        yield from nudges(found.layers[3], COLUMNS[2] + 9, COLUMNS[4] - 9)
        yield from nudges(found.layers[5], COLUMNS[4] + 9, COLUMNS[6] - 9)
        for index, x in COLUMNS.items():
            yield words(x, TOP - 8, f"{index - 1} dense, {index} sigmoid", f'{BOLD} text-anchor="middle"')
            yield from neurons(found.layers[index], x)
        wishes = found.layers[6].desire
        assert wishes is not None
        for label, y, a, wish in zip(found.classes or (), heights(10), found.outputs, wishes, strict=True):
            yield words(COLUMNS[6] + 30, y + 4, f"{label}", BOLD)
            yield words(COLUMNS[6] + 46, y + 4, f"{a:.2f}, wishes {wish:+.2f}".replace("-", "−"))
        yield words(20, HEIGHT - 12, LEGEND)

    return svg(WIDTH, HEIGHT, parts())


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(drawing(), encoding="utf-8")
