"""Our optimizers in PyTorch: its own, told what ours are told."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, optim

Groups = Sequence[dict[str, Any]]

OPTIMIZERS: dict[str, Callable[[Any, Groups], optim.Optimizer]] = {
    "sgd": lambda o, groups: optim.SGD(groups, lr=1.0, momentum=o.momentum),
    "momentum": lambda o, groups: optim.SGD(groups, lr=1.0, momentum=o.momentum),
    "nesterov": lambda o, groups: optim.SGD(groups, lr=1.0, momentum=o.momentum, nesterov=True),
    "rmsprop": lambda o, groups: optim.RMSprop(groups, lr=1.0, alpha=o.alpha, eps=o.epsilon),
    "adagrad": lambda o, groups: optim.Adagrad(groups, lr=1.0, eps=o.epsilon),
    "adadelta": lambda o, groups: optim.Adadelta(groups, lr=1.0, rho=o.rho, eps=o.epsilon),
    "adam": lambda o, groups: optim.Adam(groups, lr=1.0, betas=(o.beta1, o.beta2), eps=o.epsilon),
    "adamw": lambda o, groups: optim.AdamW(groups, lr=1.0, betas=(o.beta1, o.beta2), eps=o.epsilon),
    "nadam": lambda o, groups: optim.NAdam(
        groups, lr=1.0, betas=(o.beta1, o.beta2), eps=o.epsilon, momentum_decay=o.momentum_decay
    ),
}


def optimizer_of(ours: Any, weights: Sequence[Tensor], others: Sequence[Tensor], decay: float = 0.0) -> optim.Optimizer:
    """PyTorch's optimizer. AdamW lets `weights` alone decay, by its own and by the `decay` told beside it."""
    groups: list[dict[str, Any]] = [{"params": list(weights)}, {"params": list(others)}]
    if ours.type == "adamw":  # PyTorch's decays by 0.01 if nothing is said
        groups[0]["weight_decay"], groups[1]["weight_decay"] = ours.weight_decay + decay, 0.0
    return OPTIMIZERS[ours.type](ours, [group for group in groups if group["params"]])
