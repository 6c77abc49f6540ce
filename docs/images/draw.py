"""Draws the pictures of docs/layers.md and docs/training.md with the code that they explain.

.venv/bin/python docs/images/draw.py
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from core.augmentation import AnyAugmentation, Augmentation
from core.layers import AnyLayer
from core.layers.layer import Array, Context, Layer
from core.layers.windows import Sliding
from core.schedules import AnySchedule, rate_at
from docs.images.paper import BLUE, GREY, INK, ORANGE, curve, line, svg, words

HERE = Path(__file__).parent
DIGITS = HERE.parents[1] / "samples" / "digits-images.idx3-ubyte.gz"

ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus")
EPOCHS, STEPS = 10, 20
SCHEDULES: tuple[dict[str, object], ...] = (
    {"type": "constant", "learning_rate": 1.0},
    {"type": "step", "learning_rate": 1.0, "factor": 0.5, "every_epochs": 3},
    {"type": "exponential", "learning_rate": 1.0, "factor": 0.75},
    {"type": "inverse_time", "learning_rate": 1.0},
    {"type": "cosine", "learning_rate": 1.0},
    {"type": "one_cycle", "learning_rate": 1.0},
    {"type": "warm_up", "epochs": 2, "then": {"type": "cosine", "learning_rate": 1.0}},
)
PADDINGS: tuple[tuple[str, int, int, int, int | str], ...] = (  # words, size, stride, dilation, padding
    ('kernel 3, "valid"', 3, 1, 1, "valid"),
    ('kernel 3, "same"', 3, 1, 1, "same"),
    ("kernel 3, padding 2", 3, 1, 1, 2),
    ('kernel 3, stride 2, "valid"', 3, 2, 1, "valid"),
    ('kernel 2, stride 2, "same"', 2, 2, 1, "same"),
    ('kernel 3, dilation 2, "valid"', 3, 1, 2, "valid"),
)
LENGTH = 7
STEPS_OF_AUGMENTATION: tuple[dict[str, object], ...] = (
    {"type": "shift", "pixels": 2},
    {"type": "rotate", "degrees": 30},
    {"type": "scale", "factor": 0.3},
    {"type": "noise", "deviation": 0.15},
    {"type": "flip"},
)


def value_and_slope(layer: Layer, x: Array) -> tuple[Array, Array]:
    """y and dy/dx of an elementwise layer at the points x."""
    x = x[:, None]
    scratch = tuple(np.empty(wanted.shape) for wanted in layer.scratch((1,), len(x)).values())
    ctx = Context(x, np.empty_like(x), np.empty_like(x), (), (), (), scratch, training=False, random=None)
    y, dx = layer.forward(x, ctx), layer.backward(np.ones_like(x), ctx)
    assert dx is not None
    return y[:, 0], dx[:, 0]


def activations() -> str:
    """Every activation between -4 and 4, and its derivative."""

    def parts() -> Iterator[str]:
        x = np.linspace(-4, 4, 161)
        for index, name in enumerate(ACTIVATIONS):
            layer = TypeAdapter[Layer](AnyLayer).validate_python({"type": name})
            left, top = 20 + index % 4 * 175, 12 + index // 4 * 150
            y, slope = value_and_slope(layer, x)
            across = left + (x + 4) * 19.5
            yield words(left, top + 10, name, 'font-weight="bold"')
            yield line(left, top + 105, left + 156, top + 105) + line(left + 78, top + 18, left + 78, top + 128)
            for values, colour, extra in (slope, ORANGE, 'stroke-dasharray="4 3"'), (y, BLUE, ""):
                shown = (values > -1.15) & (values < 4.2)
                yield curve(across[shown], top + 105 - 20 * values[shown], colour, extra)
        yield words(20, 320, "blue: y, from -4 to 4; orange, dashed: dy/dx; 1 is as high as it is wide")

    return svg(720, 332, parts())


def schedules() -> str:
    """The learning rate of every update of a run of ten epochs."""

    def parts() -> Iterator[str]:
        total = EPOCHS * STEPS
        for index, told in enumerate(SCHEDULES):
            schedule = TypeAdapter(AnySchedule).validate_python(told)
            rates = np.array([rate_at(schedule, step, STEPS, EPOCHS) for step in range(total)])
            left, top = 20 + index % 4 * 175, 12 + index // 4 * 125
            yield words(left, top + 10, str(told["type"]), 'font-weight="bold"')
            yield line(left, top + 98, left + 156, top + 98) + line(left, top + 20, left, top + 98)
            for epoch in range(1, EPOCHS + 1):
                yield line(left + 15.6 * epoch, top + 98, left + 15.6 * epoch, top + 101)
            yield curve(left + 156 * np.arange(total) / total, top + 98 - 75 * rates, BLUE)
        yield words(20, 268, "the learning rate over ten epochs, from 0 up to learning_rate")

    return svg(720, 280, parts())


def paddings() -> str:
    """Where the windows stand over seven cells."""

    def parts() -> Iterator[str]:
        cell = 17.0
        for index, (told, size, stride, dilation, padding) in enumerate(PADDINGS):
            windows = Sliding.over(LENGTH, size, stride, dilation, padding)
            reach = (windows.count - 1) * stride + (size - 1) * dilation + 1
            behind = max(0, reach - windows.before - LENGTH)
            left, top = 20 + index % 3 * 235, 12 + index // 3 * 185
            yield words(left, top + 10, told, 'font-weight="bold"')
            begin = left + 2 * cell  # of the input
            for place in range(-windows.before, LENGTH + behind):
                inside = 0 <= place < LENGTH
                look = f'fill="{GREY}"' if inside else 'fill="none" stroke-dasharray="2 2"'
                yield _cell(begin + place * cell, top + 20, cell, f'{look} stroke="{INK}"')
            for window in range(windows.count):
                for i in range(size):
                    place = window * stride + i * dilation - windows.before
                    yield _cell(begin + place * cell, top + 44 + 11 * window, cell, f'fill="{BLUE}"', 8)
            yield words(left, top + 160, f"{LENGTH} cells -> {windows.count}")
        yield words(20, 388, "grey: the input; dashed: padding; each blue row: what one window sees, and so one output")

    return svg(720, 400, parts())


def _cell(x: float, y: float, size: float, look: str, height: float = 16.0) -> str:
    return f'<rect x="{x + 1:g}" y="{y:g}" width="{size - 2:g}" height="{height:g}" {look}/>'


def augmentations() -> str:
    """A digit as it is, and as each step shows it in three epochs."""
    raw = np.frombuffer(gzip.decompress(DIGITS.read_bytes())[16:], np.uint8).reshape(-1, 8, 8)
    digit = raw[3:4] / 255.0

    def parts() -> Iterator[str]:
        yield words(20, 22, "as it is", 'font-weight="bold"')
        yield _image(digit[0], 20, 32)
        for index, told in enumerate(STEPS_OF_AUGMENTATION):
            left = 130 + 115 * index
            yield words(left, 22, ", ".join(map(str, told.values())), 'font-weight="bold"')
            step = TypeAdapter(AnyAugmentation).validate_python(told)
            augmentation = Augmentation([step], 3, np.zeros((8, 8)))
            for epoch in range(3):
                x = digit.copy()
                augmentation.apply(x, np.array([3]), epoch)
                yield _image(x[0], left, 32 + 90 * epoch)

    return svg(720, 310, parts())


def _image(pixels: Array, left: float, top: float) -> str:
    """Eight levels of grey, one path for each."""
    levels = np.clip(np.round(pixels * 7), 0, 7).astype(int)
    found = [f'<rect x="{left:g}" y="{top:g}" width="80" height="80" fill="#000000"/>']
    for level in range(1, 8):
        path = "".join(f"M{left + 10 * c:g} {top + 10 * r:g}h10v10h-10z" for r, c in np.argwhere(levels == level))
        shade = f"{round(255 * level / 7):02x}" * 3
        found += [f'<path d="{path}" fill="#{shade}"/>'] * bool(path)
    return "".join(found)


PICTURES: dict[str, Callable[[], str]] = {
    "activations.svg": activations,
    "augmentation.svg": augmentations,
    "padding.svg": paddings,
    "schedules.svg": schedules,
}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (HERE / name).write_text(draw(), encoding="utf-8")
