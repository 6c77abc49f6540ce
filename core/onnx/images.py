"""Convolutions and pools. ONNX has the channels in front of rows and columns, Nudge behind them.

Runtimes have neither Conv nor AveragePool in float64: there, what the windows see is gathered first.
"""

from __future__ import annotations

import numpy as np

from core.layers.avg_pool2d import AvgPool2D
from core.layers.conv1d import Conv1D
from core.layers.conv2d import Conv2D
from core.layers.convolution import Convolution
from core.layers.global_avg_pool import GlobalAvgPool
from core.layers.global_max_pool import GlobalMaxPool
from core.layers.layer import Array
from core.layers.max_pool2d import MaxPool2D
from core.layers.windows import Sliding, Windows
from core.onnx.graph import At
from core.onnx.messages import Attribute


def conv2d(layer: Conv2D, at: At) -> str:
    """The sum over the cells of the kernel."""
    return _convolution(layer.convolution(at.input_shape), at, at.array("weights"))


def conv1d(layer: Conv1D, at: At) -> str:
    """That of an image of one column."""
    return _convolution(layer.convolution(at.input_shape), at, at.array("weights")[:, None])


def max_pool2d(layer: MaxPool2D, at: At) -> str:
    """The largest value of each window."""
    return _in_front(at, layer.windows(at.input_shape), "MaxPool")


def avg_pool2d(layer: AvgPool2D, at: At) -> str:
    """The mean of each window, over the cells inside the image."""
    g, windows = at.graph, layer.windows(at.input_shape)
    if g.single:
        return _in_front(at, windows, "AveragePool")
    sums = g.node("ReduceSum", _seen(at, windows), g.whole(2), keepdims=0)
    counts = (_places(windows) < windows.rows.length * windows.columns.length).sum(axis=1)
    return g.reshape(g.node("Div", sums, g.numbers(counts[:, None])), *at.output_shape)


def global_max_pool(_: GlobalMaxPool, at: At) -> str:
    """The largest value of each channel."""
    return at.graph.node("ReduceMax", at.x, _all_but_channels(at), keepdims=0)


def global_avg_pool(_: GlobalAvgPool, at: At) -> str:
    """The mean of each channel."""
    return at.graph.node("ReduceMean", at.x, _all_but_channels(at), keepdims=0)


def _all_but_channels(at: At) -> str:
    return at.graph.whole(*range(1, len(at.input_shape)))


def _convolution(convolution: Convolution, at: At, W: Array) -> str:
    """With W (kernel rows, kernel columns, channels / groups, filters)."""
    g, biases, groups = at.graph, at.learned("biases"), convolution.groups
    if g.single:
        weights = g.numbers(W.transpose(3, 2, 0, 1), f"{g.place}weights")
        return _in_front(at, convolution.windows, "Conv", weights, biases, group=groups)
    cells, inside = W.shape[0] * W.shape[1], W.shape[2]
    split = W.reshape(cells * inside, groups, -1).swapaxes(0, 1)
    grouped = g.reshape(_seen(at, convolution.windows), -1, cells, groups, inside)
    grouped = g.node("Transpose", grouped, perm=(0, 3, 1, 2, 4))
    made = g.node("MatMul", g.reshape(grouped, groups, -1, cells * inside), g.numbers(split, f"{g.place}weights"))
    joined = g.reshape(g.node("Transpose", made, perm=(0, 2, 1, 3)), *at.output_shape)
    return g.node("Add", joined, biases)


def _in_front(at: At, windows: Windows, operator: str, *inputs: str, **attributes: Attribute) -> str:
    """An operator over windows, with the channels put in front of the axes for it, and back behind."""
    g, axes = at.graph, (windows.rows, windows.columns)
    behind = [max(0, (axis.count - 1) * axis.stride + _reach(axis) - axis.length - axis.before) for axis in axes]
    image = g.reshape(at.x, *(axis.length for axis in axes), -1)
    y = g.node(
        operator,
        g.node("Transpose", image, perm=(0, 3, 1, 2)),
        *inputs,
        kernel_shape=tuple(axis.size for axis in axes),
        strides=tuple(axis.stride for axis in axes),
        dilations=tuple(axis.dilation for axis in axes),
        pads=(*(axis.before for axis in axes), *behind),
        **attributes,
    )
    return g.reshape(g.node("Transpose", y, perm=(0, 2, 3, 1)), *at.output_shape)


def _reach(axis: Sliding) -> int:
    return (axis.size - 1) * axis.dilation + 1


def _seen(at: At, windows: Windows) -> str:
    """What each window sees: (n, windows, cells, channels), zeros beyond the borders."""
    g, places = at.graph, windows.rows.length * windows.columns.length
    flat = g.node("Pad", g.reshape(at.x, places, -1), g.whole(0, 0, 0, 0, 1, 0))
    return g.node("Gather", flat, g.exact(_places(windows)), axis=1)


def _places(windows: Windows) -> Array:
    """Where each cell of each window lies in the rows and columns of the image: (windows, cells).

    Beyond the borders it is one more than there are.
    """
    lengths = windows.rows.length, windows.columns.length
    shape = (*windows.shape, windows.rows.size, windows.columns.size)
    image = np.arange(np.prod(lengths)).reshape(1, *lengths)
    places = np.full((1, *shape), image.size)
    for (i, j), seen, inputs in windows.cells():
        places[..., i, j][seen] = image[inputs]
    return places.reshape(np.prod(windows.shape), -1)
