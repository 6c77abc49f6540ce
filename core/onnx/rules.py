"""The rules, one for each kind of layer: what it is in ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.layers.avg_pool2d import AvgPool2D
from core.layers.batch_norm import BatchNorm
from core.layers.conv1d import Conv1D
from core.layers.conv2d import Conv2D
from core.layers.dense import Dense
from core.layers.dropout import Dropout
from core.layers.elu import ELU
from core.layers.embedding import Embedding
from core.layers.expression import Expression
from core.layers.flatten import Flatten
from core.layers.gelu import GELU
from core.layers.global_avg_pool import GlobalAvgPool
from core.layers.global_max_pool import GlobalMaxPool
from core.layers.gru import GRU
from core.layers.layer import Array, Layer
from core.layers.layer_norm import LayerNorm
from core.layers.leaky_relu import LeakyReLU
from core.layers.lstm import LSTM
from core.layers.max_pool2d import MaxPool2D
from core.layers.relu import ReLU
from core.layers.reshape import Reshape
from core.layers.residual import Residual
from core.layers.self_attention import SelfAttention
from core.layers.sigmoid import Sigmoid
from core.layers.silu import SiLU
from core.layers.simple_rnn import SimpleRNN
from core.layers.softmax import Softmax
from core.layers.softplus import Softplus
from core.layers.tanh import Tanh
from core.network import Placed
from core.onnx import activations, attention, expressions, images, norms, plain, recurrent
from core.onnx.graph import At, Graph, NotExportable, Rule
from core.spec import Finding

RULES: dict[type[Layer], Any] = {
    Dense: plain.dense,
    Flatten: plain.arranged,
    Reshape: plain.arranged,
    Dropout: plain.dropout,
    Residual: plain.residual,
    Embedding: plain.embedding,
    Sigmoid: activations.sigmoid,
    Tanh: activations.tanh,
    ReLU: activations.relu,
    Softmax: activations.softmax,
    LeakyReLU: activations.leaky_relu,
    ELU: activations.elu,
    GELU: activations.gelu,
    SiLU: activations.silu,
    Softplus: activations.softplus,
    Expression: expressions.expression,
    Conv2D: images.conv2d,
    Conv1D: images.conv1d,
    MaxPool2D: images.max_pool2d,
    AvgPool2D: images.avg_pool2d,
    GlobalMaxPool: images.global_max_pool,
    GlobalAvgPool: images.global_avg_pool,
    BatchNorm: norms.batch_norm,
    LayerNorm: norms.layer_norm,
    SimpleRNN: recurrent.simple_rnn,
    LSTM: recurrent.lstm,
    GRU: recurrent.gru,
    SelfAttention: attention.self_attention,
}


def through(graph: Graph, row: Sequence[Placed], x: str, mask: str | None, tensors: Mapping[str, Array]) -> str:
    """The output of layers in a row for the value x; raises NotExportable, which names a layer without a rule."""
    around = graph.place
    for index, placed in enumerate(row):
        graph.place = f"{around}layers.{index}."
        rule: Rule | None = RULES.get(type(placed.layer))
        if rule is None:
            at = "/network/" + graph.place.removesuffix(".").replace(".", "/")
            detail = f"A layer of type {placed.layer.type} has no form in ONNX: export as safetensors or npz instead."
            raise NotExportable([Finding(at, detail)])

        def inside(x: str, placed: Placed = placed) -> str:
            return through(graph, placed.inner, x, mask, tensors)

        looks = mask if placed.timed and placed.layer.masks else None
        x = rule(placed.layer, At(graph, placed, x, looks, tensors, inside))
    graph.place = around
    return x
