"""Draws the picture of docs/descent.md: two ways down one hill, of mini-batches of four digits and of all of them.

.venv/bin/python docs/images/descent.py
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from core.descent import Descent, Point
from core.survey import Survey
from core.trail import Trail
from core.training import fit
from core.training_spec import TrainingSpec
from docs.images.digits import digits
from docs.images.paper import BOLD, INK, RED, box, svg, words

DRUNK, CAREFUL = RED, "#1b4f91"
ROWS, SIDE, LEFT, TOP, LEVELS = 120, 440, 20, 44, 12
SPEC = {
    "dataset": "digits",
    "network": {
        "layers": [
            {"type": "flatten"},
            {"type": "dense", "units": 12},
            {"type": "sigmoid"},
            {"type": "dense", "units": 10},
        ]
    },
    "loss": {"type": "cross_entropy"},
    "optimizer": {"type": "sgd", "learning_rate": 1.0},
    "batch_size": 4,
    "epochs": 6,
    "dtype": "float64",
    "trace": {"surface": True},
}


def seen() -> Descent:
    """The descent of the run."""
    spec, data = TrainingSpec.model_validate(SPEC), digits(ROWS)
    trail = Trail(spec, data)
    for moment in fit(spec, data, stops=trail.stops):
        trail.see(moment)
    survey = Survey(trail)
    for _ in survey:
        pass
    return survey.descent


def drawing() -> str:
    """The picture as SVG."""
    found = seen()
    grid = found.grid
    cell = SIDE / len(grid.x)

    def place(point: Point) -> tuple[float, float]:
        x = (point.x - grid.x[0]) / (grid.x[-1] - grid.x[0]) * (SIDE - cell) + cell / 2
        y = (point.y - grid.y[0]) / (grid.y[-1] - grid.y[0]) * (SIDE - cell) + cell / 2
        return LEFT + x, TOP + SIDE - y

    def way(points: Sequence[Point], colour: str) -> Iterator[str]:
        corners = " ".join(f"{x:.0f},{y:.0f}" for x, y in map(place, points))
        yield f'<polyline points="{corners}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
        x, y = place(points[-1])
        yield f'<circle cx="{x:.0f}" cy="{y:.0f}" r="5" fill="{colour}"/>'

    def parts() -> Iterator[str]:
        heights = np.log(np.array(grid.cost, dtype=float))
        yield '<g shape-rendering="crispEdges">'
        steps = (heights - heights.min()) / (heights.max() - heights.min()) * LEVELS
        for (row, column), level in np.ndenumerate(np.minimum(steps.astype(int), LEVELS - 1)):
            shade = f"#{120 + 11 * level:02x}{150 + 8 * level:02x}{130 + 10 * level:02x}"
            x, y = LEFT + column * cell, TOP + SIDE - (row + 1) * cell
            yield box(x, y, cell, cell, f'fill="{shade}"')
        yield "</g>"
        yield from way(found.minibatch, DRUNK)
        yield from way(found.full, CAREFUL)
        x, y = place(found.minibatch[0])
        yield f'<circle cx="{x:.0f}" cy="{y:.0f}" r="5" fill="#ffffff" stroke="{INK}" stroke-width="2"/>'
        told = [
            (f"{found.parameters} weights, cut by the plane in which both paths scatter most:", INK),
            (f"x holds {found.share[0]:.0%} of their variance, y {found.share[1]:.0%}.", INK),
            ("", INK),
            (f"mini-batches of 4: {found.updates} updates, {found.updates * 4} rows", DRUNK),
            (f"cost {found.minibatch[0].cost:.2f} → {found.minibatch[-1].cost:.2f}", DRUNK),
            ("", INK),
            (f"full gradient: {len(found.full) - 1} updates, {(len(found.full) - 1) * found.rows} rows", CAREFUL),
            (f"cost {found.full[0].cost:.2f} → {found.full[-1].cost:.2f}", CAREFUL),
            ("", INK),
            ("The angle between the two gradients", INK),
            *(
                (f"before update {slopes.step}: {slopes.angle:.0f}°", INK)
                for slopes in (found.slopes[0], found.slopes[len(found.slopes) // 2], found.slopes[-1])
            ),
        ]
        yield words(LEFT, 28, "The drunk man and the careful man on one hill", BOLD)
        for number, (text, colour) in enumerate(told):
            yield words(LEFT + SIDE + 24, TOP + 20 + 20 * number, text, f'fill="{colour}"')

    return svg(LEFT + SIDE + 420, TOP + SIDE + 20, parts())


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(drawing(), encoding="utf-8")
