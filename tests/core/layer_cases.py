"""A layer of every kind with an input shape it takes: what the tests over all layers draw from."""

from core.layers import (
    ELU,
    GELU,
    Dense,
    Dropout,
    Flatten,
    LeakyReLU,
    ReLU,
    Residual,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)

CASES = [
    (Dense(units=3), (5,)),
    (Dense(units=1), (1,)),
    (Flatten(), (2, 3)),
    (Flatten(), (4,)),
    (Sigmoid(), (5,)),
    (Tanh(), (2, 3)),
    (ReLU(), (2, 3)),
    (Softmax(), (4,)),
    (Softmax(), (2, 3)),
    (Dropout(rate=0.4), (6,)),
    (Dropout(rate=0.0), (2, 2)),
    (Residual(layers=(Dense(units=4), Tanh(), Dense(units=3))), (3,)),
    (Residual(layers=(Dropout(rate=0.3), Residual(layers=(Dense(units=4), ReLU())), Flatten())), (4,)),
    (LeakyReLU(slope=0.2), (2, 3)),
    (ELU(alpha=1.5), (2, 3)),
    (GELU(), (2, 3)),
    (SiLU(), (2, 3)),
    (Softplus(), (2, 3)),
]
