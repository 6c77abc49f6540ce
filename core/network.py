"""Layers in a row over one flat parameter vector theta."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
from pydantic import Field

from core.layers import AnyLayer
from core.layers.layer import Array, Context, Layer, Misfit, Shape, Variable
from core.random import Purpose, Random
from core.spec import Finding, Spec, SpecError


class NetworkSpec(Spec):
    """The layers, from the input to the output."""

    layers: tuple[AnyLayer, ...] = Field(min_length=1, max_length=256)


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
    """A layer at its place: what goes in and out, and where its variables lie."""

    layer: Layer
    input_shape: Shape
    output_shape: Shape
    parameters: tuple[Piece, ...]
    state: tuple[Piece, ...]


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
        shape, size, state_size = input_shape, 0, 0
        placed = []
        for index, layer in enumerate(layers):
            try:
                output = layer.output_shape(shape)
            except Misfit as misfit:
                field = "" if misfit.field is None else f"/{misfit.field}"
                raise ShapeError(f"/network/layers/{index}{field}", misfit.detail) from None
            parameters = tuple(_pieces(f"layers.{index}", layer.parameters(shape), size))
            state = tuple(_pieces(f"layers.{index}", layer.state(shape), state_size))
            placed.append(Placed(layer, shape, output, parameters, state))
            size += sum(prod(piece.variable.shape) for piece in parameters)
            state_size += sum(prod(piece.variable.shape) for piece in state)
            shape = output
        return cls(tuple(placed), input_shape, shape, size, state_size)

    @property
    def flops(self) -> int:
        """Floating-point operations of forward for one example."""
        return sum(at.layer.flops(at.input_shape) for at in self.layers)

    @property
    def first_learned(self) -> int:
        """The index of the first layer with parameters: backward need not go beyond it."""
        learned = (index for index, at in enumerate(self.layers) if at.parameters)
        return next(learned, len(self.layers))

    def parameters(self) -> Iterator[Piece]:
        """Every piece of theta, in order."""
        return (piece for at in self.layers for piece in at.parameters)

    def state(self) -> Iterator[Piece]:
        """Every piece of the state, in order."""
        return (piece for at in self.layers for piece in at.state)

    def allocate(self, dtype: str) -> tuple[Array, Array]:
        """Room for theta and state, without values."""
        return np.empty(self.size, dtype), np.empty(self.state_size, dtype)

    def draw(self, seed: int, theta: Array, state: Array) -> None:
        """Fill theta and state with their first values."""
        for vector, pieces in (theta, self.parameters()), (state, self.state()):
            for index, piece in enumerate(pieces):
                shape, initializer, fan_in, fan_out, _ = piece.variable
                random = Random(seed, Purpose.PARAMETERS, layer=index)
                piece.of(vector)[...] = initializer.draw(random, shape, fan_in, fan_out)

    def forward(self, x: Array, contexts: Sequence[Context]) -> Array:
        """The output (n, *output_shape) for inputs x (n, *input_shape)."""
        for at, ctx in zip(self.layers, contexts, strict=True):
            ctx.x = x
            x = at.layer.forward(x, ctx)
        return x

    def backward(self, dy: Array, contexts: Sequence[Context], first: int) -> Array | None:
        """Fill the gradients, given dC/d(output); goes down to layer `first` and returns its dx."""
        dx: Array | None = dy
        for index in range(len(contexts) - 1, first - 1, -1):
            assert dx is not None
            dx = self.layers[index].layer.backward(dx, contexts[index])
        return dx


def _pieces(prefix: str, variables: dict[str, Variable], start: int) -> Iterator[Piece]:
    for name, variable in variables.items():
        yield Piece(f"{prefix}.{name}", start, variable)
        start += prod(variable.shape)
