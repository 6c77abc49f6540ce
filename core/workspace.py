"""The room a network computes in: one aligned arena, laid out before anything is allocated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from core.layers.layer import Array, Context, Scratch
from core.memory import ALIGNMENT, room
from core.network import Network, Placed, first_learned, pairs
from core.random import Purpose, Random

EVALUATION_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Place:
    """Where one layer's arrays begin in the arena, in bytes; None where it has no such array."""

    y: int | None
    dx: int | None
    scratch: tuple[int, ...]
    inner: tuple[Place, ...]  # of the layers inside it


@dataclass(frozen=True)
class Layout:
    """The places of all layers, and the size of the arena."""

    places: tuple[Place, ...]
    bytes: int


def layout(
    network: Network,
    rows: int,
    dtype: str,
    *,
    backward: bool,
    input_gradient: bool = False,
    silent: frozenset[int] = frozenset(),
    deaf: frozenset[int] = frozenset(),
    lasting: bool = False,
) -> Layout:
    """Where everything goes for batches of up to `rows`. Layers whose numbers are in `silent` get no place for outputs,
    those in `deaf` none for dx. `lasting`: every dx has a place of its own, so that all can be looked at afterwards.

    Outputs live until backward has used them; without backward, until the next layer has, so that two places take
    turns. The gradients that travel back take turns in two places, down to the first layer that learns, or to the
    network's input if its gradient is wanted. Layers inside another have two such places of their own, since what goes
    around them has to stay; blocks behind one another share them.
    """
    itemsize = np.dtype(dtype).itemsize
    first = _Planner(rows, itemsize, backward, silent, deaf, 0, lasting)
    first.place(network.layers, 0, input_gradient)
    # Now it is known where what is kept ends.
    planner = _Planner(rows, itemsize, backward, silent, deaf, first.kept, lasting)
    places = planner.place(network.layers, planner.passing, input_gradient)
    return Layout(places, planner.passing)


