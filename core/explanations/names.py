"""What the weights of a network are called, in words and in JSON."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from core.layers.dense import Dense
from core.network import Network, Piece, Placed


class Weight(NamedTuple):
    """One number of theta: the parameter it belongs to, as checkpoints name it, its place there, and what it is."""

    parameter: str
    place: list[int]
    name: str


class _Owner(NamedTuple):
    piece: Piece
    at: Placed
    place: str
    before: str | None  # the place of the layer before; None: the inputs, at most in another shape


class Names:
    """The weights of a network by their number in theta."""

    def __init__(self, network: Network) -> None:
        self._input_shape = network.input_shape
        self._owners = list(_owners(network.layers, "", None))
        self._starts = [owner.piece.start for owner in self._owners]

    def weight(self, number: int) -> Weight:
        """The one at this place of theta."""
        owner = self._owners[bisect_right(self._starts, number) - 1]
        piece = owner.piece
        index = [int(i) for i in np.unravel_index(number - piece.start, piece.variable.shape)]
        return Weight(piece.name, index, self._words(owner, index))

    def _words(self, owner: _Owner, index: list[int]) -> str:
        parameter = owner.piece.name.rsplit(".", 1)[1]
        if not isinstance(owner.at.layer, Dense):
            return f"{parameter}[{', '.join(map(str, index))}] of {owner.place}"
        if parameter == "biases":
            return f"the bias of neuron {index[0]} of {owner.place}"
        if owner.before is not None:
            origin = f"output {index[0]} of {owner.before}"
        else:
            origin = f"input {', '.join(str(int(i)) for i in np.unravel_index(index[0], self._input_shape))}"
        return f"the weight from {origin} to neuron {index[1]} of {owner.place}"


def places(layers: Sequence[Placed], prefix: str = "") -> Iterator[tuple[str, Placed]]:
    """Every layer with its place in words: "1", and "5.0" for the first one inside layer 5."""
    for index, at in enumerate(layers):
        yield f"{prefix}{index}", at
        yield from places(at.inner, f"{prefix}{index}.")


def _owners(layers: Sequence[Placed], prefix: str, before: str | None) -> Iterator[_Owner]:
    for index, at in enumerate(layers):
        number = f"{prefix}{index}"
        place = f"layer {number} ({at.layer.type})"
        yield from (_Owner(piece, at, place, before) for piece in at.parameters)
        yield from _owners(at.inner, f"{number}.", before)
        if before is not None or not at.layer.reshapes:
            before = place
