"""The plan of a network: the operations of its layers, its loss and its optimizer, over the arrays of a workspace.

Neighbours are merged where that saves work: a layer applies the activation behind it, a convolution the max pool, and a
first dense layer skips the zeros of inputs that are mostly zero. The plan follows from the spec and the data alone,
never from a clock.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from core.compiled import convolutions, elementwise, expressions, norms, pools, rules, sequences
from core.compiled.library import Operation
from core.compiled.program import Batch, Call, Part
from core.compiled.rules import Claim, Site, Sparse, address, sparse_dense, sparse_dense_back
from core.compiled.winners import Winners, group, winners_touch
from core.layers.layer import Array, Context, Shape
from core.network import Network, Placed, pairs
from core.random import Purpose, Random
from core.workspace import Workspace, layout

RULES = {
    **rules.RULES,
    **elementwise.RULES,
    **expressions.RULES,
    **convolutions.RULES,
    **pools.RULES,
    **norms.RULES,
    **sequences.RULES,
}
# What these layers apply to their own output: activations whose derivatives follow from y alone.
APPLYING = ("dense", "conv1d", "conv2d", "batch_norm", "layer_norm")
MERGED = {name: elementwise.KINDS[name] for name in ("sigmoid", "tanh", "relu", "softplus")}

PAGE = 2**21  # bytes that are written at once where the kernel gives pages as large as it can


class Plan:
    """Writes the parts of forward, then those of backward"""

    def __init__(
        self,
        workspace: Workspace,
        seed: int,
        sparse: Sparse | None = None,
        mask: int = 0,
        move: Claim = lambda W: None,
    ) -> None:
        self._sparse = sparse  # the inputs, for a first layer that is dense
        self._mask = mask  # the address of the mask of the batch's sequences, or 0
        self._move = move
        self._first = -1
        self._seed = seed
        self._workspace = workspace
        self._sites: dict[int, Site] = {}
        self._dtype = workspace.dtype
        self._winners: dict[int, Winners] = {}  # by the number of their convolution
        self._merged: set[int] = set()  # the layers that these do as well

    def forward(self, layers: Sequence[Placed], contexts: Sequence[Context], x: int) -> tuple[list[Part], int]:
        """The parts that compute the layers in a row for inputs at x, and the address of the last output."""
        parts: list[Part] = []
        for index, (at, ctx) in enumerate(zip(layers, contexts, strict=True)):
            behind = merges(layers, index)
            found = group(layers, index)
            last = index + (found.layers - 1 if found else int(behind is not None))
            quiet = _passes(at, ctx.training) or at.number in self._merged
            y = x if quiet else address(contexts[last].y)
            site = self._sites[at.number] = Site(at, ctx, x, y, self._mask if at.timed else 0, self._move)
            if found:
                own = slice(index, last + 1)
                self._winners[at.number] = Winners.of(found, site, layers[own], contexts[own])
                self._merged |= {inside.number for inside in layers[index + 1 : last + 1]}
                parts += self._winners[at.number].forward()
            elif at.layer.type == "residual":
                inside, through = self.forward(at.inner, ctx.inner, x)
                parts += [*inside, Operation("add", (prod(at.input_shape),), (x, through, y))]
            elif x != y:  # else it was done with the layer before
                parts += self._operations(site, behind) if at.layer.type in RULES else [self._forward_call(site)]
            x = y
        return parts, x

    def _operations(self, site: Site, behind: str | None) -> list[Operation]:
        if self._sparse is not None and site.at.layer.type == "dense" and self._first < 0:
            self._first = site.at.number
            operations = sparse_dense(site, self._sparse)
        else:
            operations = RULES[site.at.layer.type].forward(site)
        if behind is not None:
            operations[-1] = operations[-1]._replace(kind=MERGED[behind])
        return operations

    def backward(self, layers: Sequence[Placed], dy: int, first: int) -> tuple[list[Part], int]:
        """The parts that send dy back through the layers in a row down to `first`, and the address of its dx."""
        parts: list[Part] = []
        for at in reversed(layers[first:]):
            site = self._sites[at.number]
            if _passes(at, site.ctx.training) or at.number in self._merged:
                continue
            dx = address(site.ctx.dx)
            if at.layer.type == "residual":
                inside, through = self.backward(at.inner, dy, site.ctx.first)
                parts += inside
                if dx:
                    parts.append(Operation("add", (prod(at.input_shape),), (dy, through, dx)))
            elif at.number in self._winners:
                parts += self._winners[at.number].backward(dy)
            elif self._sparse is not None and at.number == self._first:
                parts += sparse_dense_back(site, self._sparse, dy)
            elif at.layer.type in RULES:
                parts += RULES[at.layer.type].backward(site, dy)
            else:
                parts.append(self._backward_call(site, dy))
            dy = dx
        return parts, dy

    def array(self, at: int, n: int, shape: Shape) -> Array:
        """The array (n, *shape) that begins at an address."""
        size = n * prod(shape) * self._dtype.itemsize
        found: Array = np.ndarray((n, *shape), self._dtype, memoryview((ctypes.c_char * size).from_address(at)))
        return found

    def _forward_call(self, site: Site) -> Call:
        layer, number = site.at.layer, site.at.number

        def call(batch: Batch) -> None:
            n = len(batch.rows)
            ctx = self._context(number, n)
            ctx.x = self.array(site.x, n, site.at.input_shape)
            ctx.mask = self.array(site.mask, n, site.at.input_shape[:1]) if site.mask else None
            if layer.stochastic and ctx.training:
                ctx.random = Random(self._seed, Purpose.LAYER, epoch=batch.epoch, step=batch.step, layer=number)
            layer.forward(ctx.x, ctx)

        return call

    def _backward_call(self, site: Site, dy: int) -> Call:
        layer, number = site.at.layer, site.at.number

        def call(batch: Batch) -> None:
            n = len(batch.rows)
            layer.backward(self.array(dy, n, site.at.output_shape), self._context(number, n))

        return call

    def _context(self, number: int, n: int) -> Context:
        found = pairs(self._workspace.network.layers, self._workspace.contexts(n))
        return next(ctx for at, ctx in found if at.number == number)


def merges(layers: Sequence[Placed], index: int) -> str | None:
    """The type of the activation behind a layer, which that applies while its outputs are still near; or None."""
    behind = layers[index + 1].layer.type if index + 1 < len(layers) else ""
    return behind if layers[index].layer.type in APPLYING and behind in MERGED else None


def silent(layers: Sequence[Placed], *, training: bool) -> frozenset[int]:
    """The numbers of the layers that need no room for outputs: these go straight to where the next layer's belong."""
    numbers: set[int] = set()
    for index, at in enumerate(layers):
        numbers |= silent(at.inner, training=training)
        if merges(layers, index) or _passes(at, training):
            numbers.add(at.number)
        if found := group(layers, index):
            numbers |= {inside.number for inside in layers[index : index + found.layers - 1]}
    return frozenset(numbers)


