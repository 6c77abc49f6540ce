"""What is told about a network besides its cost."""

from __future__ import annotations

import numpy as np

from core.layers.layer import Array


def correct(outputs: Array, labels: Array, threshold: float) -> int:
    """How many of the n rows of outputs (n, k) say their label (n,): by the largest of k values, ties to the
    first; a single value says class 1 when it is above the threshold."""
    said = outputs[:, 0] > threshold if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    return int(np.count_nonzero(said == labels))
