"""Draws the picture of docs/training.md of the doctor: the curves of a run, and what is found on the way.

.venv/bin/python docs/images/doctor.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from core.data import Dataset
from core.explanations.symptoms import Finding
from core.layers.layer import Array
from core.training import Chunk, fit
from core.training_spec import TrainingSpec
from docs.images.digits import digits
from docs.images.paper import BLUE, BOLD, ORANGE, RED, curve, folded, line, picture, svg, words
from worker.checkup import Checkup

ROWS, CHANGED = 400, (17, 40, 133, 201)  # rows with a wrong label
SPEC: dict[str, Any] = {
    "dataset": "digits",
    "network": {
        "layers": [
            {"type": "flatten"},
            {"type": "dense", "units": 16},
            {"type": "relu"},
            {"type": "dense", "units": 10},
        ]
    },
    "loss": {"type": "cross_entropy"},
    "optimizer": {"type": "sgd", "learning_rate": 0.3},
    "batch_size": 16,
    "epochs": 30,
    "validation": {"fraction": 0.4},
    "dtype": "float64",
}
WIDTH, LEFT, TOP, WIDE, HIGH = 880, 56, 76, 800, 210
FOLD, STEP = 112, 17


def mislabelled() -> Dataset:
    """Some digits, a few of them with another one's name."""
    data = digits(ROWS)
    y = data.y.copy()
    for row in CHANGED:
        y[row] = (y[row] + 3) % 10
    return Dataset(data.schema, data.x, y)


def run(data: Dataset) -> tuple[list[Finding], Array]:
    """What the doctor finds, and training and validation loss (epochs, 2)."""
    spec = TrainingSpec.model_validate(SPEC)
    checkup = Checkup(spec, data)
    found: list[Finding] = []
    losses = []
    for moment in fit(spec, data, stops=checkup.stops()):
        if isinstance(moment, Chunk):
            checkup.before(moment)
        else:
            losses.append([moment.metrics["train_loss"], moment.metrics["validation_loss"]])
            found += checkup.behind(moment)
    return found, np.array(losses, dtype=float)


def drawing() -> str:
    """The whole picture."""
    data = mislabelled()
    found, losses = run(data)
    low, high = np.log(losses.min()) - 0.1, np.log(losses.max()) + 0.1
    epochs = len(losses)

    def across(epoch: float) -> float:
        return LEFT + WIDE * (epoch - 1) / (epochs - 1)

    def down(loss: Array) -> Array:
        return TOP + HIGH - HIGH * (np.log(loss) - low) / (high - low)

    def mark(number: int, x: float, y: float) -> Iterator[str]:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="10" fill="{RED}"/>'
        yield words(x, y + 4, str(number), f'{BOLD} text-anchor="middle" fill="#fff"')

    def curves() -> Iterator[str]:
        for loss in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0):
            y = float(down(np.array(loss)))
            if TOP < y < TOP + HIGH:
                yield line(LEFT, y, LEFT + WIDE, y, "#e4e7eb")
                yield words(LEFT - 8, y + 4, f"{loss:g}", 'text-anchor="end"')
        for epoch in (1, *range(5, epochs + 1, 5)):
            yield words(across(epoch), TOP + HIGH + 18, str(epoch), 'text-anchor="middle"')
        x = np.array([across(epoch) for epoch in range(1, epochs + 1)])
        for number, finding in enumerate(found, 1):
            at = across(finding.epoch)
            yield line(at, TOP - 10, at, TOP + HIGH, RED, 'stroke-dasharray="4 3"')
            yield from mark(number, at, TOP - 14)
        for column, colour in enumerate((BLUE, ORANGE)):
            yield curve(x, down(losses[:, column]), colour)
        yield words(LEFT + 130, 28, "training loss", f'fill="{BLUE}" {BOLD}')
        yield words(LEFT + 230, 28, "validation loss", f'fill="{ORANGE}" {BOLD}')
        yield words(LEFT + WIDE / 2, TOP + HIGH + 34, "epoch", 'text-anchor="middle"')

    def findings(top: float) -> Iterator[str]:
        y = top
        for number, finding in enumerate(found, 1):
            yield from mark(number, 30, y - 4)
            yield words(LEFT, y, f"{finding.kind}, behind epoch {finding.epoch}", BOLD)
            lines = folded(finding.advice, FOLD)
            for place, text in enumerate(lines, 1):
                yield words(LEFT, y + STEP * place, text)
            y += STEP * (len(lines) + 1) + 10
        doubtful = next(finding for finding in found if finding.kind == "labels").evidence["rows"]
        yield from picture(data.x[doubtful[0]["row"]] / 255, WIDTH - 84, y - 74, 64, signed=False)

    parts = [words(20, 28, "The doctor", f'{BOLD} font-size="15"'), *curves(), *findings(TOP + HIGH + 70)]
    lines = sum(len(folded(finding.advice, FOLD)) + 1 for finding in found)
    return svg(WIDTH, TOP + HIGH + 70 + STEP * lines + 10 * len(found), parts)


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(drawing(), encoding="utf-8")
