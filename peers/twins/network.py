"""A whole network in PyTorch, with ways in and out for our flat vectors."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.network import Network, Piece, Placed
from core.random import Purpose, Random
from peers.twins.dense import Dropout
from peers.twins.twin import Twin, twin_of


class TwinNetwork(nn.Module):
    """The layers of a network of ours, one twin each."""

    def __init__(self, network: Network, dtype: str) -> None:
        super().__init__()
        self.network = network
        self.layers = nn.Sequential(*(twin_of(placed) for placed in network.layers)).to(getattr(torch, dtype))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def twins(self) -> Iterator[Twin]:
        """All twins, those inside others too."""
        return (module for module in self.modules() if isinstance(module, Twin))

    def learned(self) -> Iterator[tuple[Piece, Tensor]]:
        """Each piece of theta with PyTorch's view of it."""
        return self._pieces(lambda placed: placed.parameters)

    def remembered(self) -> Iterator[tuple[Piece, Tensor]]:
        """Each piece of the state with PyTorch's view of it."""
        return self._pieces(lambda placed: placed.state)

    def load(self, theta: NDArray[Any], state: NDArray[Any]) -> None:
        """Take weights and state of ours."""
        with torch.no_grad():
            for vector, pieces in (theta, self.learned()), (state, self.remembered()):
                for piece, tensor in pieces:
                    tensor.copy_(torch.from_numpy(piece.of(vector).copy()))

    def theta(self) -> NDArray[np.float64]:
        """The weights as our flat vector."""
        return _flat(self.network.size, self.learned())

    def state(self) -> NDArray[np.float64]:
        """The state as our flat vector."""
        return _flat(self.network.state_size, self.remembered())

    def randomise(self, seed: int, epoch: int, step: int) -> None:
        """Let the next forward draw what ours would draw there; without it PyTorch draws its own."""
        for twin in self.twins():
            if isinstance(twin, Dropout):
                twin.random = Random(seed, Purpose.LAYER, epoch=epoch, step=step, layer=twin.placed.number)

    def mask(self, valid: Tensor | None) -> None:
        """Which steps of the next sequences count, (n, time); None: all."""
        for twin in self.twins():
            twin.mask = valid

    def _pieces(self, of: Callable[[Placed], Sequence[Piece]]) -> Iterator[tuple[Piece, Tensor]]:
        for twin in self.twins():
            if of(twin.placed):
                shared = twin.shared()
                yield from ((piece, shared[piece.name.rsplit(".", 1)[1]]) for piece in of(twin.placed))


def _flat(size: int, pieces: Iterator[tuple[Piece, Tensor]]) -> NDArray[np.float64]:
    vector = np.empty(size)
    for piece, tensor in pieces:
        piece.of(vector)[...] = tensor.detach().numpy()
    return vector
