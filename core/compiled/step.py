"""Training and evaluation in compiled form: the same work as core/step.py, in tables of operations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from core.compiled.feed import Feed
from core.compiled.library import Library, Operation
from core.compiled.objectives import LOSSES, Move, loss_constants
from core.compiled.planner import Plan, deaf, silent
from core.compiled.program import Part, Program
from core.compiled.rules import address
from core.data import Dataset
from core.layers.layer import Array
from core.losses import Loss
from core.memory import room
from core.model import Model


class Costs:
    """Where costs and hits of a batch are told, and the operations that tell them."""

    def __init__(self, loss: Loss, feed: Feed, a: int, *, dtype: str) -> None:
        """`a` is the address of the outputs."""
        rows, width = feed.targets.shape
        self.tally = np.zeros(16)  # cost, hits, norm; their sums; norms after clipping by value
        self.gradient = room((rows, width), dtype)
        self._costs, self._hits = np.empty(rows), np.empty(rows, np.uint8)
        weights = getattr(loss, "class_weights", None)
        self._weights = None if weights is None else np.array(weights, np.float64)
        labels = address(feed.labels)
        told = address(self._costs), address(self._hits), labels
        places = a, address(feed.targets), address(self.gradient), *told, address(self._weights)
        self.operations = [
            Operation("loss", (width,), places, loss_constants(loss), LOSSES.index(loss.type)),
            Operation("count", (), (address(self.tally), 0, 0, *told)),
        ]

    @property
    def sums(self) -> NDArray[np.float64]:
        """Cost, hits and gradient norms, added up over batches."""
        return self.tally[3:6]


class CompiledStep:
    """Steps of training, as many as wanted in one call."""

    def __init__(
        self, model: Model, data: Dataset, memory: Mapping[str, Array], library: Library, *, sparse: bool = True
    ) -> None:
        """`memory` is the optimizer's. sparse: whether a first layer may skip zeros."""
        self._spec = spec = model.spec
        network, layers, rows = model.network, model.network.layers, spec.batch_size
        gradient = room(model.theta.shape, spec.dtype)
        gradient.fill(0)
        workspace = model.workspace(rows, gradient, silent=silent(layers, training=True), deaf=deaf(layers))
        self._move = Move(model, gradient, memory, model.restraint(gradient, len(data)))
        feed = Feed(model, data, rows, augmented=True, sparse=library if sparse else None)
        plan = Plan(workspace, spec.seed, feed.sparse, address(feed.batches.masks), self._move.claim)
        forward, a = plan.forward(layers, workspace.contexts(rows), address(feed.x))
        costs = Costs(spec.loss, feed, a, dtype=spec.dtype)
        backward, _ = plan.backward(layers, address(costs.gradient), network.first_learned)
        moving = self._move.operations(address(costs.tally))
        parts: list[Part] = [*feed.parts, *forward, *costs.operations, *backward, *moving]
        parts.append(Operation("add_up", (), (address(costs.tally),)))
        self._program = Program(library, parts, threads=spec.threads, dtype=spec.dtype)
        self._kept = workspace, gradient, feed, costs, memory
        self.sums = costs.sums

    def advance(
        self,
        order: NDArray[np.int64],
        *,
        epoch: int,
        step: int,
        count: int,
        rates: NDArray[np.float64],
    ) -> int:
        """Do a step for each learning rate, from number `step` of the epoch on, `count` being the optimizer's updates
        before.

        Returns 0, or the number of the step among them, from 1, that diverged.
        """
        return self._program.run(
            order,
            self._spec.batch_size,
            done=step * self._spec.batch_size,
            steps=len(rates),
            seed=self._spec.seed,
            epoch=epoch,
            step=step,
            scalars=self._move.scalars(rates, count),
        )


class CompiledForward:
    """Outputs and costs of a dataset in evaluation mode, batch by batch."""

    def __init__(self, model: Model, data: Dataset, rows: int, library: Library, *, sparse: bool = True) -> None:
        """`rows` make a batch. sparse: whether a first layer may skip zeros."""
        spec, network = model.spec, model.network
        workspace = model.workspace(rows, silent=silent(network.layers, training=False))
        feed = Feed(model, data, rows, sparse=library if sparse else None)
        plan = Plan(workspace, spec.seed, feed.sparse, address(feed.batches.masks))
        forward, a = plan.forward(network.layers, workspace.contexts(rows), address(feed.x))
        costs = Costs(spec.loss, feed, a, dtype=spec.dtype)
        parts: list[Part] = [*feed.parts, *forward, *costs.operations]
        parts.append(Operation("add_up", (), (address(costs.tally),)))
        self._program = Program(library, parts, threads=spec.threads, dtype=spec.dtype)
        self._rows = rows
        self._kept = workspace, feed, costs
        self.outputs = plan.array(a, rows, network.output_shape)  # of the last batch, in its first rows
        self.sums = costs.sums

    def advance(self, order: NDArray[np.int64], *, done: int) -> bool:
        """One batch of the rows of `order` from `done` on; whether its cost is finite."""
        return not self._program.run(order, self._rows, done=done, steps=1)
