"""The networks that all contenders train: each a spec of ours, which the others are told in their own words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.datasets import DATASETS, SEED
from core.data import Dataset
from core.network import Network
from core.random import Purpose, Random
from core.training_spec import TrainingSpec

CHECKED_STEPS = 20


@dataclass(frozen=True)
class Workload:
    """A network, how it is trained, and on how many rows: an epoch of them should take about a second at most."""

    name: str
    network: str  # in words, for the table
    layers: Sequence[dict[str, Any]]
    loss: str
    optimizer: dict[str, Any]
    batch: int
    rows: int
    data: str = "mnist"
    bound: float = 1e-4  # how far float32 weights may be apart after the checked steps, as a share of their way
    contenders: tuple[str, ...] = field(default=("nudge", "nudge_dense", "torch", "jax_scan", "sklearn"))

    def spec(self, *, threads: int, epochs: int, dtype: str = "float32") -> TrainingSpec:
        """The same in our words."""
        return TrainingSpec.model_validate(
            {
                "dataset": self.data,
                "network": {"layers": list(self.layers)},
                "loss": {"type": self.loss},
                "optimizer": self.optimizer,
                "batch_size": self.batch,
                "epochs": epochs,
                "seed": SEED,
                "dtype": dtype,
                "threads": threads,
            }
        )

    def dataset(self, rows: int | None = None) -> Dataset:
        """The first rows of its data."""
        whole = DATASETS[self.data]()
        rows = rows or self.rows
        schema = whole.schema.model_copy(update={"rows": rows})
        return Dataset(schema, whole.x[:rows], whole.y[:rows])

    @property
    def checked_rows(self) -> int:
        """An epoch of these is the steps after which the weights are compared."""
        return CHECKED_STEPS * self.batch

    def network_of(self, data: Dataset) -> Network:
        """The traced network."""
        return Network.trace(self.spec(threads=1, epochs=1).network.layers, data.schema.input_shape)

    def start(self, network: Network, dtype: str = "float32") -> tuple[NDArray[Any], NDArray[Any]]:
        """The weights and the state that every contender begins with."""
        theta, state = network.allocate(dtype)
        network.draw(SEED, theta, state)
        return theta, state


def order(rows: int, epoch: int = 0) -> NDArray[np.int64]:
    """The order of the rows in an epoch of ours, which the others follow where weights are compared."""
    return Random(SEED, Purpose.SHUFFLE, epoch=epoch).permutation(rows)


def _stack(*widths: int, activation: str, last: str | None = None) -> list[dict[str, Any]]:
    layers: list[dict[str, Any]] = [{"type": "flatten"}]
    for units in widths[:-1]:
        layers += [{"type": "dense", "units": units}, {"type": activation}]
    layers.append({"type": "dense", "units": widths[-1]})
    return layers if last is None else [*layers, {"type": last}]


def _sgd(rate: float, momentum: float = 0.0) -> dict[str, Any]:
    return {"type": "sgd", "learning_rate": rate, "momentum": momentum}


ADAM = {"type": "adam", "learning_rate": 0.001}
RELU, SIGMOID = {"type": "relu"}, {"type": "sigmoid"}
CONVOLUTIONS = [
    {"type": "conv2d", "filters": 20, "kernel": 5},
    {"type": "max_pool2d", "size": 2},
    RELU,
    {"type": "conv2d", "filters": 40, "kernel": 5},
    {"type": "max_pool2d", "size": 2},
    RELU,
]
NORMALISED = [
    {"type": "conv2d", "filters": 16, "kernel": 3, "padding": "same"},
    {"type": "batch_norm"},
    RELU,
    {"type": "max_pool2d", "size": 2},
    {"type": "conv2d", "filters": 32, "kernel": 3, "padding": "same"},
    {"type": "batch_norm"},
    RELU,
    {"type": "max_pool2d", "size": 2},
]
RECURRENT = [{"type": "lstm", "units": 64}, {"type": "dense", "units": 10}]
DROPPED = [
    {"type": "flatten"},
    {"type": "dense", "units": 128},
    {"type": "tanh"},
    {"type": "dropout", "rate": 0.2},
    {"type": "dense", "units": 10},
]
DEEP = ("nudge", "nudge_dense", "torch", "jax_scan")
EAGER = ("nudge", "torch")

WORKLOADS = [
    Workload(
        "W1",
        "784-16-16-10 sigmoid",
        _stack(16, 16, 10, activation="sigmoid", last="sigmoid"),
        "quadratic",
        _sgd(1.5),
        100,
        60_000,
    ),
    Workload("W2", "784-30-10 sigmoid", _stack(30, 10, activation="sigmoid"), "cross_entropy", _sgd(0.5), 10, 60_000),
    Workload(
        "W3", "784-100-10 ReLU", _stack(100, 10, activation="relu"), "cross_entropy", _sgd(0.05, 0.9), 100, 60_000
    ),
    Workload(
        "W4",
        "784-512-512-10 ReLU",
        _stack(512, 512, 10, activation="relu"),
        "cross_entropy",
        ADAM,
        128,
        12_800,
    ),
    Workload(
        "W5",
        "784-2048-2048-10 ReLU",
        _stack(2048, 2048, 10, activation="relu"),
        "cross_entropy",
        ADAM | {"learning_rate": 0.0001},
        256,
        1_280,
        bound=1e-2,  # Adam's first steps are the signs of gradients, and many of those here are all but zero
    ),
    Workload(
        "W6",
        "conv 5x5x20, pool 2, conv 5x5x40, pool 2, dense 100, 10; ReLU",
        [*CONVOLUTIONS, *_stack(100, 10, activation="relu")],
        "cross_entropy",
        _sgd(0.02, 0.9),
        64,
        3_200,
        bound=1e-2,  # a rounding decides now and then which pixel of a pool wins
        contenders=DEEP,
    ),
]

EXTRA = [
    Workload(
        "X1",
        "conv 3x3x16, batch norm, ReLU, pool 2, conv 3x3x32, batch norm, ReLU, pool 2, dense 10",
        [*NORMALISED, *_stack(10, activation="relu")],
        "cross_entropy",
        _sgd(0.02, 0.9),
        64,
        3_200,
        bound=1e-1,  # PyTorch's batch norm sums in float32 and keeps four digits; in float64 all agree to 1e-12
        contenders=EAGER,
    ),
    Workload(
        "X2",
        "autoencoder 784-64-784 ReLU, sigmoid",
        _stack(64, 784, activation="relu", last="sigmoid"),
        "mean_squared_error",
        ADAM,
        128,
        6_000 // 128 * 128,
        data="reconstruction",
        contenders=EAGER,
    ),
    Workload(
        "X3",
        "regression 30-64-32-1 ReLU",
        _stack(64, 32, 1, activation="relu"),
        "mean_squared_error",
        ADAM,
        32,
        10_000 // 32 * 32,
        data="regression",
        contenders=EAGER,
    ),
    Workload(
        "X4", "LSTM 64 over 28 rows of 28 pixels", RECURRENT, "cross_entropy", ADAM, 64, 3_200, contenders=EAGER,
    ),
    Workload(
        "X5",
        "784-128-10 tanh, dropout 0.2",
        DROPPED,
        "cross_entropy",
        {"type": "rmsprop", "learning_rate": 0.001},
        64,
        12_800,
        contenders=EAGER,
    ),
    Workload(
        "D3",
        "W3 on pixels without zeros",
        _stack(100, 10, activation="relu"),
        "cross_entropy",
        _sgd(0.005, 0.9),
        100,
        60_000,
        data="noise",
    ),
]  # fmt: skip

BY_NAME = {workload.name: workload for workload in [*WORKLOADS, *EXTRA]}
