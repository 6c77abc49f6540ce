"""What a network is asked to make small. The union is the registry: a new loss is one file and one word here."""

from typing import Annotated

from pydantic import Field

from core.losses.absolute import Huber, MeanAbsoluteError
from core.losses.binary_cross_entropy import BinaryCrossEntropy
from core.losses.cross_entropy import CrossEntropy
from core.losses.hinge import Hinge
from core.losses.loss import Loss
from core.losses.squares import MeanSquaredError, Quadratic

__all__ = [
    "AnyLoss",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Hinge",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Quadratic",
]

AnyLoss = Annotated[
    Quadratic | MeanSquaredError | MeanAbsoluteError | Huber | CrossEntropy | BinaryCrossEntropy | Hinge,
    Field(discriminator="type"),
]
