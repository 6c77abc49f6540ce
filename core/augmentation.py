"""Augmentation: training images varied anew in every epoch, so that a small set shows more.

Each step draws its numbers from (seed, epoch, row of the dataset, place in the list), so that an image is varied alike
whatever batch it falls into and however often a run is resumed. The steps follow the preprocessing and act on
training batches only. Images are (height, width) or (height, width, channels). What comes in over an edge is `blank`:
an image of raw zeros after preprocessing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from math import prod
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.layers.layer import Array, Misfit, Shape
from core.random import Purpose, normal_quantile, uniform_rows
from core.spec import Spec

PIECE = 1 << 15  # pixels worked on at a time, so that temporary arrays stay small
BYTES_PER_VALUE = 200  # temporary memory, per value of a piece

Numbers = NDArray[np.float64]


class AugmentationStep(Spec):
    """One way to vary images."""

    draws: ClassVar[int] = 1  # numbers drawn for each image
    moves: ClassVar[bool] = False  # each number as it is, at most to another place

    def check(self, shape: Shape) -> None:
        """Raises Misfit where inputs of `shape` cannot be varied so."""
        if len(shape) not in (2, 3):
            size = " x ".join(map(str, shape))
            raise Misfit(
                None,
                "This is for images, whose examples are height x width or height x width x channels, but here each "
                f"example is {size}: remove it.",
            )

    @abstractmethod
    def apply(self, x: Array, u: Numbers, blank: Array) -> None:
        """Vary the images x (n, height, width, channels) in place by u (n, draws) in (0, 1)."""


class Shift(AugmentationStep):
    """Each image moved by whole pixels, from -pixels to pixels, down and to the right."""

    type: Literal["shift"] = "shift"
    pixels: Annotated[int, Field(strict=True, ge=1, le=2**15, examples=[2])]
    draws: ClassVar[int] = 2
    moves: ClassVar[bool] = True

    def check(self, shape: Shape) -> None:
        super().check(shape)
        if self.pixels >= min(shape[:2]):
            size = " x ".join(map(str, shape[:2]))
            raise Misfit("pixels", f"The images are {size} pixels, so this may leave nothing of them: use fewer.")

    def apply(self, x: Array, u: Numbers, blank: Array) -> None:
        by = np.floor(u * (2 * self.pixels + 1)).astype(np.int64) - self.pixels
        (down, right), (height, width) = by.T, x.shape[1:3]
        rows, row_inside = _inside(np.arange(height) - down[:, None], height)
        columns, column_inside = _inside(np.arange(width) - right[:, None], width)
        moved = x[np.arange(len(x))[:, None, None], rows[:, :, None], columns[:, None, :]]
        x[...] = np.where((row_inside[:, :, None] & column_inside[:, None, :])[..., None], moved, blank)


class Rotate(AugmentationStep):
    """Each image turned about its centre by an angle from -degrees to degrees; between pixels bilinear."""

    type: Literal["rotate"] = "rotate"
    degrees: Annotated[float, Field(strict=True, gt=0, le=180, examples=[10])]

    def apply(self, x: Array, u: Numbers, blank: Array) -> None:
        angle = np.radians((2 * u[:, 0] - 1) * self.degrees)
        cos, sin = np.cos(angle), np.sin(angle)
        _resample(x, np.stack([cos, sin, -sin, cos], axis=1).reshape(-1, 2, 2), blank)


class Scale(AugmentationStep):
    """Each image magnified about its centre 1 - factor to 1 + factor times; between pixels bilinear."""

    type: Literal["scale"] = "scale"
    factor: Annotated[float, Field(strict=True, gt=0, lt=1, examples=[0.1])]

    def apply(self, x: Array, u: Numbers, blank: Array) -> None:
        times = 1 + (2 * u[:, 0] - 1) * self.factor
        _resample(x, np.eye(2) / times[:, None, None], blank)


class Noise(AugmentationStep):
    """Normal noise of this deviation added to every value (as it is after preprocessing); for inputs of any shape."""

    type: Literal["noise"] = "noise"
    deviation: Annotated[float, Field(strict=True, gt=0, le=1e6, examples=[0.1])]
    draws: ClassVar[int] = 0  # as many as an image has values

    def check(self, shape: Shape) -> None:
        pass

    def apply(self, x: Array, u: Numbers, blank: Array) -> None:
        x += (self.deviation * normal_quantile(u)).reshape(x.shape).astype(x.dtype)


class Flip(AugmentationStep):
    """Each image mirrored left to right with probability 1/2."""

    type: Literal["flip"] = "flip"
    moves: ClassVar[bool] = True

    def apply(self, x: Array, u: Numbers, blank: Array) -> None:
        chosen = u[:, 0] < 0.5
        x[chosen] = x[chosen, :, ::-1]


AnyAugmentation = Annotated[Shift | Rotate | Scale | Noise | Flip, Field(discriminator="type")]


class Augmentation:
    """The steps of a run in their order. `blank`: one preprocessed input (input_shape) of raw zeros."""

    def __init__(self, steps: Sequence[AugmentationStep], seed: int, blank: Array) -> None:
        self._steps, self._seed = steps, seed
        self._blank = _as_images(blank[None])[0]

    def apply(self, x: Array, rows: NDArray[np.int64], epoch: int) -> None:
        """Vary the preprocessed batch x (n, *input_shape), contiguous, in place; `rows` are its rows of the dataset."""
        images = _as_images(x)
        size = max(1, PIECE // prod(images.shape[1:]))
        for start in range(0, len(x) if self._steps else 0, size):
            part, piece = rows[start : start + size], images[start : start + size]
            for place, step in enumerate(self._steps):
                count = step.draws or prod(images.shape[1:])
                u = uniform_rows(self._seed, Purpose.AUGMENTATION, part, count, epoch=epoch, layer=place)
                step.apply(piece, u, self._blank)


def augmentation_bytes(steps: Sequence[AugmentationStep], shape: Shape) -> int:
    """What `Augmentation.apply` takes in passing for inputs of `shape`."""
    return BYTES_PER_VALUE * max(PIECE, prod(shape)) if steps else 0


def _as_images(x: Array) -> Array:
    """A view of x (n, ...) as (n, height, width, channels); what is no image becomes one of a single row."""
    match x.shape:
        case (_, _, _, _):
            return x
        case (_, _, _):
            return x[..., None]
    return x.reshape(len(x), 1, -1, 1)


def _inside(at: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Places kept within 0 to size - 1, and which of them were there before."""
    return np.clip(at, 0, size - 1), (at >= 0) & (at < size)


