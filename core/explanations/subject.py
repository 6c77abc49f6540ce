"""A trained network to look into: evaluation mode, float64, the data cost alone without penalties."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from core.batches import Batches
from core.categories import check_inputs
from core.checkpoint import Checkpoint
from core.data import Dataset
from core.explanations.backpropagation import Backpropagation, Examples
from core.layers.layer import Array
from core.losses import AnyLoss, Loss
from core.masks import check_masks
from core.metrics import by_class
from core.network import Network, NetworkSpec, Piece
from core.preprocessing import Preprocessing
from core.schema import ClassTarget, DataSchema, JsonScalar, RealTarget, class_key
from core.spec import Finding, SpecError

NAMED = 10  # parameters in a message
SHORT = {"weight": "weights", "bias": "biases"}
_LOSS: TypeAdapter[Loss] = TypeAdapter(AnyLoss)


@dataclass(frozen=True, eq=False)
class Subject:
    """A network with its weights theta (size,) and running state, both float64, behind its preprocessing.

    Class weights are those of the training: C = mean over the rows of w_i C_i, not divided by the sum of the weights.
    """

    network: Network
    loss: Loss
    schema: DataSchema
    preprocessing: Preprocessing
    theta: Array
    state: Array

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Subject:
        """The network as it was at the checkpoint; its numbers are taken to float64 exactly."""
        layers = NetworkSpec.model_validate(checkpoint.spec["network"]).layers
        network = Network.trace(layers, checkpoint.schema.input_shape)
        theta, state = network.allocate("float64")
        checkpoint.weights_into(network, theta, state)
        preprocessing = Preprocessing.from_json(checkpoint.preprocessing, checkpoint.group("preprocessing."))
        loss = _LOSS.validate_python(checkpoint.spec["loss"])
        return cls(network, loss, checkpoint.schema, preprocessing, theta, state)

    @property
    def looks_up(self) -> bool:
        """Whether its inputs are numbers that a layer looks up: there is no derivative by those."""
        return any(at.layer.categories() is not None for at in self.network.layers)

    def examples(self, raw: Array, targets: Sequence[object], mask: Array | None = None) -> Examples:
        """Raw inputs (n, *input_shape) with their targets as they would be uploaded: classes, or (nested) numbers.

        `mask` (n, time): 1 for the steps of the sequences that count, 0 for padding.

        Raises:
            SpecError: an input that a layer cannot look up (at /inputs/0), or a target that the model does not know.
        """
        check_inputs(self.network, raw)
        x = self.preprocessing.apply(raw.astype(np.float64), np.empty(raw.shape))
        y = np.stack([self._target(value) for value in targets])
        masked = None if mask is None or not self.network.masked else mask.astype(np.float64)
        return Examples(x, y, masked)

    def rows(self, data: Dataset, indices: NDArray[np.int64]) -> Examples:
        """The rows of a dataset at `indices`, which may come in any order and more than once.

        Raises:
            SpecError: its inputs or targets are not of the model's kind (at /dataset).
        """
        data = self.known(data)
        batches = Batches(
            data,
            self.preprocessing,
            rows=len(indices),
            width=self.network.output_shape[0],
            dtype="float64",
            masked=self.network.masked,
        )
        places = data.indices()[indices]
        check_inputs(self.network, data.x[places])
        x, y, _ = batches.load(places)
        return Examples(x, y, batches.mask)

    def piece(self, layer: int, parameter: str, at: str = "") -> Piece:
        """A parameter of a layer of the spec, counted from 0: "weight", "bias", or its name as in checkpoints or short.

        Those of the layers inside a residual block go by their names as in checkpoints: layers.5.layers.0.weights.

        Raises:
            SpecError: there is none, at /layer or /parameter behind the pointer `at`.
        """
        layers = self.network.layers
        if layer >= len(layers):
            detail = f"The network has {len(layers)} layers: the last is {len(layers) - 1}."
            raise SpecError([Finding(f"{at}/layer", detail)])
        own = {piece.name.rpartition(".")[2]: piece for piece in layers[layer].parameters}
        within = {piece.name: piece for inner in layers[layer].walk() for piece in inner.parameters}
        block, _, last = parameter.rpartition(".")
        name = ".".join(filter(None, (block, SHORT.get(last, last))))
        found = own.get(name) or within.get(name)
        if found is None:
            kind = layers[layer].layer.type
            known = [*own, *(name for name, piece in within.items() if piece not in own.values())]
            some = ", ".join(known[:NAMED]) + (", ..." if len(known) > NAMED else "")
            way_out = f"it has {some}" if known else "it has none; choose another layer"
            detail = f"Layer {layer} is of the type {kind} and has no such parameter: {way_out}."
            raise SpecError([Finding(f"{at}/parameter", detail)])
        return found

    def backpropagate(self, examples: Examples, theta: Array | None = None) -> Backpropagation:
        """Forward and backward through the whole network, with everything kept; with the weights `theta` if given."""
        theta = self.theta if theta is None else theta
        return Backpropagation(self.network, self.loss, theta, self.state, examples, to_inputs=not self.looks_up)

    def said(self, outputs: Array) -> JsonScalar | list[float]:
        """The class that a row of outputs (width,) names, or the outputs themselves for real targets."""
        if not isinstance(self.schema.target, ClassTarget):
            values: list[float] = outputs.tolist()
            return values
        return self.schema.target.classes[int(by_class(outputs[None], self.loss.even).argmax())]

    def known(self, data: Dataset) -> Dataset:
        """The dataset with its classes numbered as the model numbers them.

        Raises:
            SpecError: its inputs, targets or masks are not of the model's kind (at /dataset).
        """
        ours, theirs = self.schema, data.schema
        if theirs.input_shape != ours.input_shape:
            detail = f"Its inputs are of shape {list(theirs.input_shape)}; the model takes {list(ours.input_shape)}."
            raise SpecError([Finding("/dataset", detail)])
        if wrong := list(check_masks(self.network, theirs, "/dataset")):
            raise SpecError(wrong)
        if isinstance(ours.target, ClassTarget) and isinstance(theirs.target, ClassTarget):
            known = {class_key(label) for label in ours.target.classes}
            strange = [label for label in theirs.target.classes if class_key(label) not in known]
            if strange:
                raise SpecError(
                    [
                        Finding(
                            "/dataset",
                            f"The model does not know its class {_shown(strange[0])}.",
                        )
                    ]
                )
            return data.with_classes(ours.target)
        if isinstance(ours.target, RealTarget) and isinstance(theirs.target, RealTarget):
            if ours.target.width == theirs.target.width:
                return data
            detail = f"Its targets hold {theirs.target.width} numbers; the model gives {ours.target.width}."
            raise SpecError([Finding("/dataset", detail)])
        kinds = {"class": "classes", "real": "real numbers"}
        detail = f"Its targets are {kinds[theirs.target.kind]}; those of the model are {kinds[ours.target.kind]}."
        raise SpecError([Finding("/dataset", detail)])

    def _target(self, value: object) -> Array:
        """The row (width,) of numbers that the loss compares with the outputs."""
        target, width = self.schema.target, self.network.output_shape[0]
        if isinstance(target, RealTarget):
            return _numbers(value, target.width)
        number = _class_number(value, target)
        return np.array([float(number)]) if width == 1 else np.eye(width)[number]


def _class_number(value: object, target: ClassTarget) -> int:
    if value is None or isinstance(value, str | int | float):
        label: JsonScalar = value
        for number, known in enumerate(target.classes):
            if class_key(known) == class_key(label):
                return number
    some = ", ".join(map(_shown, target.classes[:10])) + (", ..." if target.width > 10 else "")
    raise SpecError([Finding("/target", f"The model does not know this class; it knows {some}.")])


def _shown(label: JsonScalar) -> str:
    return json.dumps(label, ensure_ascii=False)


def _numbers(value: object, width: int) -> Array:
    try:
        array = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.size != width or not np.isfinite(array).all():
        what = "one number" if width == 1 else f"{width} numbers"
        raise SpecError([Finding("/target", f"The target of this model is {what}.")])
    return array