def evaluation_rows(network: Network, dtype: str) -> int:
    """The batch for predictions and validation: as large as a few megabytes allow, which is where speed levels off."""
    return min(256, max(1, EVALUATION_BYTES // max(1, layout(network, 1, dtype, backward=False).bytes)))


class _Planner:
    """Hands out aligned places: first what is kept from forward to backward, then from `passing` on what is not."""

    def __init__(
        self,
        rows: int,
        itemsize: int,
        backward: bool,
        silent: frozenset[int],
        deaf: frozenset[int],
        passing: int,
        lasting: bool,
    ) -> None:
        self.kept = 0
        self.passing = passing  # grows to the end of what passes
        self._rows, self._itemsize, self._backward = rows, itemsize, backward
        self._silent, self._deaf, self._lasting = silent, deaf, lasting

    def place(self, layers: Sequence[Placed], passing: int, input_gradient: bool) -> tuple[Place, ...]:
        """The places of layers in a row; what passes goes behind `passing`."""
        # Layers that write no output of their own pass a view along and take no turn.
        writers = [index for index, at in enumerate(layers) if not at.layer.reshapes]
        heard = [i for i in writers if layers[i].number not in self._silent]
        ys = {i: self._rows * prod(layers[i].output_shape) * self._itemsize for i in heard}
        dxs = {}
        if self._backward:
            ys = {i: self._keep(size) for i, size in ys.items()}
            first = 0 if input_gradient else first_learned(layers) + 1
            asked = [i for i in writers if i >= first and layers[i].number not in self._deaf]
            dxs = {i: self._rows * prod(layers[i].input_shape) * self._itemsize for i in asked}
            if self._lasting:
                dxs = {i: self._keep(size) for i, size in dxs.items()}
            else:
                passing = self._in_turns(passing, dxs)
        else:
            passing = self._in_turns(passing, ys)
        places = []
        for index, at in enumerate(layers):
            scratch = at.layer.scratch(at.input_shape, self._rows).values()
            sizes = [prod(s.shape) * (np.dtype(s.dtype).itemsize if s.dtype else self._itemsize) for s in scratch]
            kept = tuple(self._keep(size) for size in sizes)
            inner = self.place(at.inner, passing, index in dxs)
            places.append(Place(ys.get(index), dxs.get(index), kept, inner))
        return tuple(places)

    def _keep(self, size: int) -> int:
        start = self.kept
        self.kept += _aligned(size)
        return start

    def _in_turns(self, start: int, arrays: dict[int, int]) -> int:
        """Turn sizes into two places from `start` on that the arrays take in turns, in order; returns their end."""
        order = list(arrays)
        sizes = [_aligned(max((arrays[i] for i in order[turn::2]), default=0)) for turn in (0, 1)]
        for number, i in enumerate(order):
            arrays[i] = start + sizes[0] * (number % 2)
        self.passing = max(self.passing, start + sum(sizes))
        return start + sum(sizes)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


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
        silent: frozenset[int] = frozenset(),
        deaf: frozenset[int] = frozenset(),
        lasting: bool = False,
    ) -> None:
        """Over theta and state; with a `gradient` vector, which backward fills, also for backward.

        Layers whose numbers are in `silent` have no outputs of their own: others compute them, or pass them on. Those
        in `deaf` have no dx: others go backward for them. `lasting` as in layout.
        """
        self.network = network
        self._theta, self._state, self._gradient = theta, state, gradient
        self.dtype = theta.dtype
        self._training = training
        self._first = 0 if input_gradient else network.first_learned
        backward = gradient is not None
        self._layout = layout(
            network,
            rows,
            theta.dtype.name,
            backward=backward,
            input_gradient=input_gradient,
            silent=silent,
            deaf=deaf,
            lasting=lasting,
        )
        self._arena = room((self._layout.bytes,), np.uint8)
        self._contexts: dict[int, tuple[Context, ...]] = {}
        self._masked: set[int] = set()  # the sizes of batches that have come with a mask

    def contexts(self, rows: int) -> tuple[Context, ...]:
        """The contexts for a batch of exactly `rows`."""
        found = self._contexts.get(rows)
        if found is None:
            found = self._contexts[rows] = self._made(self.network.layers, self._layout.places, rows)
        return found

    def forward(self, x: Array, mask: Array | None = None) -> Array:
        """The network's output for the batch x; good until the next call.

        `mask` (n, time): 1 for the steps of the sequences that count, 0 for padding; None if all count.
        """
        contexts = self.contexts(len(x))
        if mask is not None or len(x) in self._masked:
            for at, ctx in pairs(self.network.layers, contexts):
                ctx.mask = mask if at.timed else None
            self._masked.add(len(x))
        return self.network.forward(x, contexts)

    def backward(self, dy: Array) -> Array | None:
        """Fill the gradient for the batch of the last forward; returns dC/dx where that is wanted."""
        return self.network.backward(dy, self.contexts(len(dy)), self._first)

    def randomise(self, rows: int, seed: int, epoch: int, step: int) -> None:
        """Set the random streams of the next forward: the same place draws the same masks."""
        for at, ctx in pairs(self.network.layers, self.contexts(rows)):
            if at.layer.stochastic:
                ctx.random = Random(seed, Purpose.LAYER, epoch=epoch, step=step, layer=at.number)

    def _made(self, layers: Sequence[Placed], places: Sequence[Place], rows: int) -> tuple[Context, ...]:
        return tuple(self._context(at, place, rows) for at, place in zip(layers, places, strict=True))

    def _context(self, at: Placed, place: Place, rows: int) -> Context:
        wanted = at.layer.scratch(at.input_shape, rows).values()
        nothing = np.empty(0, self.dtype)
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
            inner=self._made(at.inner, place.inner, rows),
            first=first_learned(at.inner) if place.dx is None else 0,
        )

    def _array(self, offset: int, scratch: Scratch) -> Array:
        dtype = np.dtype(scratch.dtype or self.dtype)
        size = prod(scratch.shape) * dtype.itemsize
        return self._arena[offset : offset + size].view(dtype).reshape(scratch.shape)
