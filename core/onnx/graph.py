"""A graph of operators in the making, and the place at which a layer adds its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.layers.layer import Array, Layer, Shape
from core.network import Placed
from core.onnx import messages
from core.onnx.messages import Attribute
from core.spec import SpecError


class Graph:
    """Nodes in the order in which they compute, over values that have names, in one type of real numbers.

    What a graph inside a node computes with, beyond its own inputs, are the values of the graph around it.
    """

    def __init__(self, dtype: str, around: Graph | None = None) -> None:
        self.dtype = np.dtype(dtype)
        self.nodes: list[bytes] = []
        self.tensors: dict[str, bytes] = {} if around is None else around.tensors
        self._constants: dict[object, str] = {} if around is None else around._constants
        self.place: str = "" if around is None else around.place  # begins the names of values

    @property
    def single(self) -> bool:
        """Whether it computes in float32. Runtimes have most operators in this type alone; in float64 those are put
        together from what there is."""
        return self.dtype == np.float32

    def node(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """The value that an operator makes of others."""
        [value] = self.nodes_of(operator, inputs, 1, attributes)
        return value

    def nodes_of(
        self, operator: str, inputs: Sequence[str], outputs: int, attributes: Mapping[str, Attribute]
    ) -> list[str]:
        """The values that one operator makes."""
        name = self.fresh(operator.lower())
        values = [name, *(f"{name}.{i}" for i in range(1, outputs))]
        self.nodes.append(messages.node(operator, name, inputs, values, attributes))
        return values

    def fresh(self, what: str) -> str:
        """A name for a value that nothing else has."""
        number = self._constants.setdefault("count", "0")
        self._constants["count"] = str(int(number) + 1)
        return f"{self.place}{what}.{number}"

    def numbers(self, array: Array | float, name: str | None = None) -> str:
        """Real numbers that are known, in the type of the graph."""
        return self._constant(np.asarray(array, self.dtype), name)

    def exact(self, array: Array) -> str:
        """Numbers that are known, in their own type."""
        return self._constant(np.asarray(array), None)

    def whole(self, *numbers: int) -> str:
        """A list of whole numbers that are known, such as a shape or axes."""
        return self._constant(np.array(numbers, np.int64), None)

    def _constant(self, array: Array, name: str | None) -> str:
        key = name or (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = name or self.fresh("constant")
            self.tensors[self._constants[key]] = messages.tensor(array, self._constants[key])
        return self._constants[key]

    def reshape(self, x: str, *shape: int) -> str:
        """x in another arrangement of its examples, whose number stays."""
        return self.node("Reshape", x, self.whole(0, *shape))

    def cast(self, x: str, dtype: str) -> str:
        """x in another type."""
        return self.node("Cast", x, to=messages.ELEMENTS[dtype])


@dataclass(frozen=True)
class At:
    """A layer at its place: where in the network, what goes in, and the arrays it has learned.

    `inside` gives the output of the layers inside it for a value that goes into the first of them.
    """

    graph: Graph
    placed: Placed
    x: str
    mask: str | None  # bool (n, time), where this layer is to look at one
    tensors: Mapping[str, Array]
    inside: Callable[[str], str]

    @property
    def input_shape(self) -> Shape:
        """The shape of one example of x."""
        return self.placed.input_shape

    @property
    def output_shape(self) -> Shape:
        """The shape of one example of what the layer gives."""
        return self.placed.output_shape

    def array(self, name: str) -> Array:
        """A parameter or a piece of state."""
        for prefix, pieces in ("", self.placed.parameters), ("state.", self.placed.state):
            for piece in pieces:
                if piece.name.rpartition(".")[2] == name:
                    return self.tensors[prefix + piece.name]
        raise KeyError(name)

    def learned(self, name: str, form: Callable[[Array], Array] = lambda array: array) -> str:
        """A parameter as a value, in another form where an operator wants one."""
        return self.graph.numbers(form(self.array(name)), self.graph.place + name)


Rule = Callable[[Layer, At], str]


class NotExportable(SpecError):
    """A network that cannot be told in ONNX; the finding names the layer."""
