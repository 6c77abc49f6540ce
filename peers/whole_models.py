"""Networks of the kinds that people train, dense, convolutional and recurrent, with weights and rows to look at."""

from typing import Any

import numpy as np

from core.explanations.backpropagation import Examples
from core.explanations.subject import Subject
from core.layers import (
    GELU,
    GRU,
    LSTM,
    AvgPool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAvgPool,
    LayerNorm,
    MaxPool2D,
    ReLU,
    Residual,
    SelfAttention,
    Sigmoid,
    SiLU,
    SimpleRNN,
    Softmax,
    Tanh,
)
from core.layers.layer import Layer
from core.losses import CrossEntropy, Loss, Quadratic
from core.schema import RealTarget
from tests.core.explanations.zoo import laid_open, some_examples

WEIGHED = CrossEntropy(class_weights=(1.0, 3.0, 0.5))
REAL = RealTarget(shape=(3,))

# The layers and the shape of the inputs; each ends in three numbers.
MODELS: dict[str, tuple[list[Layer], tuple[int, ...]]] = {
    "dense": ([Dense(units=6), Sigmoid(), Dense(units=5), Tanh(), Dense(units=3)], (4,)),
    "dense with norms": (
        [Dense(units=6), BatchNorm(), ReLU(), Dropout(rate=0.3), Dense(units=5), Softmax(), Dense(units=3)],
        (4,),
    ),
    "residual": (
        [Dense(units=5), Residual(layers=(LayerNorm(), Dense(units=7), GELU(), Dense(units=5))), Dense(units=3)],
        (4,),
    ),
    "dense at each step": (  # a kernel of one step is a dense layer over a sequence
        [Conv1D(filters=4, kernel=1), GELU(), Conv1D(filters=2, kernel=1), Flatten(), Dense(units=3)],
        (6, 3),
    ),
    "conv2d": (
        [
            Conv2D(filters=4, kernel=3, padding="same"),
            BatchNorm(),
            ReLU(),
            MaxPool2D(size=2),
            Conv2D(filters=6, kernel=2, groups=2),
            Tanh(),
            AvgPool2D(size=2, stride=1),
            Flatten(),
            Dense(units=5),
            SiLU(),
            Dense(units=3),
        ],
        (8, 7, 2),
    ),
    "conv1d": (
        [
            Conv1D(filters=4, kernel=3, dilation=2, padding=1),
            SiLU(),
            Conv1D(filters=3, kernel=2, stride=2),
            BatchNorm(),
            GlobalAvgPool(),
            Dense(units=4),
            Tanh(),
            Dense(units=3),
        ],
        (12, 2),
    ),
    "simple_rnn": ([SimpleRNN(units=5, sequence=True), SimpleRNN(units=4), Dense(units=3)], (6, 3)),
    "lstm": ([LSTM(units=5, sequence=True), LSTM(units=4), Dense(units=4), Tanh(), Dense(units=3)], (6, 3)),
    "gru": ([GRU(units=5, sequence=True), GRU(units=4), Dense(units=4), Sigmoid(), Dense(units=3)], (6, 3)),
    "embedding": ([Embedding(size=7, dimension=4), LSTM(units=5), Dense(units=4), Tanh(), Dense(units=3)], (6,)),
    "attention": (
        [Embedding(size=7, dimension=4), SelfAttention(heads=2, positions=True), GRU(units=4), Dense(units=3)],
        (5,),
    ),
}


def opened(name: str, loss: Loss = WEIGHED) -> Subject:
    """One of them: for classes that count differently, or for real numbers."""
    layers, shape = MODELS[name]
    return laid_open(layers, shape, loss, REAL if isinstance(loss, Quadratic) else None)


def padded(layers: list[Any], rows: int) -> tuple[Subject, Examples]:
    """Layers over sequences of six steps, and rows whose steps do not all count."""
    subject = laid_open(layers, (6, 3), WEIGHED)
    x, y, _ = some_examples(subject, rows=rows)
    mask = (np.arange(6) < (1 + np.arange(rows)[:, None] * 2 % 6)).astype(np.float64)
    return subject, Examples(x, y, mask)
