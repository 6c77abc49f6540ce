"""From a checkpoint to an ONNX file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from math import prod

import numpy as np
from pydantic import TypeAdapter

from core.checkpoint import Checkpoint
from core.losses import AnyLoss, BinaryCrossEntropy, CrossEntropy, Loss
from core.network import Network, NetworkSpec
from core.onnx import messages
from core.onnx.graph import Graph, NotExportable
from core.onnx.rules import through
from core.preprocessing import Divide, Preprocessing, Standardize
from core.schema import ClassTarget
from core.spec import Finding

_LOSS: TypeAdapter[Loss] = TypeAdapter(AnyLoss)
SHOWN: dict[type[Loss], str] = {CrossEntropy: "Softmax", BinaryCrossEntropy: "Sigmoid"}
OVERHEAD = 2**22  # bytes, more than everything beside the parameters


def to_onnx(checkpoint: Checkpoint, name: str, told: Mapping[str, str]) -> bytes:
    """The network as it was at the checkpoint, in its own type of real numbers.

    inputs:  raw values (batch, *input_shape); the preprocessing is in the graph
    mask:    bool (batch, time), true for the steps that count; only where the network was trained with masks
    outputs: (batch, k), what a prediction shows: probabilities where the loss takes logits

    The metadata of the file hold what is `told`, and the classes as JSON. Raises NotExportable, which names
    the layer that cannot be written.
    """
    dtype, schema = checkpoint.spec["dtype"], checkpoint.schema
    network = Network.trace(NetworkSpec.model_validate(checkpoint.spec["network"]).layers, schema.input_shape)
    _check_size(network, dtype)
    mask = "mask" if network.masked and schema.places("mask") else None
    graph = Graph(dtype)
    x = _preprocessed(graph, "inputs", checkpoint)
    last = through(graph, network.layers, x, mask, checkpoint.tensors)
    operator = SHOWN.get(type(_LOSS.validate_python(checkpoint.spec["loss"])), "Identity")
    graph.nodes.append(messages.node(operator, "outputs", [last], ["outputs"], {}))

    inputs = [messages.described("inputs", dtype, ("batch", *network.input_shape))]
    if mask is not None:
        inputs.append(messages.described(mask, "bool", ("batch", network.input_shape[0])))
    outputs = [messages.described("outputs", dtype, ("batch", *network.output_shape))]
    metadata = dict(told)
    if isinstance(schema.target, ClassTarget):
        metadata["classes"] = json.dumps(schema.target.classes, ensure_ascii=False)
    whole = messages.graph(name, graph.nodes, inputs, outputs, graph.tensors.values())
    return messages.model(whole, ("Nudge", version("nudge-training")), metadata)


def _preprocessed(graph: Graph, x: str, checkpoint: Checkpoint) -> str:
    """x as the network sees it. Means are taken off in float64, so that small differences of large values survive."""
    fitted = Preprocessing.from_json(checkpoint.preprocessing, checkpoint.group("preprocessing."))
    for place, step in enumerate(fitted.steps):
        match step:
            case Divide():
                x = graph.node("Div", x, graph.numbers(step.by))
            case Standardize():
                mean, deviation = (graph.exact(fitted.arrays[f"{place}.{name}"]) for name in step.arrays)
                x = graph.node("Div", graph.node("Sub", graph.cast(x, "float64"), mean), deviation)
                x = graph.cast(x, graph.dtype.name)
    return x


def _check_size(network: Network, dtype: str) -> None:
    """Raise NotExportable, about the layer with the most parameters, where the file would be too long."""
    if network.size * np.dtype(dtype).itemsize > messages.LARGEST - OVERHEAD:
        sizes = [sum(prod(piece.variable.shape) for at in layer.walk() for piece in at.parameters)
                 for layer in network.layers]  # fmt: skip
        detail = "With the parameters of this layer the file would be longer than 2 GiB, which ONNX does not allow: "
        raise NotExportable([Finding(f"/network/layers/{np.argmax(sizes)}", detail + "export as safetensors or npz.")])
