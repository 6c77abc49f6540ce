"""Two gradients at the same weights, of a mini-batch and of all rows: how far one points away from the other."""

from __future__ import annotations

from math import acos, degrees
from typing import NamedTuple

import numpy as np

from core.layers.layer import Array
from core.network import Network


class Angle(NamedTuple):
    """Between two vectors: its cosine and itself in degrees, None where one of them is zero; and their norms."""

    cosine: float | None
    degrees: float | None
    minibatch_norm: float
    full_norm: float


def angle(minibatch: Array, full: Array) -> Angle:
    """Between two vectors of one length."""
    norms = float(np.linalg.norm(minibatch)), float(np.linalg.norm(full))
    if not (norms[0] and norms[1] and np.isfinite(norms).all()):
        return Angle(None, None, *norms)
    cosine = float(np.clip((minibatch / norms[0]) @ (full / norms[1]), -1.0, 1.0))
    return Angle(cosine, degrees(acos(cosine)), *norms)


def layer_angles(network: Network, minibatch: Array, full: Array) -> dict[int, Angle]:
    """For each of the network's own layers that learns, by its index, with the layers inside it."""
    found = {}
    for index, at in enumerate(network.layers):
        pieces = [piece for inner in at.walk() for piece in inner.parameters]
        if pieces:
            parts = (np.concatenate([piece.of(whole).reshape(-1) for piece in pieces]) for whole in (minibatch, full))
            found[index] = angle(*parts)
    return found
