"""The hill in a terminal, seen from above, with both paths on it."""

from collections.abc import Sequence
from math import log10

from rich.style import Style
from rich.text import Text

from client.descents import Grid, Point, Surface

SHADES = " ·░▒▓█"
HIGH = 5  # the hill's last shade: what is higher, or not finite
MINIBATCH, FULL, START = ("•", "bright_red"), ("○", "bright_cyan"), ("S", "bright_yellow")


def hill(surface: Surface, *, colour: bool) -> Text:
    """A line for each row of the grid, two columns for each of its places, the highest y first; the lower the cost, the
    darker. Levels are those of the logarithm, from the lowest cost of the grid to that of the start, or to the grid's
    highest where the start is no height of it: it may lie off the plane."""
    grid = surface.grid
    marks = {_cell(grid, point): FULL for point in surface.full}
    marks |= {_cell(grid, point): MINIBATCH for point in surface.minibatch}
    marks[_cell(grid, surface.minibatch[0])] = START
    levels = _levels(grid, surface.minibatch[0].cost)
    text = Text()
    for row in reversed(range(len(grid.y))):
        for column in range(len(grid.x)):
            level = levels[row][column]
            ground = f"#{20 + 28 * level:02x}{30 + 22 * level:02x}{70 + 12 * level:02x}" if colour else None
            mark, ink = marks.get((row, column), ((" " if colour else SHADES[level]) * 2, None))
            text.append(mark if len(mark) == 2 else f"{mark} ", Style(color=ink if colour else None, bgcolor=ground))
        text.append("\n")
    text.right_crop(1)
    return text


def legend(surface: Surface, *, colour: bool) -> Text:
    """What the marks mean, and how much of the truth is in the picture."""
    text = Text()
    for (mark, ink), told in (
        (START, f"start, cost {_cost(surface.minibatch[0])}"),
        (MINIBATCH, f"mini-batches, {surface.updates} updates, down to {_cost(surface.minibatch[-1])}"),
        (FULL, f"full gradient, {surface.full[-1].step} updates, {_end(surface)}"),
    ):
        text.append(mark, ink if colour else "")
        text.append(f" {told}\n")
    text.append(
        f"x and y hold {surface.share[0]:.0%} and {surface.share[1]:.0%} of the variance of both paths through "
        f"{surface.parameters} weights; the cost is the mean over {surface.cost_rows} of {surface.rows} rows"
    )
    return text


def _end(surface: Surface) -> str:
    return "then it diverges" if surface.full_diverged else f"down to {_cost(surface.full[-1])}"


def _cost(point: Point) -> str:
    return "out of bounds" if point.cost is None else f"{point.cost:.4g}"


def _cell(grid: Grid, point: Point) -> tuple[int, int]:
    return _nearest(grid.y, point.y), _nearest(grid.x, point.x)


def _nearest(places: Sequence[float], value: float) -> int:
    return min(range(len(places)), key=lambda index: abs(places[index] - value))


def _levels(grid: Grid, start: float | None) -> list[list[int]]:
    known = [cost for row in grid.cost for cost in row if cost is not None] or [1.0]
    lowest, highest = min(known), max(known)
    if start is not None and lowest < start < highest:
        highest = start
    low = log10(max(lowest, 1e-12))
    high = max(log10(max(highest, 1e-12)), low + 1e-9)

    def level(cost: float | None) -> int:
        if cost is None:
            return HIGH
        share = (log10(max(cost, 1e-12)) - low) / (high - low)
        return min(HIGH, max(0, int(share * HIGH)))

    return [[level(cost) for cost in row] for row in grid.cost]
