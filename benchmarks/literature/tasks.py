"""The tasks with which D. Rumelhart, G. Hinton and R. Williams showed in 1986 that hidden units learn to represent.

"Learning representations by back-propagating errors", Nature 323, 533-536, and chapter 8 of "Parallel Distributed
Processing", volume 1. Each is a spec and a table of all its patterns under `examples/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.literature.experiments import EXAMPLES, read_spec
from core.data import Dataset
from core.readers import read
from core.training import Epoch, fit

Array = NDArray[np.float64]
TASKS = ("symmetry", "xor", "encoder")
GATES = {
    "0001": "a AND b",
    "0111": "a OR b",
    "1110": "NOT (a AND b)",
    "1000": "NOT (a OR b)",
    "0100": "b AND NOT a",
    "0010": "a AND NOT b",
    "1011": "a OR NOT b",
    "1101": "b OR NOT a",
    "0110": "a XOR b",
    "1001": "NOT (a XOR b)",
    "0011": "a",
    "0101": "b",
    "1100": "NOT a",
    "1010": "NOT b",
    "0000": "never",
    "1111": "always",
}


@dataclass(frozen=True)
class Learned:
    """A network of one hidden layer after its last sweep.

    sweeps: after how many every pattern was, and stayed, on the right side of 0.5; None if never.
    x (rows, inputs); hidden (rows, units) and outputs (rows, outputs) are the units' activities.
    """

    seed: int
    sweeps: int | None
    x: Array
    hidden_weights: Array
    hidden_biases: Array
    output_weights: Array
    output_biases: Array

    @property
    def hidden(self) -> Array:
        """What the hidden units say to each pattern."""
        return sigmoid(self.x @ self.hidden_weights + self.hidden_biases)

    @property
    def outputs(self) -> Array:
        """What the output units say to each pattern."""
        return sigmoid(self.hidden @ self.output_weights + self.output_biases)


def sigmoid(z: Array) -> Array:
    """1 / (1 + e^-z)."""
    return np.asarray(1 / (1 + np.exp(-z)))


def learn(task: str, seed: int | None = None) -> Learned:
    """Train examples/<task>.json on examples/<task>.csv, with another seed if one is given."""
    spec = read_spec(task)
    if seed is not None:
        spec = spec.model_copy(update={"seed": seed})
    with TemporaryDirectory() as room:
        read({"file": EXAMPLES / f"{task}.csv"}, Path(room))
        data = Dataset.open(Path(room))
        wrong_until = 0
        tensors: Mapping[str, Array] = {}
        for moment in fit(spec, data):
            if isinstance(moment, Epoch):
                # The accuracy of a sweep is that before its one update.
                wrong_until = moment.epoch if moment.metrics["train_accuracy"] != 1 else wrong_until
                tensors = moment.checkpoint().tensors if moment.epoch == spec.epochs else tensors
        names = [f"layers.{layer}.{part}" for layer in (0, 2) for part in ("weights", "biases")]
        weights = [np.asarray(tensors[name], np.float64) for name in names]
        sweeps = None if wrong_until == spec.epochs else wrong_until
        return Learned(spec.seed, sweeps, np.array(data.x, np.float64), *weights)


def ratio(weights: Array) -> Array:
    """The magnitudes of one unit's weights on the left of the middle, in order, as multiples of the smallest."""
    left = np.sort(np.abs(weights[: len(weights) // 2]))
    return np.asarray(left / left[0])


def asymmetry(weights: Array) -> float:
    """How far weights at mirrored places are from equal and opposite, as a share of the largest; 0 is exact."""
    return float(np.abs(weights + weights[::-1]).max() / np.abs(weights).max())


def is_one_two_four(learned: Learned, tolerance: float = 0.1) -> bool:
    """Whether the network detects symmetry the way the paper shows.

    Both hidden units have antisymmetric weights in the ratio 1:2:4, each the other's negative, and negative biases;
    both suppress an output that is otherwise on.
    """
    units = learned.hidden_weights.T
    return bool(
        all(np.allclose(ratio(unit), (1, 2, 4), rtol=tolerance) for unit in units)
        and all(asymmetry(unit) < tolerance for unit in units)
        and np.abs(units.sum(axis=0)).max() < tolerance * np.abs(units).max()
        and (learned.hidden_biases < 0).all()
        and (learned.output_weights < 0).all()
        and (learned.output_biases > 0).all()
    )


def gates(learned: Learned) -> list[str]:
    """What each hidden unit computes of two binary inputs a and b, rounded to a truth table."""
    rows = [learned.x.tolist().index(list(map(float, pair))) for pair in product((0, 1), repeat=2)]
    return [GATES["".join(str(round(value)) for value in unit[rows])] for unit in learned.hidden.T]


def codes(learned: Learned) -> list[str]:
    """The pattern over the hidden units, rounded to bits, that stands for each row."""
    return ["".join(str(round(value)) for value in row) for row in learned.hidden]


def structured(task: str, learned: Learned) -> bool:
    """Whether the hidden units came to represent what the authors describe."""
    if learned.sweeps is None:
        return False
    if task == "symmetry":
        return is_one_two_four(learned)
    if task == "encoder":
        return len(set(codes(learned))) == len(learned.x)
    return len(set(gates(learned))) == 2
