"""What the pictures are drawn with: white paper, which can be read on light and dark pages, ink, lines and words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from core.layers.layer import Array

BLUE, ORANGE, RED, GREY, INK = "#2f6db5", "#d9822b", "#c23b22", "#b9bec6", "#30363d"
LEVELS = 20  # shades of a picture
BOLD = 'font-weight="bold"'


def svg(width: float, height: float, parts: Iterable[str]) -> str:
    """A picture that can be read on light and dark pages."""
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="12" fill="{INK}">\n'
        f'<rect width="100%" height="100%" rx="6" fill="#ffffff"/>\n{inside}\n</svg>\n'
    )


def words(x: float, y: float, text: str, extra: str = "") -> str:
    """Text that begins at a place."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return f'<text x="{round(x, 1):g}" y="{round(y, 1):g}" {extra}>{escaped}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str = GREY, extra: str = "") -> str:
    """A straight line; an axis, where nothing else is said."""
    ends = (f'{name}="{round(value, 1):g}"' for name, value in (("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2)))
    return f'<line {" ".join(ends)} stroke="{colour}"{extra and " " + extra}/>'


def curve(x: Array, y: Array, colour: str, extra: str = "") -> str:
    """A line through points that are already in pixels."""
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8" {extra}/>'


def box(x: float, y: float, width: float, height: float, extra: str) -> str:
    """A rectangle."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {extra}/>'


def dots(x: Array, y: Array, colour: str, size: float = 4.0, extra: str = "") -> str:
    """Many dots at places in pixels, as one path, which is short."""
    path = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return f'<path d="{path}" stroke="{colour}" stroke-width="{size:g}" stroke-linecap="round" {extra}/>'


def hue(value: float) -> str:
    """Blue for more, orange for less."""
    return BLUE if value > 0 else ORANGE


def picture(values: Array, left: float, top: float, size: float, *, signed: bool) -> Iterator[str]:
    """A matrix as pixels: grey on black, or where it is signed blue and orange on white."""
    side = size / values.shape[1]
    yield box(left, top, size, side * len(values), f'fill="{"#fff" if signed else "#000"}" stroke="{GREY}"')
    yield f'<g transform="translate({left:g} {top:g}) scale({side:g})" shape-rendering="crispEdges">'
    levels = np.rint(LEVELS * values / (np.abs(values).max() or 1.0)).astype(int)
    for level in sorted({*levels.flat} - {0}):
        path = "".join(f"M{c} {r}h1v1h-1z" for r, c in np.argwhere(levels == level))
        fill = hue(level) if signed else "#fff"
        yield f'<path d="{path}" fill="{fill}" fill-opacity="{abs(level) / LEVELS:.2f}"/>'
    yield "</g>"


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign, and a minus as long as a plus."""
    return f"{value:+.{digits}g}".replace("-", "−")


def folded(text: str, width: int) -> Sequence[str]:
    """Lines of at most so many characters."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".lstrip()
    return lines
