"""Draws the picture of docs/explanations.md: a small network that has learned little of the handwritten digits yet, and
what it wishes for one of them.

.venv/bin/python docs/images/explanation.py
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.data import Dataset
from core.explanations.explanation import Detail, Explanation, LayerExplanation, explain
from core.explanations.subject import Subject
from core.layers.layer import Array
from core.schema import ClassTarget, DataSchema
from core.training import Epoch, fit
from core.training_spec import TrainingSpec

ROOT = Path(__file__).resolve().parents[2]
MORE, LESS, INK, GREY = "#2f6db5", "#d9822b", "#30363d", "#b9bec6"
ROW, LINES = 5, 26
LEGEND = (
    "blue: more, orange: less, to lower the cost; circles: black is 0, white is 1; "
    f"lines: the {LINES} weights into each layer whose nudges are strongest"
)
SPEC = {
    "dataset": "digits",
    "network": {
        "layers": [
            {"type": "flatten"},
            {"type": "dense", "units": 16},
            {"type": "sigmoid"},
            {"type": "dense", "units": 16},
            {"type": "sigmoid"},
            {"type": "dense", "units": 10},
            {"type": "sigmoid"},
        ]
    },
    "loss": {"type": "quadratic"},
    "optimizer": {"type": "sgd", "learning_rate": 3.0},
    "batch_size": 10,
    "epochs": 2,
}
WIDTH, HEIGHT, TOP = 880, 500, 66
COLUMNS = {2: 320, 4: 510, 6: 700}  # where the neurons of the sigmoid layers stand


def digits() -> Dataset:
    """The sample digits."""
    files = (ROOT / "samples" / f"digits-{name}-ubyte.gz" for name in ("images.idx3", "labels.idx1"))
    x, y = (gzip.decompress(file.read_bytes()) for file in files)
    images = np.frombuffer(x, np.uint8, offset=16).reshape(-1, 8, 8)
    labels = np.frombuffer(y, np.uint8, offset=8).astype(np.int32)
    target = ClassTarget(classes=tuple(range(10)))
    return Dataset(DataSchema(rows=len(images), input_shape=(8, 8), input_dtype="uint8", target=target), images, labels)


def explained() -> Explanation:
    """One digit, early in training."""
    data = digits()
    *_, end = fit(TrainingSpec.model_validate(SPEC), data)
    assert isinstance(end, Epoch)
    subject = Subject.from_checkpoint(end.checkpoint())
    return explain(subject, subject.rows(data, np.array([ROW])), Detail(top=LINES, whole=True))


def heights(count: int) -> Array:
    """Where the neurons of a layer stand."""
    return TOP + (HEIGHT - TOP - 40) * (np.arange(count) + 0.5) / count


def words(x: float, y: float, text: str, extra: str = "") -> str:
    """Text that begins at a place."""
    return f'<text x="{x:g}" y="{y:.1f}" {extra}>{text}</text>'


def hue(wish: float) -> str:
    """Blue for more, orange for less."""
    return MORE if wish > 0 else LESS


def picture(values: Array, left: float, top: float, size: float, *, wishes: bool) -> Iterator[str]:
    """Pixels: what is there in grey on black, or what is wished in colour on white."""
    largest = np.abs(values).max() or 1.0
    side = size / values.shape[1]
    ground = "#fff" if wishes else "#000"
    yield f'<rect x="{left:g}" y="{top:g}" width="{size:g}" height="{size:g}" fill="{ground}" stroke="{GREY}"/>'
    for (r, c), value in np.ndenumerate(values):
        share = abs(value) / largest
        if share > 0.02:
            fill = hue(value) if wishes else "#fff"
            yield (
                f'<rect x="{left + c * side:.1f}" y="{top + r * side:.1f}" width="{side:g}" height="{side:g}" '
                f'fill="{fill}" fill-opacity="{share:.2f}"/>'
            )


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
        bold = 'font-weight="bold"'
        right, said = int(found.target.argmax()), int(found.outputs.argmax())
        head = f"A {right}, which is taken for a {said}: cost {found.cost:.2f}"
        yield words(20, 28, head, f'{bold} font-size="15"')
        yield words(20, TOP - 8, "the input", bold)
        yield from picture(found.input.activations, 20, TOP, 140, wishes=False)
        yield words(20, TOP + 180, "what is wished of its pixels", bold)
        yield from picture(first.previous_desire.summed, 20, TOP + 190, 140, wishes=True)
        # The first layer's weights come from the pixels of the input, whose heights they leave at.
        pixels = TOP + 140 * (np.arange(64) // 8 + 0.5) / 8
        yield from nudges(found.layers[1], 164, COLUMNS[2] - 9, pixels)
        yield from nudges(found.layers[3], COLUMNS[2] + 9, COLUMNS[4] - 9)
        yield from nudges(found.layers[5], COLUMNS[4] + 9, COLUMNS[6] - 9)
        for index, x in COLUMNS.items():
            yield words(x, TOP - 8, f"{index - 1} dense, {index} sigmoid", f'{bold} text-anchor="middle"')
            yield from neurons(found.layers[index], x)
        wishes = found.layers[6].desire
        assert wishes is not None
        for label, y, a, wish in zip(found.classes or (), heights(10), found.outputs, wishes, strict=True):
            yield words(COLUMNS[6] + 30, y + 4, f"{label}", bold)
            yield words(COLUMNS[6] + 46, y + 4, f"{a:.2f}, wishes {wish:+.2f}".replace("-", "−"))
        yield words(20, HEIGHT - 12, LEGEND)

    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">\n'
        '<rect width="100%" height="100%" rx="6" fill="#ffffff"/>\n' + "\n".join(parts()) + "\n</svg>\n"
    )


if __name__ == "__main__":
    (ROOT / "docs" / "images" / "explanation.svg").write_text(drawing(), encoding="utf-8")
