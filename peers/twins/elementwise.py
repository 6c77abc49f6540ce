"""Layers that treat every number alone, or only arrange them."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from peers.twins.twin import TWINS, Twin, twin

Function = Callable[[Tensor], Tensor]


def _register(type_: str, function_of: Callable[[Any], Function]) -> None:
    """A layer without parameters: `function_of` makes PyTorch's function from ours."""

    class Elementwise(Twin):
        def build(self, layer: Any) -> None:
            self.function = function_of(layer)

        def forward(self, x: Tensor) -> Tensor:
            return self.function(x)

    TWINS[type_] = Elementwise


_register("sigmoid", lambda layer: torch.sigmoid)
_register("tanh", lambda layer: torch.tanh)
_register("relu", lambda layer: torch.relu)
_register("leaky_relu", lambda layer: lambda x: functional.leaky_relu(x, layer.slope))
_register("elu", lambda layer: lambda x: functional.elu(x, layer.alpha))
_register("gelu", lambda layer: functional.gelu)
_register("silu", lambda layer: functional.silu)
_register("softplus", lambda layer: lambda x: functional.softplus(x, threshold=40))  # it cuts off at 20 otherwise
_register("softmax", lambda layer: lambda x: torch.softmax(x, -1))
_register("flatten", lambda layer: lambda x: x.flatten(1))
_register("reshape", lambda layer: lambda x: x.reshape(len(x), *layer.shape))


@twin("expression")
class Expression(Twin):
    """The client's formula is Python too, so that autograd can differentiate it as it stands."""

    def build(self, layer: Any) -> None:
        self.formula = compile(layer.expression, "expression", "eval")
        self.numbers = nn.ParameterDict(
            {piece.name.rsplit(".", 1)[1]: torch.empty(piece.variable.shape) for piece in self.placed.parameters}
        )

    def forward(self, x: Tensor) -> Tensor:
        like = x.new_tensor
        names: dict[str, Any] = {
            name: getattr(torch, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "abs")
        }
        names |= {
            "x": x,
            "pi": math.pi,
            "e": math.e,
            "min": lambda a, b: torch.minimum(_tensor(a, like), _tensor(b, like)),
            "max": lambda a, b: torch.maximum(_tensor(a, like), _tensor(b, like)),
            "where": lambda c, a, b: torch.where(c, _tensor(a, like), _tensor(b, like)),
        }
        return eval(self.formula, {"__builtins__": {}}, names | dict(self.numbers.items())).expand_as(x)

    def shared(self) -> dict[str, Tensor]:
        return dict(self.numbers.items())


def _tensor(value: Tensor | float, like: Callable[[float], Tensor]) -> Tensor:
    return value if isinstance(value, Tensor) else like(value)
