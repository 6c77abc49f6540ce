"""Convolutions and pools. PyTorch has channels second; its memory may well have them last, so axes are only renamed."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from peers.twins.twin import Twin, twin


def both(value: Any) -> tuple[int, int]:
    """A number for both axes, or the two."""
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


def margins(length: int, size: int, stride: int, dilation: int, padding: int | str) -> tuple[int, int]:
    """Padding before and behind an axis; "same" as TensorFlow defines it: ceil(length / stride) windows, the odd cell
    behind."""
    if padding == "same":
        total = max(0, (-(-length // stride) - 1) * stride + (size - 1) * dilation + 1 - length)
        return total // 2, total - total // 2
    return (0, 0) if padding == "valid" else (int(padding), int(padding))


class Windowed(Twin):
    """What slides over images: the view with channels second, padded."""

    def frame(self, layer: Any, size: Any, stride: Any, dilation: Any = 1) -> None:
        """Remember windows and margins."""
        self.size, self.stride, self.dilation = both(size), both(stride), both(dilation)
        padding = (layer.padding, layer.padding) if isinstance(layer.padding, str) else both(layer.padding)
        axes = zip(self.placed.input_shape, self.size, self.stride, self.dilation, padding, strict=False)
        rows, columns = (margins(*axis) for axis in axes)
        self.margins = (*columns, *rows)

    def padded(self, x: Tensor, value: float = 0.0) -> Tensor:
        """(n, rows, columns) or (n, rows, columns, channels) as (n, channels, rows, columns) with margins."""
        x = (x if x.ndim == 4 else x[..., None]).permute(0, 3, 1, 2)
        return functional.pad(x, self.margins, value=value) if any(self.margins) else x


def channels_last(x: Tensor) -> Tensor:
    """Back to our order."""
    return x.permute(0, 2, 3, 1)


@twin("conv2d")
class Conv2D(Windowed):
    """Even margins are left to PyTorch."""

    def build(self, layer: Any) -> None:
        self.frame(layer, layer.kernel, layer.stride, layer.dilation)
        columns, rows = self.margins[:2], self.margins[2:]
        self.even = 0, 0
        if columns[0] == columns[1] and rows[0] == rows[1]:
            self.even, self.margins = (rows[0], columns[0]), (0, 0, 0, 0)
        channels = self.placed.input_shape[2] if len(self.placed.input_shape) == 3 else 1
        self.convolution = nn.Conv2d(
            channels,
            layer.filters,
            self.size,
            self.stride,
            padding=self.even,
            dilation=self.dilation,
            groups=layer.groups,
        )

    def forward(self, x: Tensor) -> Tensor:
        return channels_last(self.convolution(self.padded(x)))

    def shared(self) -> dict[str, Tensor]:
        return {"weights": self.convolution.weight.permute(2, 3, 1, 0), "biases": self.convolution.bias}


@twin("conv1d")
class Conv1D(Twin):
    """Over time."""

    def build(self, layer: Any) -> None:
        time, features = self.placed.input_shape
        self.margins = margins(time, layer.kernel, layer.stride, layer.dilation, layer.padding)
        self.convolution = nn.Conv1d(
            features, layer.filters, layer.kernel, layer.stride, dilation=layer.dilation, groups=layer.groups
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        x = functional.pad(x, self.margins) if any(self.margins) else x
        return self.convolution(x).transpose(1, 2)

    def shared(self) -> dict[str, Tensor]:
        return {"weights": self.convolution.weight.permute(2, 1, 0), "biases": self.convolution.bias}


@twin("max_pool2d")
class MaxPool2D(Windowed):
    """Padding is minus infinity."""

    def build(self, layer: Any) -> None:
        self.frame(layer, layer.size, layer.size if layer.stride is None else layer.stride)

    def forward(self, x: Tensor) -> Tensor:
        return channels_last(functional.max_pool2d(self.padded(x, -torch.inf), self.size, self.stride))


@twin("avg_pool2d")
class AvgPool2D(Windowed):
    """Padding does not count: the mean of x over the mean of ones."""

    def build(self, layer: Any) -> None:
        self.frame(layer, layer.size, layer.size if layer.stride is None else layer.stride)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.avg_pool2d(self.padded(x), self.size, self.stride)
        if any(self.margins):
            y = y / functional.avg_pool2d(self.padded(torch.ones_like(x[:1])), self.size, self.stride)
        return channels_last(y)


@twin("global_avg_pool")
class GlobalAvgPool(Twin):
    """Over images or sequences."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1, -2).mean(1)


@twin("global_max_pool")
class GlobalMaxPool(Twin):
    """max with an index, whose gradient goes to one winner; amax would share it among equals."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1, -2).max(1).values
