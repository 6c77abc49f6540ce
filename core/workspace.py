"""The room a network computes in: one aligned arena, laid out before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from core.layers.layer import Array, Context, Scratch
from core.network import Network
from core.random import Purpose, Random

ALIGNMENT = 64
EVALUATION_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Place:
    """Where one layer's arrays begin in the arena, in bytes; None where it has no such array."""

    y: int | None
    dx: int | None
    scratch: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """The places of all layers, and the size of the arena."""

    places: tuple[Place, ...]
    bytes: int


def layout(network: Network, rows: int, dtype: str, *, backward: bool, input_gradient: bool = False) -> Layout:
    """Where everything goes for batches of up to `rows`.

    Outputs live until backward has used them; without backward, until the next layer has, so that two places take
    turns. The gradients that travel back take turns in two places, down to the first layer that learns, or to the
    network's input if its gradient is wanted.
    """
    arena = _Arena()
    itemsize = np.dtype(dtype).itemsize
    # Layers that write no output of their own pass a view along and take no turn.
    writers = [index for index, at in enumerate(network.layers) if not at.layer.reshapes]
    y_bytes = {i: prod((rows, *network.layers[i].output_shape)) * itemsize for i in writers}
    if not backward:
        ys, dxs = arena.in_turns(y_bytes), {}
    else:
        ys = {i: arena.reserve(bytes_) for i, bytes_ in y_bytes.items()}
        first = 0 if input_gradient else network.first_learned + 1
        dx_bytes = {i: prod((rows, *network.layers[i].input_shape)) * itemsize for i in writers if i >= first}
        dxs = arena.in_turns(dx_bytes)
    places = []
    for index, at in enumerate(network.layers):
        scratch = at.layer.scratch(at.input_shape, rows).values()
        sizes = [prod(s.shape) * (np.dtype(s.dtype).itemsize if s.dtype else itemsize) for s in scratch]
        places.append(Place(ys.get(index), dxs.get(index), tuple(arena.reserve(bytes_) for bytes_ in sizes)))
    return Layout(tuple(places), arena.end)


def evaluation_rows(network: Network, dtype: str) -> int:
    """The batch for predictions and validation: as large as a few megabytes allow, which is where speed levels off."""
    return min(256, max(1, EVALUATION_BYTES // max(1, layout(network, 1, dtype, backward=False).bytes)))


class _Arena:
    """Hands out aligned places one after the other."""

    def __init__(self) -> None:
        self.end = 0

    def reserve(self, size: int) -> int:
        start = self.end
        self.end += -(-size // ALIGNMENT) * ALIGNMENT
        return start

    def in_turns(self, sizes: dict[int, int]) -> dict[int, int]:
        """Two places that the arrays take in turns, in order."""
        order = list(sizes)
        turns = [self.reserve(max((sizes[i] for i in order[turn::2]), default=0)) for turn in (0, 1)]
        return {i: turns[number % 2] for number, i in enumerate(order)}


class Workspace:
    """Contexts for batches of any size up to `rows`, all over the same arena.

    A batch smaller than the largest uses the beginning of each place, so its arrays are contiguous too.
    """

    def __init__(
        self,
        network: Network,
        rows: int,
        *,
        theta: Array,
        state: Array,
        gradient: Array | None = None,
        training: bool = False,
        input_gradient: bool = False,
    ) -> None:
        """Over theta and state; with a `gradient` vector, which backward fills, also for backward."""
        self.network = network
        self._theta, self._state, self._gradient = theta, state, gradient
        self._dtype = theta.dtype
        self._training = training
        self._first = 0 if input_gradient else network.first_learned
        backward = gradient is not None
        self._layout = layout(network, rows, theta.dtype.name, backward=backward, input_gradient=input_gradient)
        memory = np.empty(self._layout.bytes + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        self._arena = memory[start : start + self._layout.bytes]
        self._contexts: dict[int, list[Context]] = {}
        self._stochastic = [i for i, at in enumerate(network.layers) if at.layer.stochastic]

    def contexts(self, rows: int) -> list[Context]:
        """The contexts for a batch of exactly `rows`."""
        found = self._contexts.get(rows)
        if found is None:
            found = self._contexts[rows] = [self._context(index, rows) for index in range(len(self.network.layers))]
        return found

    def forward(self, x: Array) -> Array:
        """The network's output for the batch x; good until the next call."""
        return self.network.forward(x, self.contexts(len(x)))

    def backward(self, dy: Array) -> Array | None:
        """Fill the gradient for the batch of the last forward; returns dC/dx where that is wanted."""
        return self.network.backward(dy, self.contexts(len(dy)), self._first)

    def randomise(self, rows: int, seed: int, epoch: int, step: int) -> None:
        """Set the random streams of the next forward: the same place draws the same masks."""
        for index in self._stochastic:
            self.contexts(rows)[index].random = Random(seed, Purpose.LAYER, epoch=epoch, step=step, layer=index)

    def _context(self, index: int, rows: int) -> Context:
        at, place = self.network.layers[index], self._layout.places[index]
        wanted = at.layer.scratch(at.input_shape, rows).values()
        nothing = np.empty(0, self._dtype)
        return Context(
            x=nothing,
            y=nothing if place.y is None else self._array(place.y, Scratch((rows, *at.output_shape))),
            dx=None if place.dx is None else self._array(place.dx, Scratch((rows, *at.input_shape))),
            parameters=tuple(piece.of(self._theta) for piece in at.parameters),
            gradients=() if self._gradient is None else tuple(piece.of(self._gradient) for piece in at.parameters),
            state=tuple(piece.of(self._state) for piece in at.state),
            scratch=tuple(self._array(o, s) for o, s in zip(place.scratch, wanted, strict=True)),
            training=self._training,
            random=None,
        )

    def _array(self, offset: int, scratch: Scratch) -> Array:
        dtype = np.dtype(scratch.dtype or self._dtype)
        size = prod(scratch.shape) * dtype.itemsize
        return self._arena[offset : offset + size].view(dtype).reshape(scratch.shape)
