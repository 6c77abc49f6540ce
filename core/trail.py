"""The trail of a traced job: its weights after evenly spaced updates, picked up while it trains."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from core.checkpoint import Checkpoint
from core.data import Dataset, split
from core.layers.layer import Array
from core.network import Network
from core.trace import recorded_updates, survey_work
from core.training import Chunk, Epoch
from core.training_spec import TrainingSpec, ValidationFraction
from core.weights import Weights


class Trail:
    """Points by the number of updates made before: theta and running state (size + state_size,) behind each other.

    data: the rows that are trained on. end: how many updates the run has made, as far as it is known here.
    """

    def __init__(
        self,
        spec: TrainingSpec,
        data: Dataset,
        resume: Checkpoint | None = None,
        start: Checkpoint | Weights | None = None,
        known: Mapping[int, bytes] | None = None,
    ) -> None:
        """`known` are points that earlier attempts recorded; `resume` and `start` as in `fit`."""
        if isinstance(spec.validation, ValidationFraction):
            data, _ = split(data, spec.validation.fraction, spec.seed)
        self.spec, self.data = spec, data
        self.network = Network.trace(spec.network.layers, data.schema.input_shape)
        self.steps = -(-len(data) // spec.batch_size)
        self.end = 0 if resume is None else resume.epoch * self.steps + resume.step
        self._wanted = frozenset(recorded_updates(spec, self.network, len(data)))
        self._type = np.dtype(spec.dtype).newbyteorder("<")
        self._points = {update: np.frombuffer(content, self._type) for update, content in (known or {}).items()}
        self._points[0] = self._first(start)

    @property
    def stops(self) -> frozenset[tuple[int, int]]:
        """Where `fit` has to stop within an epoch."""
        places = (divmod(update, self.steps) for update in self._wanted)
        return frozenset((epoch, step) for epoch, step in places if step)

    @property
    def survey_work(self) -> float:
        """For about how many epochs of training it takes to look back."""
        return survey_work(self.network, len(self.data), len(self._wanted))

    @property
    def points(self) -> dict[int, Array]:
        """All that is recorded up to the end, in order."""
        return {update: self._points[update] for update in sorted(self._points) if update <= self.end}

    def see(self, moment: Chunk | Epoch) -> tuple[int, bytes] | None:
        """Pick up the weights at a moment of `fit`, if they are wanted: gives their place and their bytes."""
        if isinstance(moment, Epoch):
            epoch, step, last = moment.epoch, 0, moment.stop or moment.epoch == self.spec.epochs
        else:
            epoch, step, last = moment.epoch - 1, moment.step, False
        update = epoch * self.steps + step
        before, self.end = self.end, update
        if not (last or update in self._wanted) or (update == before and update in self._points):
            return None
        point, theta, state = self._room()
        moment.checkpoint().weights_into(self.network, theta, state)
        self._points[update] = point
        return update, point.tobytes()

    def _first(self, start: Checkpoint | Weights | None) -> Array:
        point, theta, state = self._room()
        if start is None:
            self.network.draw(self.spec.seed, theta, state)
        else:
            start.weights_into(self.network, theta, state)
        return point

    def _room(self) -> tuple[Array, Array, Array]:
        """A point, its theta and its state."""
        point = np.empty(self.network.size + self.network.state_size, self._type)
        theta, state = np.split(point, [self.network.size])
        return point, theta, state