def _resample(x: Array, matrices: Numbers, blank: Array) -> None:
    """Each pixel p of image i becomes the one at matrices[i] (p - centre) + centre, in (row, column), bilinear."""
    n, height, width, channels = x.shape
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    offsets = np.indices((height, width)).reshape(2, -1) - centre[:, None]
    at = matrices @ offsets + centre[:, None]  # (n, 2, pixels)
    corner = np.floor(at)
    fraction = (at - corner).astype(x.dtype)
    corner = corner.astype(np.int64)
    pixels = x.reshape(n, -1, channels)
    missing, found = np.ones((n, height * width, 1), x.dtype), np.zeros_like(pixels)
    for down in (0, 1):
        rows, row_inside = _inside(corner[:, 0] + down, height)
        row_weight = (fraction[:, 0] if down else 1 - fraction[:, 0]) * row_inside
        for right in (0, 1):
            columns, column_inside = _inside(corner[:, 1] + right, width)
            weight = row_weight * (fraction[:, 1] if right else 1 - fraction[:, 1]) * column_inside
            found += weight[..., None] * np.take_along_axis(pixels, (rows * width + columns)[..., None], axis=1)
            missing -= weight[..., None]
    x[...] = (found + missing * blank.reshape(-1, channels)).reshape(x.shape)
