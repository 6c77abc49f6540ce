"""What a network says about one input, as bars; beside the picture, where the input is one."""

from collections.abc import Sequence
from typing import Any

from rich.align import Align
from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from client.chances import told
from client.picture import picture
from client.schemas import JsonScalar, Prediction


def guesses(prediction: Prediction, truth: JsonScalar = None, width: int = 24, *, chances: bool = True) -> Table:
    """The best guesses, strongest first, each with a bar; `truth`, where known, colours the bars green. Without
    `chances` they are no probabilities, but whatever the network gives."""
    grid = Table.grid(padding=(0, 2))
    for place, guess in enumerate(prediction.top or (prediction,)):
        value = guess.probability or 0.0
        style = "bright_green" if guess.label == truth else "cyan" if place == 0 else "bright_black"
        label = Text(str(guess.label), style="bold" if place == 0 else "")
        bar = Bar(1.0, 0.0, min(max(value, 0.0), 1.0), width=width, color=style)
        said = f"{value * 100:5.1f} %" if chances else told(guess.probability, chances=False)
        grid.add_row(label, bar, Text(said, style="" if place == 0 else "dim"))
    return grid


def is_picture(pixels: Any) -> bool:
    """True for rows of numbers that make a small greyscale picture."""
    return (
        isinstance(pixels, Sequence)
        and 4 <= len(pixels) <= 64
        and all(isinstance(row, Sequence) and 4 <= len(row) <= 64 for row in pixels)
        and all(isinstance(value, int | float) for row in pixels for value in row)
    )


def drawn(pixels: Sequence[Sequence[float]], *, colour: bool) -> Text:
    """The picture with a dark frame of one pixel, about 20 to 30 columns wide."""
    width = len(pixels[0])
    empty = [0.0] * (width + 2)
    framed = [empty, *([0.0, *row, 0.0] for row in pixels), empty]
    return picture(framed, colour=colour, scale=2 if width <= 14 else 1)


def beside(pixels: Sequence[Sequence[float]], right: Table, *, colour: bool) -> Table:
    """The picture on the left, the guesses on the right."""
    drawing = drawn(pixels, colour=colour)
    grid = Table.grid(padding=(0, 4))
    grid.add_row(drawing, Align(right, vertical="middle", height=drawing.plain.count("\n") + 1))
    return grid
