"""Small greyscale pictures in a terminal, so that one sees what the network sees."""

from collections.abc import Sequence

from rich.color import Color
from rich.style import Style
from rich.text import Text

SHADES = " ░▒▓█"


def picture(pixels: Sequence[Sequence[float]], *, colour: bool, scale: int = 1, white: float = 255) -> Text:
    """The picture, ink in white on black: half blocks, two pixels in each character, every pixel `scale` times as
    wide and high. Without `colour` shades of block characters, two for each pixel."""
    if not colour:
        return Text("\n".join("".join(shade(value / white) * 2 for value in row) for row in pixels))
    return half_blocks([[grey(value / white) for value in row] for row in pixels], scale)


def half_blocks(pixels: Sequence[Sequence[Color]], scale: int = 1) -> Text:
    """A coloured picture, two pixels in each character, every pixel `scale` times as wide and high."""
    rows = [[value for value in row for _ in range(scale)] for row in pixels for _ in range(scale)]
    if len(rows) % 2:
        rows.append([grey(0.0)] * len(rows[0]))
    text = Text()
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        for above, below in zip(upper, lower, strict=True):
            text.append("▀", Style(color=above, bgcolor=below))
        text.append("\n")
    text.right_crop(1)
    return text


def shade(level: float) -> str:
    """From nothing at 0 to a full block at 1."""
    return SHADES[round(min(max(level, 0.0), 1.0) * (len(SHADES) - 1))]


def grey(level: float) -> Color:
    """From nearly black at 0 to nearly white at 1."""
    value = round(min(max(level, 0.0), 1.0) * 235) + 20
    return Color.from_rgb(value, value, value)
