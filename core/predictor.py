"""Predictions with a trained network."""

from __future__ import annotations

import threading
from typing import Any, TypedDict

import numpy as np
from pydantic import TypeAdapter

from core.categories import check_inputs
from core.checkpoint import Checkpoint
from core.compiled.library import loaded
from core.compiled.outputs import CompiledOutputs
from core.layers.layer import Array
from core.losses import AnyLoss, Loss
from core.memory import room
from core.metrics import by_class
from core.network import Network, NetworkSpec
from core.preprocessing import Preprocessing
from core.schema import ClassTarget, DataSchema, JsonScalar
from core.workspace import Workspace, evaluation_rows

_STORED = frozenset(map(np.dtype, ("uint8", "float32", "float64")))
_LOSS: TypeAdapter[Loss] = TypeAdapter(AnyLoss)

Ranked = TypedDict("Ranked", {"class": JsonScalar, "probability": float})
Prediction = TypedDict("Prediction", {"class": JsonScalar, "probability": float, "top": list[Ranked]})


class Predictor:
    """A network with its weights and its preprocessing. May be used by many threads at once."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        schema: DataSchema,
        preprocessing: Preprocessing,
        theta: Array,
        state: Array,
        *,
        compiled: bool = False,
    ) -> None:
        """`compiled`: whether the driver computes, which is faster, where it has been compiled; else NumPy alone does.
        It is not compiled here: somebody may wait for the prediction."""
        self.network, self.schema = network, schema
        self._loss, self._preprocessing = loss, preprocessing
        self._theta, self._state = theta, state
        self.rows = evaluation_rows(network, theta.dtype.name)  # that are computed together
        self.flops = network.flops  # of one row
        self._looks_up = any(at.layer.categories() is not None for at in network.layers)
        self._library = loaded(theta.dtype.name) if compiled else None
        self._mine = threading.local()  # each thread computes in a room of its own

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, *, compiled: bool = False) -> Predictor:
        """The network as it was at the checkpoint; `compiled` as above."""
        spec = checkpoint.spec
        layers = NetworkSpec.model_validate(spec["network"]).layers
        network = Network.trace(layers, checkpoint.schema.input_shape)
        theta, state = network.allocate(spec["dtype"])
        checkpoint.weights_into(network, theta, state)
        preprocessing = Preprocessing.from_json(checkpoint.preprocessing, checkpoint.group("preprocessing."))
        loss, schema = _LOSS.validate_python(spec["loss"]), checkpoint.schema
        return cls(network, loss, schema, preprocessing, theta, state, compiled=compiled)

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
        x, computing = self._room()
        with np.errstate(all="ignore"):
            for start in range(0, len(inputs), self.rows):
                raw = inputs[start : start + self.rows]
                of_batch = None if mask is None else mask[start : start + self.rows].astype(outputs.dtype)
                of_rows = self._preprocessing.apply(_real(raw), x[: len(raw)])
                outputs[start : start + self.rows] = self._loss.outputs(computing.forward(of_rows, of_batch))
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
        if order.shape[1] == 1:
            best = np.maximum.reduce(outputs, axis=1, keepdims=True)
        else:
            best = outputs[np.arange(len(outputs))[:, np.newaxis], order]
        by_rank: list[list[Ranked]] = [
            [{"class": target.classes[place], "probability": chance} for place, chance in zip(*of_rank, strict=True)]
            for of_rank in zip(order.T.tolist(), best.T.tolist(), strict=True)
        ]
        return [
            {"class": ranked[0]["class"], "probability": ranked[0]["probability"], "top": list(ranked[:top])}
            for ranked in zip(*by_rank, strict=True)
        ]

    def rank(self, outputs: Array, top: int) -> tuple[Array, Array]:
        """Outputs with a column for each class, and the places of the `top` likeliest ones in each row."""
        outputs = by_class(outputs, self._loss.even)
        if top <= 1:
            return outputs, outputs.argmax(axis=1)[:, np.newaxis]  # of equal ones the first, as below
        return outputs, np.argsort(-outputs, axis=1, kind="stable")[:, :top]

    def _room(self) -> tuple[Array, Workspace | CompiledOutputs]:
        found: tuple[Array, Workspace | CompiledOutputs] | None = getattr(self._mine, "room", None)
        if found is None:
            network, theta, state = self.network, self._theta, self._state
            x = room((self.rows, *self.input_shape), theta.dtype)
            if self._library is None:
                found = x, Workspace(network, self.rows, theta=theta, state=state)
            else:
                found = x, CompiledOutputs(network, theta, state, x, self._library)
            self._mine.room = found
        return found


def _real(raw: Array) -> Array:
    """Types that datasets do not have, such as the int64 of JSON numbers, as float64."""
    return raw if raw.dtype in _STORED else raw.astype(np.float64)
