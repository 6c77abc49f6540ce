"""One training run in motion: all its arrays, and the single step that everything is about."""

from __future__ import annotations

from math import isfinite

import numpy as np

from core.augmentation import Augmentation
from core.batches import Batches
from core.checkpoint import Checkpoint, CheckpointMismatch
from core.data import Dataset
from core.layers.layer import Array
from core.metrics import Measured, correct
from core.network import Network
from core.preprocessing import Preprocessing
from core.random import Purpose, Random
from core.regularization import Restraint, l2_norm
from core.schedules import rate_at
from core.schema import ClassTarget
from core.training_spec import TrainingSpec
from core.workspace import Workspace

BLOCK = 65536  # parameters that an optimizer moves at a time


class Diverged(Exception):
    """The cost or the weights are no longer finite numbers; epoch and step count from 1."""

    def __init__(self, epoch: int, step: int) -> None:
        super().__init__(
            f"Training diverged in epoch {epoch}, step {step}: the numbers grew beyond all bounds. "
            "A smaller learning rate usually helps."
        )
        self.epoch = epoch
        self.step = step


class Run:
    """Position, vectors and sums of a run. `epoch` counts finished epochs, `step` the batches done of the next."""

    def __init__(self, spec: TrainingSpec, data: Dataset, resume: Checkpoint | None, start: Checkpoint | None) -> None:
        self.spec = spec
        self.data = data
        self.network = Network.trace(spec.network.layers, data.schema.input_shape)
        self.classes = isinstance(data.schema.target, ClassTarget)
        self.epoch = self.step = self.best_epoch = 0
        self.best: float | None = None
        self.metrics: Measured = {}
        self.sums = np.zeros(3)  # cost, rows said right, gradient norms: of the running epoch
        self.theta, self.state = self.network.allocate(spec.dtype)
        self.memory = {name: np.zeros_like(self.theta) for name in spec.optimizer.memory()}
        if resume is not None:
            self._restore(resume)
        else:
            self._begin(start)

        self.steps = -(-len(data) // spec.batch_size)
        self._gradient = np.zeros_like(self.theta)
        self._blocks = self._in_blocks()
        self._restraint = Restraint(
            spec.regularization,
            spec.gradient_clipping,
            self.network,
            self.theta,
            self._gradient,
            rows=len(data),
            decay=spec.optimizer.decoupled_decay,
        )
        self._workspace = Workspace(
            self.network,
            spec.batch_size,
            theta=self.theta,
            state=self.state,
            gradient=self._gradient,
            training=True,
        )
        self._batches, self._difference = self.batches(data, spec.batch_size)
        self._augmentation = Augmentation(spec.augmentation, spec.seed, self._batches.blank())
        self._indices = data.indices()
        self._order = self._indices[:0]

    @property
    def examples(self) -> int:
        """Rows seen in the running epoch."""
        return min(self.step * self.spec.batch_size, len(self.data))

    def batches(self, data: Dataset, rows: int) -> tuple[Batches, Array]:
        """Batches of other data as this network wants them, and room for their differences from its outputs."""
        width = self.network.output_shape[0]
        batches = Batches(data, self.preprocessing, rows=rows, width=width, dtype=self.spec.dtype)
        return batches, np.empty((rows, width), self.spec.dtype)

    def shuffle(self) -> None:
        """Put the rows into the order of the running epoch."""
        order = Random(self.spec.seed, Purpose.SHUFFLE, epoch=self.epoch).permutation(len(self._indices))
        self._order = self._indices[order]

    def advance(self) -> None:
        """One step: forward, cost, backward, update. Cost and gradient norm are those of the data alone."""
        spec, loss = self.spec, self.spec.loss
        rows = self._order[self.examples :][: spec.batch_size]
        x, y, labels = self._batches.load(rows)
        self._augmentation.apply(x, rows, self.epoch)
        n = len(x)
        self._workspace.randomise(n, spec.seed, self.epoch, self.step)

        a = self._workspace.forward(x)
        difference = self._difference[:n]
        cost = float(loss.forward(a, y, difference).sum(dtype=np.float64))
        if not isfinite(cost):
            raise Diverged(self.epoch + 1, self.step + 1)
        hits = correct(a, labels, loss.threshold) if self.classes else 0

        da = loss.backward(a, y, difference)
        da *= 1 / n  # the cost of a batch is the mean over its examples
        self._workspace.backward(da)
        norm = l2_norm(self._gradient)
        if not isfinite(norm):
            raise Diverged(self.epoch + 1, self.step + 1)

        count = self.epoch * self.steps + self.step
        rate = self.rate(count)
        self._restraint.before(norm, rate)
        for theta, gradient, memory, room in self._blocks:
            spec.optimizer.step(theta, gradient, memory, room, rate=rate, count=count + 1)
        self._restraint.after()
        self.sums += cost, hits, norm
        self.step += 1

    def rate(self, count: int) -> float:
        """The learning rate of the update with this number, from 0."""
        return rate_at(self.spec.optimizer.learning_rate, count, self.steps, self.spec.epochs)

    def finish_epoch(self) -> Measured:
        """The training metrics of the epoch whose steps are done."""
        if not np.isfinite(self.theta).all():
            raise Diverged(self.epoch + 1, self.step)
        cost, hits, norms = self.sums.tolist()
        rows = len(self.data)
        return {
            "train_loss": cost / rows,
            "train_accuracy": hits / rows if self.classes else None,
            "validation_loss": None,
            "validation_accuracy": None,
            "learning_rate": self.rate((self.epoch + 1) * self.steps - 1),
            "gradient_norm": norms / self.steps,
        }

    def checkpoint(self) -> Checkpoint:
        """Everything at this moment, copied."""
        tensors = {piece.name: piece.of(self.theta).copy() for piece in self.network.parameters()}
        tensors |= {f"state.{piece.name}": piece.of(self.state).copy() for piece in self.network.state()}
        tensors |= {f"optimizer.{name}": vector.copy() for name, vector in self.memory.items()}
        tensors |= {f"preprocessing.{name}": array for name, array in self.preprocessing.arrays.items()}
        tensors["sums"] = self.sums.copy()
        return Checkpoint(
            epoch=self.epoch,
            step=self.step,
            spec=self.spec.identity(),
            schema=self.data.schema,
            preprocessing=self.preprocessing.to_json(),
            tensors=tensors,
            best=self.best,
            best_epoch=self.best_epoch,
            metrics=dict(self.metrics),
        )

    def _in_blocks(self) -> list[tuple[Array, Array, tuple[Array, ...], Array]]:
        """Stretches of theta, gradient and memory that fit into the cache together, with room for one."""
        room = np.empty(min(BLOCK, self.network.size), self.spec.dtype)
        parts = [slice(start, start + BLOCK) for start in range(0, self.network.size, BLOCK)]
        vectors = tuple(self.memory.values())
        return [
            (self.theta[part], self._gradient[part], tuple(v[part] for v in vectors), room[: len(self.theta[part])])
            for part in parts
        ]

    def _begin(self, start: Checkpoint | None) -> None:
        self.preprocessing = Preprocessing.fit(self.spec.preprocessing, self.data)
        if start is None:
            self.network.draw(self.spec.seed, self.theta, self.state)
        else:
            start.weights_into(self.network, self.theta, self.state)

    def _restore(self, checkpoint: Checkpoint) -> None:
        if checkpoint.spec != self.spec.identity():
            raise CheckpointMismatch("This checkpoint is of a run with another spec.")
        self.epoch, self.step = checkpoint.epoch, checkpoint.step
        self.best, self.best_epoch = checkpoint.best, checkpoint.best_epoch
        self.metrics = dict(checkpoint.metrics)
        self.sums[...] = checkpoint.tensors["sums"]
        checkpoint.weights_into(self.network, self.theta, self.state)
        for name, vector in self.memory.items():
            vector[...] = checkpoint.tensors[f"optimizer.{name}"]
        self.preprocessing = Preprocessing.from_json(checkpoint.preprocessing, checkpoint.group("preprocessing."))
