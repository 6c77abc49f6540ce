"""What a network makes of inputs that are written into its room, in compiled form."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from core.compiled.library import Library
from core.compiled.planner import Plan, silent
from core.compiled.program import Program
from core.compiled.rules import address
from core.layers.layer import Array
from core.memory import room
from core.network import Network
from core.workspace import Workspace


class _Planned(NamedTuple):
    run: Callable[[int], object]  # computes the first n rows
    outputs: Array  # (rows, *output_shape)
    masks: Array | None  # (rows, time)
    workspace: Workspace  # what the others point into


class CompiledOutputs:
    """The forward of a network in evaluation mode, for batches of up to len(x) rows that are written into `x`.

    It asks for one thread: the batches are small, and others are computed meanwhile.
    """

    def __init__(self, network: Network, theta: Array, state: Array, x: Array, library: Library) -> None:
        """`x` (rows, *input_shape), in the network's type, as `core.memory.room` makes it."""
        self._network, self._theta, self._state, self._x, self._library = network, theta, state, x, library
        self._order = np.arange(len(x))
        self._planned: dict[bool, _Planned] = {}  # by whether there are masks

    def forward(self, x: Array, mask: Array | None = None) -> Array:
        """The network's output for the first rows of the room, which `x` is; good until the next call.

        `mask` (n, time): 1 for the steps of the sequences that count, 0 for padding; None if all count.
        """
        n, masked = len(x), mask is not None
        planned = self._planned.get(masked)
        if planned is None:
            planned = self._planned[masked] = self._plan(masked)
        if planned.masks is not None:
            planned.masks[:n] = mask
        planned.run(n)
        return planned.outputs[:n]

    def _plan(self, masked: bool) -> _Planned:
        network, rows, dtype = self._network, len(self._x), self._theta.dtype.name
        quiet = silent(network.layers, training=False)
        workspace = Workspace(network, rows, theta=self._theta, state=self._state, silent=quiet)
        masks = room((rows, network.input_shape[0]), dtype) if masked else None
        plan = Plan(workspace, seed=0, mask=address(masks))
        parts, a = plan.forward(network.layers, workspace.contexts(rows), address(self._x))
        program = Program(self._library, parts, threads=1, dtype=dtype)
        run = program.prepared(self._order) if program.whole else partial(self._run, program)
        return _Planned(run, plan.array(a, rows, network.output_shape), masks, workspace)

    def _run(self, program: Program, n: int) -> None:
        program.run(self._order[:n], n, done=0, steps=1)
