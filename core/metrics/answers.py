"""What outputs say: which class, and how many rows rightly."""

from __future__ import annotations

import numpy as np

from core.layers.layer import Array


def correct(outputs: Array, labels: Array, threshold: float) -> int:
    """How many of the n rows of outputs (n, k) say their label (n,): by the largest of k values, ties to the
    first; a single value says class 1 when it is above the threshold."""
    said = outputs[:, 0] > threshold if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    return int(np.count_nonzero(said == labels))


def by_class(outputs: Array, threshold: float) -> Array:
    """Outputs with a column for each class, where a single one (n, 1) tells two classes apart at the threshold."""
    if outputs.shape[1] > 1:
        return outputs
    return np.concatenate([2 * threshold - outputs, outputs], axis=1)
