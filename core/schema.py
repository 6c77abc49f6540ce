"""What a dataset looks like, without its arrays."""

from __future__ import annotations

from math import isfinite, prod
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, field_validator

from core.spec import Count, Spec

JsonScalar = str | int | float | bool | None
InputDtype = Literal["uint8", "float32", "float64"]


def _scalar(label: object) -> JsonScalar:
    if isinstance(label, float) and not isfinite(label):
        raise ValueError("A class must not be NaN or Infinity.")
    if isinstance(label, int) and not -(2**63) <= label < 2**63:
        raise ValueError("A class that is an integer must fit into 64 bits.")
    if label is None or isinstance(label, str | int | float):
        return label
    raise ValueError("A class must be a string, a number, true, false or null.")


Label = Annotated[JsonScalar, PlainValidator(_scalar, json_schema_input_type=JsonScalar)]
Shape = tuple[Count, ...]


def class_key(label: JsonScalar) -> tuple[int, str | int | float]:
    """The place of a class among the others: by JSON type (null, boolean, number, string), then by value.

    Also what makes two labels one class: 1 and 1.0 are, 1, True and "1" are three.
    """
    match label:
        case None:
            return 0, 0
        case bool():
            return 1, label
        case int() | float():
            return 2, label
        case str():
            return 3, label


class ClassTarget(Spec):
    """Each row belongs to one of `classes`: at least two distinct JSON scalars, ordered by `class_key`."""

    kind: Literal["class"] = "class"
    classes: tuple[Label, ...] = Field(examples=[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]])

    @field_validator("classes")
    @classmethod
    def _at_least_two_in_order(cls, classes: tuple[JsonScalar, ...]) -> tuple[JsonScalar, ...]:
        keys = [class_key(label) for label in classes]
        if len(set(keys)) < 2:
            raise ValueError(
                "All rows belong to one class, so there is nothing to learn: "
                "a dataset with class targets needs at least two classes."
            )
        if keys != sorted(set(keys)):
            raise ValueError("The classes must be distinct and sorted by JSON type, then by value.")
        return classes

    @property
    def width(self) -> int:
        """How many classes there are."""
        return len(self.classes)


class RealTarget(Spec):
    """Each row has an array of `shape` real numbers; () is a single number."""

    kind: Literal["real"] = "real"
    shape: Shape

    @property
    def width(self) -> int:
        """How many numbers belong to one row."""
        return prod(self.shape)


Target = Annotated[ClassTarget | RealTarget, Field(discriminator="kind")]


class Column(Spec):
    """One named column and what it is for."""

    name: str
    role: Literal["feature", "target", "weight", "group", "mask"]


class DataSchema(Spec):
    """Rows, the shape and type of one input, the target, and the columns where the source named them."""

    rows: Count
    input_shape: Shape = Field(min_length=1, max_length=8)
    input_dtype: InputDtype
    target: Target
    columns: tuple[Column, ...] = ()

    def places(self, role: str) -> list[int]:
        """Where the columns with this role stand in `columns`."""
        return [i for i, column in enumerate(self.columns) if column.role == role]
