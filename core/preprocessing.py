"""From raw values to what the network sees: an ordered list of fitted steps that every model carries."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, TypeAdapter

from core.data import Dataset
from core.layers.layer import Array
from core.spec import Spec


class PreprocessingSpec(Spec):
    """`unit` divides uint8 by 255 and leaves the rest unchanged; `standard` gives each input mean 0 and deviation 1
    over the training rows; `none` changes nothing."""

    scale: Literal["unit", "standard", "none"] = "unit"


class Step(Spec):
    """One fitted step. Small values are its fields; arrays travel beside it under the names in `arrays`."""

    arrays: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def apply(self, x: Array, arrays: Mapping[str, Array]) -> None:
        """Transform the rows x (n, *input_shape), floating-point, in place."""

    @abstractmethod
    def backward(self, dx: Array, arrays: Mapping[str, Array]) -> None:
        """Turn derivatives (n, *input_shape) by what `apply` gives into those by what it takes, in place."""


class Divide(Step):
    """x / by."""

    type: Literal["divide"] = "divide"
    by: float

    def apply(self, x: Array, arrays: Mapping[str, Array]) -> None:
        x /= self.by

    def backward(self, dx: Array, arrays: Mapping[str, Array]) -> None:
        dx /= self.by


class Standardize(Step):
    """(x - mean) / deviation, for each input on its own."""

    type: Literal["standardize"] = "standardize"
    arrays: ClassVar[tuple[str, ...]] = ("mean", "deviation")

    def apply(self, x: Array, arrays: Mapping[str, Array]) -> None:
        np.subtract(x, arrays["mean"], out=x, casting="same_kind")
        np.divide(x, arrays["deviation"], out=x, casting="same_kind")

    def backward(self, dx: Array, arrays: Mapping[str, Array]) -> None:
        np.divide(dx, arrays["deviation"], out=dx, casting="same_kind")


_STEPS: TypeAdapter[list[Divide | Standardize]] = TypeAdapter(
    list[Annotated[Divide | Standardize, Field(discriminator="type")]]
)


class Preprocessing:
    """Fitted steps in their order. Arrays (float64, input_shape) are named by place and purpose: "0.mean"."""

    def __init__(self, steps: list[Divide | Standardize], arrays: Mapping[str, Array]) -> None:
        self.steps = steps
        self.arrays = dict(arrays)

    @classmethod
    def fit(cls, spec: PreprocessingSpec, data: Dataset) -> Preprocessing:
        """Learn what the spec asks for from the rows of `data`, in one pass through it."""
        if spec.scale == "unit" and data.schema.input_dtype == "uint8":
            return cls([Divide(by=255.0)], {})
        if spec.scale == "standard":
            mean, deviation = _moments(data)
            return cls([Standardize()], {"0.mean": mean, "0.deviation": deviation})
        return cls([], {})

    @classmethod
    def from_json(cls, steps: object, arrays: Mapping[str, Array]) -> Preprocessing:
        """The inverse of `to_json`, with the arrays it needs."""
        return cls(_STEPS.validate_python(steps), arrays)

    def to_json(self) -> list[dict[str, object]]:
        """The ordered list as plain JSON values."""
        return [step.model_dump() for step in self.steps]

    def apply(self, raw: Array, out: Array) -> Array:
        """Write the transformed rows of `raw` (n, *input_shape), any real type, into `out`."""
        # float64 is rounded to the network's type last, so that small differences of large values survive.
        exact = bool(self.steps) and raw.dtype == np.float64 != out.dtype
        x = raw.copy() if exact else out
        if not exact:
            np.copyto(out, raw, casting="same_kind")
        for place, step in enumerate(self.steps):
            step.apply(x, self._of(place))
        if exact:
            np.copyto(out, x, casting="same_kind")
        return out

    def backward(self, dx: Array) -> Array:
        """dC/d(raw) for dC/dx (n, *input_shape): what a change by one raw unit would do. A new array."""
        draw = dx.copy()
        for place in reversed(range(len(self.steps))):
            self.steps[place].backward(draw, self._of(place))
        return draw

    def _of(self, place: int) -> dict[str, Array]:
        return {name: self.arrays[f"{place}.{name}"] for name in self.steps[place].arrays}


def _moments(data: Dataset) -> tuple[Array, Array]:
    """Mean and population deviation of each input, in float64, 1 where an input never varies.

    Blocks are merged by T. Chan, G. Golub, R. LeVeque, "Updating formulae", Stanford CS-79-773 (1979), eq. 2.1.
    """
    count = 0
    mean = np.zeros(data.schema.input_shape)
    squares = np.zeros_like(mean)
    for block in data.blocks():
        x = block.astype(np.float64)
        n = len(x)
        block_mean = x.mean(axis=0)
        x -= block_mean
        step = block_mean - mean
        squares += np.square(x).sum(axis=0) + step * step * (count * n / (count + n))
        mean += step * (n / (count + n))
        count += n
    variance = squares / count
    # What rounding alone leaves of a constant is no variation.
    noise = count * np.finfo(np.float64).eps
    constant = variance <= noise * variance + (noise * np.abs(mean)) ** 2
    return mean, np.where(constant, 1.0, np.sqrt(variance))
