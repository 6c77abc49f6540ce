"""Our losses in PyTorch: the cost of each example, whose mean over a batch is the cost of the batch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Costs = Callable[[Any, Tensor, Tensor], Tensor]


def _weights(loss: Any, labels: Tensor, like: Tensor) -> Tensor | float:
    if loss.class_weights is None:
        return 1.0
    return like.new_tensor(loss.class_weights)[labels]


def _cross_entropy(loss: Any, a: Tensor, y: Tensor) -> Tensor:
    costs = functional.cross_entropy(a, y, reduction="none", label_smoothing=loss.label_smoothing)
    return costs * _weights(loss, y, a)


def _binary_cross_entropy(loss: Any, a: Tensor, y: Tensor) -> Tensor:
    costs = functional.binary_cross_entropy_with_logits(a, _rows(a, y), reduction="none").sum(1)
    return costs * _weights(loss, y, a)


def _hinge(loss: Any, a: Tensor, y: Tensor) -> Tensor:
    """Crammer and Singer's (2001), which PyTorch does not have: its multi-class hinge sums over all rivals."""
    if a.shape[1] == 1:
        return torch.relu(1 - (2 * y - 1)[:, None] * a)[:, 0]
    right = functional.one_hot(y, a.shape[1]).bool()
    rival = a.masked_fill(right, -torch.inf).max(1).values
    return torch.relu(1 + rival - a[right])


# A loss of a y in the shape of the outputs.
def _dense(costs: Callable[[Any, Tensor, Tensor], Tensor]) -> Costs:
    return lambda loss, a, y: costs(loss, a, _rows(a, y))


def _rows(a: Tensor, y: Tensor) -> Tensor:
    """Targets as wide as the outputs: one-hot for classes, 0 or 1 where one output tells two apart."""
    if y.dtype != torch.int64:
        return y.reshape(a.shape)
    return (y[:, None] if a.shape[1] == 1 else functional.one_hot(y, a.shape[1])).to(a.dtype)


COSTS: dict[str, Costs] = {
    "quadratic": _dense(lambda loss, a, y: functional.mse_loss(a, y, reduction="none").sum(1)),
    "mean_squared_error": _dense(lambda loss, a, y: functional.mse_loss(a, y, reduction="none").mean(1)),
    "mean_absolute_error": _dense(lambda loss, a, y: functional.l1_loss(a, y, reduction="none").mean(1)),
    "huber": _dense(lambda loss, a, y: functional.huber_loss(a, y, reduction="none", delta=loss.delta).mean(1)),
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": _binary_cross_entropy,
    "hinge": _hinge,
}
