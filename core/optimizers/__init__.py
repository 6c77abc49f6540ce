"""How a gradient moves the parameters. The union is the registry: a new optimizer is one class and one word here."""

from typing import Annotated

from pydantic import Field

from core.optimizers.adagrad import Adadelta, Adagrad, RMSprop
from core.optimizers.adam import Adam, AdamW
from core.optimizers.nadam import NAdam
from core.optimizers.optimizer import Optimizer
from core.optimizers.sgd import SGD, Momentum, Nesterov

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "AnyOptimizer",
    "Momentum",
    "NAdam",
    "Nesterov",
    "Optimizer",
    "RMSprop",
]

AnyOptimizer = Annotated[
    SGD | Momentum | Nesterov | RMSprop | Adagrad | Adadelta | Adam | AdamW | NAdam,
    Field(discriminator="type"),
]
