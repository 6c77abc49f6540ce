"""The plane in which paths of weights are drawn: their two main directions, by principal component analysis.

The idea is that of H. Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018, section 7, with the
points about their mean. The scatter of m points is found from the m x m products between them, block by block, so that
no array is as large as all points in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from core.layers.layer import Array

BLOCK = 8192  # weights at a time
FLAT = 1e-14  # a share of the variance that is rounding


class Plane(NamedTuple):
    """centre (size,); axes (2, size), orthonormal, each with its largest entry positive; share (2,): of the variance.

    places (m, 2): the points in the plane. off (m,): how far each of them lies from it.
    """

    centre: Array
    axes: Array
    share: Array
    places: Array
    off: Array

    def weights(self, x: float, y: float) -> Array:
        """theta (size,) at a place of the plane."""
        theta: Array = self.centre + x * self.axes[0] + y * self.axes[1]
        return theta


def plane_of(points: Sequence[Array]) -> Plane:
    """The plane through the mean of the points (size,), of two weights or more, in which they scatter most."""
    unit = max(float(np.abs(block).max()) for _, block in _blocks(points)) or 1.0  # so that no product is too large
    products = np.zeros((len(points), len(points)))
    for _, block in _blocks(points):
        products += (block / unit) @ (block / unit).T
    variances, mixtures = np.linalg.eigh(products)
    share = np.maximum(variances[:-3:-1] / max(float(products.trace()), np.finfo(float).tiny), 0.0)
    share[share < FLAT] = 0.0
    mixed = [mixtures[:, :-3:-1].T @ (block / unit) for _, block in _blocks(points)]
    axes = _straight(np.concatenate(mixed, axis=1), share)
    places, start = np.zeros((len(points), 2)), 0
    for _, block in _blocks(points):
        places += block @ axes[:, start : start + BLOCK].T
        start += BLOCK
    off = unit * np.sqrt(np.maximum(products.diagonal() - np.square(places / unit).sum(axis=1), 0.0))
    return Plane(np.concatenate([mean for mean, _ in _blocks(points)]), axes, share, places, off)


def _blocks(points: Sequence[Array]) -> Iterator[tuple[Array, Array]]:
    """The mean of all points and what each differs from it, (up to BLOCK,) and (m, up to BLOCK), piece by piece."""
    for start in range(0, len(points[0]), BLOCK):
        block = np.stack([point[start : start + BLOCK] for point in points]).astype(np.float64)
        mean = block.mean(axis=0)
        yield mean, block - mean


def _straight(axes: Array, share: Array) -> Array:
    """Orthonormal, with fixed signs; where the points leave a direction open, the first weights that can give it."""
    first = _unit(axes[0] if share[0] else np.eye(1, axes.shape[1])[0])
    second = _unit(axes[1] - (axes[1] @ first) * first) if share[1] else None
    if second is None:
        least = np.abs(first[:2]).argmin()
        second = -first[least] * first
        second[least] += 1.0
        second = _unit(second)
    second = _unit(second - (second @ first) * first)  # once more, against rounding
    return np.stack([axis * np.sign(axis[np.abs(axis).argmax()]) for axis in (first, second)])


def _unit(axis: Array) -> Array:
    unit: Array = axis / np.linalg.norm(axis)
    return unit
