"""Dense layers, dropout, embeddings, and blocks of layers."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.random import Random
from peers.twins.twin import Twin, twin, twin_of


@twin("dense")
class Dense(Twin):
    """PyTorch has W transposed."""

    def build(self, layer: Any) -> None:
        self.linear = nn.Linear(self.placed.input_shape[-1], layer.units)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.linear.weight, self.linear.bias)

    def shared(self) -> dict[str, Tensor]:
        return {"weights": self.linear.weight.T, "biases": self.linear.bias}


@twin("embedding")
class Embedding(Twin):
    """Inputs arrive as floating-point numbers, as all of ours do."""

    def build(self, layer: Any) -> None:
        self.table = nn.Embedding(layer.size, layer.dimension)

    def forward(self, x: Tensor) -> Tensor:
        return functional.embedding(x.long(), self.table.weight)

    def shared(self) -> dict[str, Tensor]:
        return {"weights": self.table.weight}


@twin("dropout")
class Dropout(Twin):
    """With the masks of ours where a random stream is set, else with PyTorch's."""

    random: Random | None = None

    def build(self, layer: Any) -> None:
        self.rate = layer.rate

    def forward(self, x: Tensor) -> Tensor:
        if self.random is None or not self.training:
            return functional.dropout(x, self.rate, self.training)
        mask = self.random.keep(self.rate, np.empty(tuple(x.shape), np.float32))
        return x * torch.from_numpy(mask).to(x.dtype) / (1 - self.rate)


@twin("residual")
class Residual(Twin):
    """x + F(x)."""

    def build(self, layer: Any) -> None:
        self.block = nn.Sequential(*(twin_of(inner) for inner in self.placed.inner))

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.block(x))
