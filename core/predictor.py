"""Predictions with a trained network."""

from __future__ import annotations

import threading
from typing import Any, TypedDict

import numpy as np
from pydantic import TypeAdapter

from core.categories import check_inputs
from core.checkpoint import Checkpoint
from core.layers.layer import Array
from core.losses import AnyLoss, Loss
from core.metrics import by_class
from core.network import Network, NetworkSpec
from core.preprocessing import Preprocessing
from core.schema import ClassTarget, DataSchema, JsonScalar
from core.workspace import Workspace, evaluation_rows

_LOSS: TypeAdapter[Loss] = TypeAdapter(AnyLoss)

Ranked = TypedDict("Ranked", {"class": JsonScalar, "probability": float})
Prediction = TypedDict("Prediction", {"class": JsonScalar, "probability": float, "top": list[Ranked]})


class Predictor:
    """A network with its weights and its preprocessing. May be used by many threads at once."""

    def __init__(
        self, network: Network, loss: Loss, schema: DataSchema, preprocessing: Preprocessing, theta: Array, state: Array
    ) -> None:
        self.network, self.schema = network, schema
        self._loss, self._preprocessing = loss, preprocessing
        self._theta, self._state = theta, state
        self.rows = evaluation_rows(network, theta.dtype.name)  # that are computed together
        self.flops = network.flops  # of one row
        self._looks_up = any(at.layer.categories() is not None for at in network.layers)
        self._mine = threading.local()  # each thread computes in a workspace of its own

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Predictor:
        """The network as it was at the checkpoint."""
        spec = checkpoint.spec
        layers = NetworkSpec.model_validate(spec["network"]).layers
        network = Network.trace(layers, checkpoint.schema.input_shape)
        theta, state = network.allocate(spec["dtype"])
        checkpoint.weights_into(network, theta, state)
        preprocessing = Preprocessing.from_json(checkpoint.preprocessing, checkpoint.group("preprocessing."))
        return cls(network, _LOSS.validate_python(spec["loss"]), checkpoint.schema, preprocessing, theta, state)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one raw input."""
        return self.network.input_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The network's type, which is that of the outputs."""
        return self._theta.dtype

    def predict(self, inputs: Array, mask: Array | None = None) -> Array:
        """Outputs (n, k) for raw inputs (n, *input_shape) of any real type, in the network's type.

        `mask` (n, time): 1 for the steps of the sequences that count, 0 for padding; without it all count.
        Probabilities where the loss takes logits, else the last layer's values. Raises ValueError for another shape,
        and SpecError for numbers that a layer cannot look up.
        """
        if inputs.shape[1:] != self.input_shape or inputs.dtype.kind not in "fiub":
            size = " x ".join(map(str, self.input_shape))
            raise ValueError(f"Inputs must be numbers, {size} of them for each example.")
        self.check(inputs)
        outputs = np.empty((len(inputs), *self.network.output_shape), self._theta.dtype)
        workspace, room = self._room()
        with np.errstate(all="ignore"):
            for start in range(0, len(inputs), self.rows):
                raw = inputs[start : start + self.rows]
                of_batch = None if mask is None else mask[start : start + self.rows].astype(outputs.dtype)
                x = self._preprocessing.apply(_real(raw), room[: len(raw)])
                outputs[start : start + self.rows] = self._loss.outputs(workspace.forward(x, of_batch))
        return outputs

    def check(self, inputs: Array) -> None:
        """Raises SpecError for numbers that a layer cannot look up."""
        if self._looks_up:
            check_inputs(self.network, inputs)

    def label(self, outputs: Array, top: int) -> list[Prediction]:
        """For class targets: the likeliest class of each row of outputs (n, k), and the `top` likeliest."""
        target = self.schema.target
        if not isinstance(target, ClassTarget):
            raise ValueError("Only a model of classes can name one.")
        outputs, order = self.rank(outputs, top)
        result: list[Prediction] = []
        for row, best in zip(outputs, order.tolist(), strict=True):
            ranked: list[Ranked] = [{"class": target.classes[i], "probability": float(row[i])} for i in best]
            result.append({**ranked[0], "top": ranked[:top]})
        return result

    def rank(self, outputs: Array, top: int) -> tuple[Array, Array]:
        """Outputs with a column for each class, and the places of the `top` likeliest ones in each row."""
        outputs = by_class(outputs, self._loss.even)
        return outputs, np.argsort(-outputs, axis=1, kind="stable")[:, : max(1, top)]

    def _room(self) -> tuple[Workspace, Array]:
        found: tuple[Workspace, Array] | None = getattr(self._mine, "room", None)
        if found is None:
            workspace = Workspace(self.network, self.rows, theta=self._theta, state=self._state)
            found = self._mine.room = workspace, np.empty((self.rows, *self.input_shape), self._theta.dtype)
        return found


def _real(raw: Array) -> Array:
    """Types that datasets do not have, such as the int64 of JSON numbers, as float64."""
    return raw if raw.dtype in (np.uint8, np.float32, np.float64) else raw.astype(np.float64)
