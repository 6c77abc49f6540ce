"""The network that all peers serve: dense layers with sigmoids, in NumPy, from the file that Nudge exports."""

from pathlib import Path
from typing import Any

import numpy as np


class Network:
    """The layers of an exported npz."""

    def __init__(self, path: str | Path) -> None:
        with np.load(path) as arrays:
            numbers = sorted({int(name.split(".")[1]) for name in arrays.files if name.endswith(".weights")})
            self.layers = [(arrays[f"layers.{n}.weights"], arrays[f"layers.{n}.biases"]) for n in numbers]

    def forward(self, inputs: Any) -> np.ndarray:
        """Outputs (n, 10), float32, for inputs (n, 784)."""
        a = np.asarray(inputs, np.float32)
        for weights, biases in self.layers:
            a = 1 / (1 + np.exp(-(a @ weights + biases)))
        return a
