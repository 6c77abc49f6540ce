"""The contract every layer keeps.

A layer is an immutable description: its hyperparameters are its fields, and it holds no arrays. It says what it needs
for inputs of a given shape (parameters, state, scratch), and computes with what it is handed in a `Context`. Shapes are
those of one example; arrays carry the batch as an additional first axis, unless a scratch array says otherwise.

The derivative stands beside the value. For a batch x, with C the cost and dy = dC/dy:

    y  = layer.forward(x, ctx)      fills and returns ctx.y
    dx = layer.backward(dy, ctx)    fills ctx.gradients with dC/dparameters, fills and returns ctx.dx

Neither changes x or dy. Between the two, ctx.x is x, and ctx.y and ctx.scratch stay as forward left them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from numpy.typing import NDArray

from core.initializers import Initializer
from core.random import Random
from core.spec import Spec

Array = NDArray[Any]
Shape = tuple[int, ...]


class Misfit(Exception):
    """A layer that cannot take its input: the field to change (None: the layer itself) and what to do.

    A field of a layer inside this one is named by its path, such as "layers/0/units".
    """

    def __init__(self, field: str | None, detail: str) -> None:
        super().__init__(detail)
        self.field = field
        self.detail = detail


class Variable(NamedTuple):
    """An array that outlives a batch: a parameter, or a piece of state such as a running mean."""

    shape: Shape
    initializer: Initializer
    fan_in: int = 1
    fan_out: int = 1
    penalised: bool = False  # a weight, which penalties and decay pull to zero; biases and the like are left alone


class Scratch(NamedTuple):
    """Room that a layer needs between forward and backward; `dtype` None is that of the network."""

    shape: Shape
    dtype: str | None = None


@dataclass(slots=True)
class Context:
    """Everything a layer computes with; tuples are in the order in which the layer declared them."""

    x: Array  # the input, remembered for backward
    y: Array  # where forward writes
    dx: Array | None  # where backward writes; None when nobody asks for it
    parameters: tuple[Array, ...]
    gradients: tuple[Array, ...]
    state: tuple[Array, ...]  # forward may update it when training
    scratch: tuple[Array, ...]
    training: bool
    random: Random | None  # set for a layer that is `stochastic`, when training
    mask: Array | None = None  # of sequences: (n, time), 1 for a step that counts and 0 for padding; None: all count
    inner: tuple[Context, ...] = ()  # those of the layers inside this one
    first: int = 0  # of the layers inside, the one where backward ends


class Layer(Spec):
    """One differentiable step from x to y."""

    type: str
    stochastic: ClassVar[bool] = False  # draws random numbers when training
    reshapes: ClassVar[bool] = False  # y is a view of x, and dx one of dy: no room of its own
    pools: ClassVar[bool] = False  # y gathers numbers of x, their largest or mean: logits remain logits
    masks: ClassVar[bool] = False  # looks at the mask of its sequences
    kinks: ClassVar[tuple[float, ...]] = ()  # the x where the derivative jumps

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """The shape of y for an x of `shape`; raises Misfit."""

    def inner(self) -> tuple[Layer, ...]:
        """The layers inside this one, the first of which takes the same x; what they need, they declare themselves."""
        return ()

    def categories(self) -> int | None:
        """How many there are, for a layer that takes whole numbers from 0 on, by which it cannot be differentiated."""
        return None

    def parameters(self, shape: Shape) -> dict[str, Variable]:
        """What is learned."""
        return {}

    def state(self, shape: Shape) -> dict[str, Variable]:
        """What is remembered from batch to batch without being learned by descent."""
        return {}

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        """What backward wants from forward beyond x and y, for batches of `rows`."""
        return {}

    def sides(self, ctx: Context) -> list[Array]:
        """On which side of its kinks each number of the last forward lay: arrays that change where one is crossed."""
        return [ctx.x > kink for kink in self.kinks]

    def examine(self) -> None:
        """A closer look at the layer itself, taken when a job is submitted; raises Misfit."""

    @abstractmethod
    def flops(self, shape: Shape) -> int:
        """Floating-point operations of forward for one example."""

    @abstractmethod
    def forward(self, x: Array, ctx: Context) -> Array:
        """y for a batch x."""

    @abstractmethod
    def backward(self, dy: Array, ctx: Context) -> Array | None:
        """dx for a batch dy, and the gradients; None where ctx.dx is None."""


def shapes_through(layers: Sequence[Layer], shape: Shape) -> list[Shape]:
    """The shapes of x before each of the layers in a row and of y behind the last; raises Misfit with a path."""
    shapes = [shape]
    for index, layer in enumerate(layers):
        try:
            shapes.append(layer.output_shape(shapes[-1]))
        except Misfit as misfit:
            field = "" if misfit.field is None else f"/{misfit.field}"
            raise Misfit(f"layers/{index}{field}", misfit.detail) from None
    return shapes


def forward_through(layers: Sequence[Layer], x: Array, contexts: Sequence[Context]) -> Array:
    """The y of the last of the layers in a row."""
    for layer, ctx in zip(layers, contexts, strict=True):
        ctx.x = x
        x = layer.forward(x, ctx)
    return x


def backward_through(layers: Sequence[Layer], dy: Array, contexts: Sequence[Context], first: int) -> Array | None:
    """Fill the gradients, given the dy of the last layer; goes down to the layer `first` and returns its dx."""
    dx: Array | None = dy
    for index in range(len(layers) - 1, first - 1, -1):
        assert dx is not None
        dx = layers[index].backward(dx, contexts[index])
    return dx
