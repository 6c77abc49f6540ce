"""Line charts in braille: two dots wide and four high in every character."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rich.text import Text

MARK, MARKED = "▲", "bright_yellow"
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


@dataclass(frozen=True)
class Series:
    """One line: a value for each epoch (None where there is none), and the style it is drawn in."""

    values: Sequence[float | None]
    style: str


@dataclass(frozen=True)
class Axis:
    """The vertical axis, from `low` to `high`, and what is written at its two ends."""

    low: float
    high: float
    labels: tuple[str, str]


def chart(
    series: Sequence[Series], axis: Axis, steps: int, *, width: int, height: int, marks: Collection[int] = ()
) -> Text:
    """`height` lines of curves and two of the axis below, `width` columns wide.

    The first of `steps` values stands at the left edge and the last at the right, so that a curve grows into
    the empty part. Values beyond the ends are drawn at the edge. Where curves meet, the later one is in front.
    `marks` are steps, counted from 1, that are marked on the axis below.
    """
    margin = max(map(len, axis.labels)) + 2
    columns = max(width - margin, 2)
    cells: dict[tuple[int, int], tuple[int, str]] = {}
    for line in series:
        for x, y in _dots(line.values, columns * 2, height * 4, axis, steps):
            place = (x // 2, y // 4)
            old, style = cells.get(place, (0, line.style))
            bit = DOTS[x % 2][y % 4]
            cells[place] = (old | bit if style == line.style else bit, line.style)
    lines = []
    for row in range(height):
        label = axis.labels[1] if row == 0 else axis.labels[0] if row == height - 1 else ""
        text = Text(f"{label:>{margin - 2}} ", style="dim")
        text.append("┤" if label else "│", style="dim")
        for column in range(columns):
            bits, style = cells.get((column, row), (0, ""))
            text.append(chr(0x2800 + bits) if bits else " ", style=style)
        lines.append(text)
    marked = {_across(mark - 1, columns * 2, steps) // 2 for mark in marks}
    below = Text(f"{'':{margin - 1}}└", style="dim")
    for column in range(columns):
        below.append(*((MARK, MARKED) if column in marked else ("─", "dim")))
    lines.append(below)
    lines.append(Text(f"{'':{margin}}1{'epoch':^{max(columns - 1 - len(str(steps)), 5)}}{steps}", style="dim"))
    return Text("\n").join(lines)


def _across(step: int, width: int, steps: int) -> int:
    """The column of dots in which a step stands."""
    return min(round(step / max(steps - 1, 1) * (width - 1)), width - 1)


def _dots(values: Sequence[float | None], width: int, height: int, axis: Axis, steps: int) -> list[tuple[int, int]]:
    """The dots of one curve, (0, 0) at the top left; neighbours are joined."""
    span = (axis.high - axis.low) or 1.0
    dots: list[tuple[int, int]] = []
    last: tuple[int, int] | None = None
    for step, value in enumerate(values):
        if value is None:
            last = None
            continue
        x = _across(step, width, steps)
        y = round((1 - min(max((value - axis.low) / span, 0.0), 1.0)) * (height - 1))
        if last is None:
            dots.append((x, y))
        else:
            length = max(abs(x - last[0]), abs(y - last[1]), 1)
            for part in range(1, length + 1):
                dots.append(
                    (
                        last[0] + round((x - last[0]) * part / length),
                        last[1] + round((y - last[1]) * part / length),
                    )
                )
        last = (x, y)
    return dots
