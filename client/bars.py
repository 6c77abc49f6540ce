"""Bars in a terminal: of shares, and of errors on a logarithmic scale with the one that is still allowed."""

from math import log10

from rich.bar import Bar
from rich.text import Text

EXACT = -16  # the power of ten of an error of which nothing is drawn


def bar(value: float | None, most: float, width: int, colour: str = "cyan") -> Bar:
    """So much of the most there is."""
    share = abs(value) / most if value is not None and most else 0.0
    return Bar(1.0, 0.0, min(share, 1.0), width=width, color=colour)


def error_bar(error: float | None, allowed: float, width: int) -> Text:
    """An error between 1e-16 and 1, with a stroke where it would be too large."""

    def place(value: float) -> int:
        return min(max(round((log10(max(value, 1e-300)) - EXACT) / -EXACT * width), 0), width)

    error = 1.0 if error is None else error  # it was not a number
    limit, end = place(allowed), place(error)
    end = max(end, limit + 1) if error > allowed else min(end, limit)
    good, bad = "█" * min(end, limit), "█" * (end - limit)
    return Text.assemble((good.ljust(limit), "green"), ("│", "dim"), (bad.ljust(width - limit), "red"))


def signed_bar(value: float | None, most: float, colour: str, width: int = 8) -> Text:
    """A number to the left or the right of a stroke for 0, each up to `width` columns."""
    length = round(width * abs(value) / most) if value is not None and most else 0
    left = length if value is not None and value < 0 else 0
    right = length - left
    return Text.assemble(
        " " * (width - left), ("█" * left, colour), ("│", "dim"), ("█" * right, colour), " " * (width - right)
    )
