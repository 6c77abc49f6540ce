"""One training run in motion: all its arrays, and the single step that everything is about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.checkpoint import Checkpoint
from core.data import Dataset
from core.engine import Engine
from core.memory import give_back, room
from core.metrics import Measured
from core.model import Model
from core.network import Network
from core.preprocessing import Preprocessing
from core.schedules import rate_at
from core.schema import ClassTarget
from core.training_spec import TrainingSpec
from core.weights import Weights


class Diverged(Exception):
    """The cost or the weights are no longer finite numbers; epoch and step count from 1.

    `learned`: whether some weight had been changed by then.
    """

    def __init__(self, epoch: int, step: int, *, learned: bool = True) -> None:
        what = "the numbers grew beyond all bounds. A smaller learning rate usually helps."
        if not learned:
            what = (
                "the numbers are beyond all bounds before anything has been learned. Look for very large inputs, "
                "targets, first weights or class weights; the learning rate is not the cause."
            )
        super().__init__(f"Training diverged in epoch {epoch}, step {step}: {what}")
        self.epoch = epoch
        self.step = step


class Run:
    """Position, vectors and sums of a run. `epoch` counts finished epochs, `step` the batches done of the next."""

    def __init__(
        self,
        spec: TrainingSpec,
        data: Dataset,
        resume: Checkpoint | None,
        start: Checkpoint | Weights | None,
        engine: Engine,
    ) -> None:
        give_back()
        self.spec = spec
        self.data = data
        network = Network.trace(spec.network.layers, data.schema.input_shape)
        self.classes = isinstance(data.schema.target, ClassTarget)
        self.epoch = self.step = self.best_epoch = 0
        self.updates_before = 0  # by the optimizer whose state this run began with
        self.best: float | None = None
        self.metrics: Measured = {}
        self.sums = np.zeros(3)  # cost, rows said right, gradient norms: of the running epoch
        theta, state = network.allocate(spec.dtype)
        self.memory = {name: room(theta.shape, spec.dtype) for name in spec.optimizer.memory()}
        for vector in self.memory.values():
            vector.fill(0)
        self.model = Model(spec, network, self._preprocessing(resume), theta, state)
        if resume is not None:
            self._restore(resume)
        elif start is not None:
            start.weights_into(network, theta, state)
            if isinstance(start, Checkpoint) and spec.from_optimizer_state:
                start.check_optimizer(spec.optimizer, network)
                start.memory_into(self.memory)
                self.updates_before = start.updates
        else:
            network.draw(spec.seed, theta, state)

        self.steps = -(-len(data) // spec.batch_size)
        self._engine = engine
        self._stepper = engine.step(self.model, data, self.memory)
        self._stepper.sums[...] = self.sums
        self.sums = self._stepper.sums
        self._indices = data.indices()
        self._order = self._indices[:0]

    @property
    def examples(self) -> int:
        """Rows seen in the running epoch."""
        return min(self.step * self.spec.batch_size, len(self.data))

    def shuffle(self) -> None:
        """Put the rows into the order of the running epoch."""
        self._order = self._indices[:0]  # so that the old order is gone before the new one is made
        order = self._engine.shuffled(self.spec, self.epoch, len(self._indices))
        self._order = self._indices[order]

    def advance(self, steps: int) -> None:
        """So many steps, or as many as are left of the epoch; raises Diverged."""
        steps = min(steps, self.steps - self.step)
        count = self.epoch * self.steps + self.step
        failed = self._stepper.advance(
            self._order,
            epoch=self.epoch,
            step=self.step,
            count=self.updates_before + count,
            rates=self._rates(count, steps),
        )
        if failed:
            raise Diverged(self.epoch + 1, self.step + failed, learned=count + failed > 1)
        self.step += steps

    def rate(self, count: int) -> float:
        """The learning rate of this run's update with this number, from 0."""
        return rate_at(self.spec.optimizer.learning_rate, count, self.steps, self.spec.epochs)

    def _rates(self, count: int, steps: int) -> NDArray[np.float64]:
        if isinstance(self.spec.optimizer.learning_rate, float):
            return np.full(steps, self.spec.optimizer.learning_rate)
        return np.array([self.rate(number) for number in range(count, count + steps)])

    def finish_epoch(self) -> Measured:
        """The training metrics of the epoch whose steps are done."""
        if not np.isfinite(self.model.theta).all():
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
        model, network = self.model, self.model.network
        tensors = {piece.name: piece.of(model.theta).copy() for piece in network.parameters()}
        tensors |= {f"state.{piece.name}": piece.of(model.state).copy() for piece in network.state()}
        tensors |= {f"optimizer.{name}": vector.copy() for name, vector in self.memory.items()}
        tensors |= {f"preprocessing.{name}": array for name, array in model.preprocessing.arrays.items()}
        tensors["sums"] = self.sums.copy()
        return Checkpoint(
            epoch=self.epoch,
            step=self.step,
            spec=self.spec.identity(),
            schema=self.data.schema,
            preprocessing=model.preprocessing.to_json(),
            tensors=tensors,
            best=self.best,
            best_epoch=self.best_epoch,
            metrics=dict(self.metrics),
            updates_before=self.updates_before,
        )

    def _preprocessing(self, resume: Checkpoint | None) -> Preprocessing:
        """Fitted to the data, unless the run that is gone on with has done so; raises CheckpointMismatch."""
        if resume is None:
            return Preprocessing.fit(self.spec.preprocessing, self.data)
        resume.check_run(self.spec.identity())
        return Preprocessing.from_json(resume.preprocessing, resume.group("preprocessing."))

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.epoch, self.step = checkpoint.epoch, checkpoint.step
        self.best, self.best_epoch = checkpoint.best, checkpoint.best_epoch
        self.metrics = dict(checkpoint.metrics)
        self.sums[...] = checkpoint.tensors["sums"]
        self.updates_before = checkpoint.updates_before
        checkpoint.weights_into(self.model.network, self.model.theta, self.model.state)
        checkpoint.memory_into(self.memory)
