"""Our layers in PyTorch's words: a twin for each, which holds the same weights and computes the same.

Twins take and give arrays as ours do: the batch first, channels last, time second. Where PyTorch keeps a parameter in
another arrangement, the twin shows a view of it in ours, so that weights are written and read in place.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from core.network import Placed


class Twin(nn.Module):
    """A layer in PyTorch."""

    placed: Placed
    mask: Tensor | None = None  # which steps of sequences count, (n, time)

    def __init__(self, placed: Placed) -> None:
        super().__init__()
        self.placed = placed
        self.build(placed.layer)

    def build(self, layer: Any) -> None:
        """Make PyTorch's modules for ours; `self.placed` knows the shapes."""

    def shared(self) -> dict[str, Tensor]:
        """PyTorch's own parameters and buffers under our names, as views in our shapes."""
        return {}


TWINS: dict[str, type[Twin]] = {}


def twin(type_: str) -> Callable[[type[Twin]], type[Twin]]:
    """Register a twin for our layer of this type."""

    def register(cls: type[Twin]) -> type[Twin]:
        TWINS[type_] = cls
        return cls

    return register


def twin_of(placed: Placed) -> Twin:
    """The twin of a layer at its place."""
    return TWINS[placed.layer.type](placed)
