"""Batch and layer normalisation."""

from typing import Any

from torch import Tensor, nn

from peers.twins.twin import Twin, twin


@twin("batch_norm")
class BatchNorm(Twin):
    """Channels are PyTorch's second axis, and our last."""

    def build(self, layer: Any) -> None:
        channels = self.placed.input_shape[-1]
        kind = nn.BatchNorm2d if len(self.placed.input_shape) == 3 else nn.BatchNorm1d
        self.norm = kind(channels, eps=layer.epsilon, momentum=layer.momentum)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 4:
            return self.norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.norm(x.flatten(0, -2)).view_as(x)

    def shared(self) -> dict[str, Tensor]:
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        return {"scale": norm.weight, "shift": norm.bias, "mean": norm.running_mean, "variance": norm.running_var}


@twin("layer_norm")
class LayerNorm(Twin):
    """Over the last axis."""

    def build(self, layer: Any) -> None:
        self.norm = nn.LayerNorm(self.placed.input_shape[-1], eps=layer.epsilon)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)

    def shared(self) -> dict[str, Tensor]:
        return {"scale": self.norm.weight, "shift": self.norm.bias}
