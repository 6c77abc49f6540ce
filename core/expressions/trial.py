"""A formula tried out before anything is trained with it: is it finite, and does it follow its derivative?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from core.expressions.derivative import derivative, kinks
from core.expressions.program import Array, compiled
from core.expressions.tree import INPUT, Node
from core.random import Purpose, Random

POINTS = 512
RANGE = 3.0  # x between -RANGE and RANGE
SPREAD = 0.1  # parameters within this part of their first values
STEPS = 1e-3, 1e-4, 1e-5, 1e-6, 1e-7
MARGIN = 2e-3  # from kinks: farther than the largest step
TOLERANCE = 1e-4
SOME = 0.1  # the part of the points that may go wrong


def doubt(formula: Node, parameters: Mapping[str, float]) -> str | None:
    """What speaks against training with a formula, as a sentence; None is well.

    Values and derivatives must be finite at random x (float64), with the parameters as they begin and with random ones
    near by, and change with x somewhere. With the random ones the slope along a random direction is compared with
    central differences, of the step that suits best. Points near a kink are left out.
    """
    names = INPUT, *parameters
    jumps = kinks(formula)
    program = compiled([formula, *(derivative(formula, name) for name in names), *jumps], names)
    random = Random(0, Purpose.CHECK)
    unit = 2 * random.uniform((len(names), POINTS)) - 1
    first = np.array([0.0, *parameters.values()])[:, None]
    scale = np.where(first == 0, SPREAD, SPREAD * np.abs(first))
    scale[0] = RANGE
    at = first + scale * unit
    begin = np.broadcast_to(first, at.shape).copy()
    begin[0] = at[0]

    def computed(point: Array) -> tuple[Array, Array, Array]:
        """Value (POINTS,), slopes (names, POINTS), and on which side of each kink (kinks, POINTS)."""
        found = program.run(list(point), np.empty((program.slots, POINTS)))
        rows = np.stack([np.broadcast_to(row, POINTS) for row in found])
        return rows[0], rows[1 : len(names) + 1], np.sign(rows[len(names) + 1 :])

    def sound_at(point: Array, what: str) -> Array:
        """Where the value, or the derivative, is finite."""
        value, slopes, _ = computed(point)
        return np.asarray(np.isfinite(value) if what == "value" else np.isfinite(slopes).all(axis=0))

    with np.errstate(all="ignore"):
        for point, other in (begin, at), (at, begin):
            for what in "value", "derivative":
                sound = sound_at(point, what)
                if sound.mean() < 1 - SOME:
                    guilty = _guilty(point, other, partial(sound_at, what=what))
                    told = {names[row]: parameters[names[row]] for row in guilty}
                    return _not_finite(what, told, at[0][~sound], float(np.mean(~sound)))

        value, slopes, side = computed(at)
        if not slopes[0].any():
            return _flat()

        u = random.normal(at.shape)
        u /= np.linalg.norm(u, axis=0)
        claimed = np.sum(slopes * u, axis=0)
        error = np.full(POINTS, np.inf)
        for step in STEPS:
            measured = (computed(at + step * u)[0] - computed(at - step * u)[0]) / (2 * step)
            floor = 1e-3 * np.maximum(1, np.abs(value))
            size = np.maximum(np.maximum(np.abs(claimed), np.abs(measured)), floor)
            error = np.fmin(error, np.abs(claimed - measured) / size)
        smooth = np.isfinite(value) & np.isfinite(claimed)
        for sign in 1, -1:
            smooth &= ((computed(at + sign * MARGIN * u)[2] == side) & (side != 0)).all(axis=0)
    wrong = smooth & ~(error < TOLERANCE)
    return _does_not_follow(at[0][wrong]) if wrong.sum() > SOME * smooth.sum() else None


def _guilty(point: Array, other: Array, sound_at: Callable[[Array], Array]) -> list[int]:
    """The parameter, or else all of them, without whose values at `point` more would be sound: its rows."""
    before, rows = sound_at(point).mean(), list(range(1, len(point)))
    for chosen in [*([row] for row in rows), rows]:
        moved = point.copy()
        moved[chosen] = other[chosen]
        if sound_at(moved).mean() > before + SOME:
            return chosen
    return []


def _not_finite(what: str, guilty: Mapping[str, float], x: Array, part: float) -> str:
    example = x[np.argsort(np.abs(x))[len(x) // 2]]
    begins = " and ".join(f"{name} = {value:g}" for name, value in guilty.items())
    where = f"With {begins} or near it, for" if guilty else "For"
    way_out = "let it begin elsewhere, or " if guilty else ""
    return (
        f"{where} {part:.0%} of the x between -{RANGE:g} and {RANGE:g} the {what} of this expression is no finite "
        f"number, such as at x = {example:.2g}: {way_out}keep what log, sqrt, / and ** are given within their domain, "
        "for example by max(x, 0.001)."
    )


def _flat() -> str:
    return (
        f"The derivative of this expression by x is 0 for all x between -{RANGE:g} and {RANGE:g}, so nothing in front "
        "of it could learn: let it change with x, as sigmoid(10 * x) does where a step is meant."
    )


def _does_not_follow(x: Array) -> str:
    return (
        f"This expression does not follow its derivative, such as near x = {x[len(x) // 2]:.2g}: it changes too fast, "
        "or numbers of very different size cancel each other. Use smaller factors."
    )
