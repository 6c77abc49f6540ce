"""What the axes of an example mean: images are (rows, columns, channels), sequences (time, features)."""

from __future__ import annotations

from math import isqrt, prod

from core.layers.layer import Array, Misfit, Shape


def image(shape: Shape, layer: str) -> tuple[int, int, int]:
    """(rows, columns, channels) of an example; two axes are an image of one channel. Raises Misfit."""
    match shape:
        case (rows, columns):
            return rows, columns, 1
        case (rows, columns, channels):
            return rows, columns, channels
    arranged = _as_image(prod(shape))
    raise Misfit(None, _sentence(f"{layer} takes images (rows, columns, channels)", shape, arranged))


def as_images(x: Array) -> Array:
    """A batch (n, rows, columns) as the view (n, rows, columns, 1); with channels, as it is."""
    return x if x.ndim == 4 else x[..., None]


def sequence(shape: Shape, layer: str) -> tuple[int, int]:
    """(time, features) of an example. Raises Misfit."""
    match shape:
        case (time, features):
            return time, features
    arranged = f"[{shape[0]}, {prod(shape[1:])}]" if shape else "[1, 1]"
    raise Misfit(None, _sentence(f"{layer} takes sequences (time, features)", shape, arranged))


def places(shape: Shape, layer: str) -> tuple[int, int]:
    """(places, channels) of an example with channels as its last axis, be it image or sequence. Raises Misfit."""
    if len(shape) > 1:
        return prod(shape[:-1]), shape[-1]
    takes = f"{layer} takes images (rows, columns, channels) or sequences (time, features)"
    raise Misfit(None, _sentence(takes, shape, f"[{prod(shape)}, 1]"))


def _sentence(takes: str, shape: Shape, arranged: str) -> str:
    has = " x ".join(map(str, shape)) or "a single number"
    return f'{takes}, but here each example is {has}: put {{"type": "reshape", "shape": {arranged}}} before it.'


def _as_image(numbers: int) -> str:
    """How so many numbers may be arranged: square with one or three channels if that fits."""
    for channels in (1, 3):
        side = isqrt(numbers // channels)
        if side * side * channels == numbers:
            return f"[{side}, {side}, {channels}]"
    return f"[{numbers}, 1, 1]"