def deaf(layers: Sequence[Placed]) -> frozenset[int]:
    """The numbers of the layers that need no room for dx: the convolution before them goes backward for them."""
    numbers: set[int] = set()
    for index, at in enumerate(layers):
        numbers |= deaf(at.inner)
        if found := group(layers, index):
            numbers |= {inside.number for inside in layers[index + 1 : index + found.layers]}
    return frozenset(numbers)


def arena_bytes(network: Network, rows: int, dtype: str, *, training: bool, threads: int) -> int:
    """How much of the arena of a workspace the plan ever writes."""
    quiet = silent(network.layers, training=training)
    places = layout(network, rows, dtype, backward=training, silent=quiet, deaf=deaf(network.layers))
    return places.bytes - _untouched(network.layers, rows, np.dtype(dtype).itemsize, threads)


def _untouched(layers: Sequence[Placed], rows: int, itemsize: int, threads: int) -> int:
    """How many bytes of the layers' scratch are left to NumPy, so that their pages are never written."""
    count = 0
    for index, at in enumerate(layers):
        count += _untouched(at.inner, rows, itemsize, threads)
        found = group(layers, index)
        if found is not None:
            touched: Mapping[str, int] = winners_touch(at, layers[index + found.pool], rows, threads)
        elif at.layer.type in RULES:
            touched = RULES[at.layer.type].touched(at, rows, threads)
        else:
            continue
        for name, scratch in at.layer.scratch(at.input_shape, rows).items():
            size, numbers = np.dtype(scratch.dtype).itemsize if scratch.dtype else itemsize, prod(scratch.shape)
            written = touched.get(name, numbers)
            pages = min(rows, threads) if written else 1  # that are written in part
            count += max(0, size * (numbers - written) - pages * PAGE)
    return count


def _passes(at: Placed, training: bool) -> bool:
    """Whether a layer leaves the numbers as they are, where they are."""
    return at.layer.reshapes or (at.layer.type == "dropout" and not training)


def starts_dense(layers: Sequence[Placed]) -> bool:
    """Whether the first layer that does anything is a dense one, so that sparse inputs help."""
    doing = (at.layer.type for at in layers if not at.layer.reshapes)
    return next(doing, None) == "dense"
