"""Layers in a row over one flat parameter vector theta."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import NamedTuple

from pydantic import Field, field_validator

from core.layers import AnyLayer
from core.layers.layer import (
    Array,
    Context,
    Layer,
    Misfit,
    Shape,
    Variable,
    backward_through,
    forward_through,
    shapes_through,
)
from core.memory import room
from core.random import Purpose, Random
from core.spec import Finding, Spec, SpecError

MAX_LAYERS = 1024


class NetworkSpec(Spec):
    """The layers, from the input to the output."""

    layers: tuple[AnyLayer, ...] = Field(min_length=1, max_length=256)

    @field_validator("layers")
    @classmethod
    def _not_too_many(cls, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        if (count := _count(layers)) > MAX_LAYERS:
            raise ValueError(f"There are {count} layers, with those inside others: use at most {MAX_LAYERS}.")
        return layers


def _count(layers: Sequence[Layer]) -> int:
    return sum(1 + _count(layer.inner()) for layer in layers)


class ShapeError(SpecError):
    """A layer that does not fit what comes before it."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__([Finding(pointer, detail)])
        self.pointer = pointer
        self.detail = detail


class Piece(NamedTuple):
    """A named stretch of a flat vector, and how it is drawn and shaped."""

    name: str
    start: int
    variable: Variable

    def of(self, vector: Array) -> Array:
        """The view of `vector` that this piece names."""
        shape = self.variable.shape
        return vector[self.start : self.start + prod(shape)].reshape(shape)


@dataclass(frozen=True)
class Placed:
    """A layer at its place: what goes in and out, and where its variables lie.

    `number` counts all layers of the network, those inside others too, from 0. `timed`: the first axis of x counts the
    steps of the dataset's sequences, so that their mask (n, time) fits.
    """

    layer: Layer
    number: int
    input_shape: Shape
    output_shape: Shape
    parameters: tuple[Piece, ...]
    state: tuple[Piece, ...]
    inner: tuple[Placed, ...]
    timed: bool

    @property
    def learns(self) -> bool:
        """Whether it or a layer inside it has parameters."""
        return bool(self.parameters) or any(at.learns for at in self.inner)

    def walk(self) -> Iterator[Placed]:
        """This layer, then those inside it."""
        yield self
        for at in self.inner:
            yield from at.walk()


def first_learned(layers: Sequence[Placed]) -> int:
    """The index of the first layer with parameters: backward need not go beyond it."""
    learned = (index for index, at in enumerate(layers) if at.learns)
    return next(learned, len(layers))


def pairs(layers: Sequence[Placed], contexts: Sequence[Context]) -> Iterator[tuple[Placed, Context]]:
    """Every layer with its context, in the order of the numbers."""
    for at, ctx in zip(layers, contexts, strict=True):
        yield at, ctx
        yield from pairs(at.inner, ctx.inner)


@dataclass(frozen=True)
class Network:
    """A traced stack of layers. Holds no arrays: theta (size,) and state (state_size,) are handed in."""

    layers: tuple[Placed, ...]
    input_shape: Shape
    output_shape: Shape
    size: int
    state_size: int

    @classmethod
    def trace(cls, layers: Sequence[Layer], input_shape: Shape) -> Network:
        """Follow the shapes through the layers; raises ShapeError. Allocates nothing."""
        try:
            output_shape = shapes_through(layers, input_shape)[-1]
        except Misfit as misfit:
            raise ShapeError(f"/network/{misfit.field}", misfit.detail) from None
        tracer = _Tracer()
        placed = tracer.place(layers, input_shape, "", raw=True, timed=True)
        return cls(placed, input_shape, output_shape, tracer.size, tracer.state_size)

    def walk(self) -> Iterator[Placed]:
        """Every layer, in the order of the numbers."""
        return (inner for at in self.layers for inner in at.walk())

    @property
    def flops(self) -> int:
        """Floating-point operations of forward for one example."""
        return sum(at.layer.flops(at.input_shape) for at in self.layers)

    @property
    def masked(self) -> bool:
        """Whether some layer looks at the mask of the dataset's sequences."""
        return any(at.timed and at.layer.masks for at in self.walk())

    @property
    def first_learned(self) -> int:
        """The index of the first layer with parameters: backward need not go beyond it."""
        return first_learned(self.layers)

    def parameters(self) -> Iterator[Piece]:
        """Every piece of theta, in order."""
        return (piece for at in self.walk() for piece in at.parameters)

    def state(self) -> Iterator[Piece]:
        """Every piece of the state, in order."""
        return (piece for at in self.walk() for piece in at.state)

    def allocate(self, dtype: str) -> tuple[Array, Array]:
        """Room for theta and state, without values."""
        return room((self.size,), dtype), room((self.state_size,), dtype)

    def draw(self, seed: int, theta: Array, state: Array) -> None:
        """Fill theta and state with their first values."""
        for vector, pieces in (theta, self.parameters()), (state, self.state()):
            for index, piece in enumerate(pieces):
                shape, initializer, fan_in, fan_out, _ = piece.variable
                random = Random(seed, Purpose.PARAMETERS, layer=index)
                piece.of(vector)[...] = initializer.draw(random, shape, fan_in, fan_out)

    def forward(self, x: Array, contexts: Sequence[Context]) -> Array:
        """The output (n, *output_shape) for inputs x (n, *input_shape)."""
        return forward_through([at.layer for at in self.layers], x, contexts)

    def backward(self, dy: Array, contexts: Sequence[Context], first: int) -> Array | None:
        """Fill the gradients, given dC/d(output); goes down to layer `first` and returns its dx."""
        return backward_through([at.layer for at in self.layers], dy, contexts, first)


class _Tracer:
    """Gives layers their numbers and their variables their places, in order."""

    def __init__(self) -> None:
        self.number = self.size = self.state_size = 0

    def place(
        self, layers: Sequence[Layer], shape: Shape, prefix: str, *, raw: bool, timed: bool
    ) -> tuple[Placed, ...]:
        """The layers in a row, behind all that was placed before; `prefix` begins the names of their pieces.

        `raw`: x is that of the dataset, at most in another shape. `timed`: as in `Placed`.
        """
        placed = []
        for index, (layer, (x, y)) in enumerate(zip(layers, pairwise(shapes_through(layers, shape)), strict=True)):
            name, number = f"{prefix}layers.{index}.", self.number
            if layer.categories() is not None and not raw:
                at = "/network/" + name.removesuffix(".").replace(".", "/")
                raise ShapeError(at, "This layer looks up the whole numbers of the dataset: put it first.")
            parameters = tuple(_pieces(name, layer.parameters(x), self.size))
            state = tuple(_pieces(name, layer.state(x), self.state_size))
            self.number += 1
            self.size += sum(prod(piece.variable.shape) for piece in parameters)
            self.state_size += sum(prod(piece.variable.shape) for piece in state)
            inner = self.place(layer.inner(), x, name, raw=False, timed=timed)
            placed.append(Placed(layer, number, x, y, parameters, state, inner, timed))
            raw = raw and layer.reshapes
            timed = timed and x[0] == y[0] and (len(x) == 2 or layer.categories() is not None)
        return tuple(placed)


def _pieces(prefix: str, variables: dict[str, Variable], start: int) -> Iterator[Piece]:
    for name, variable in variables.items():
        yield Piece(prefix + name, start, variable)
        start += prod(variable.shape)
