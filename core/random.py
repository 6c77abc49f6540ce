"""Random numbers as a pure function of (seed, purpose, epoch, step, layer).

The generator is Philox4x32-10: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC 2011. It encrypts a counter, so that nothing has to be remembered between draws: an
interrupted run draws what an undisturbed one would have drawn. The seed is the key; the counter's four 32-bit
words are (block, step, epoch, purpose and layer), so that two streams never meet. Only integer arithmetic and
correctly rounded operations are used, so every machine, every NumPy and every compiled form gives the same bits.
"""

from __future__ import annotations

from enum import IntEnum
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_PIECE = 8192  # numbers made at a time, so that temporary arrays stay in the cache


class Purpose(IntEnum):
    """What a stream is for; part of its key."""

    PARAMETERS = 1
    SPLIT = 2
    SHUFFLE = 3
    LAYER = 4
    CHECK = 5
    AUGMENTATION = 6


def philox(counter: NDArray[np.uint64], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Ten rounds of Philox4x32 over counters (4, n), each word below 2^32; returns words (4, n)."""
    c0, c1, c2, c3 = counter
    for turn in range(10):
        k0, k1 = (np.uint64((k + turn * w) & 0xFFFFFFFF) for k, w in zip(key, _WEYL, strict=True))
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ k0, p1 & _LOW, (p0 >> _32) ^ c3 ^ k1, p0 & _LOW
    return np.stack([c0, c1, c2, c3])


class Random:
    """One stream; each call goes on where the last one stopped.

    seed < 2^64, step and epoch < 2^32, layer < 2^24.
    """

    def __init__(self, seed: int, purpose: Purpose, *, epoch: int = 0, step: int = 0, layer: int = 0) -> None:
        self._key = seed & 0xFFFFFFFF, seed >> 32
        self._place = np.array([[step], [epoch], [purpose << 24 | layer]], np.uint64)
        self._block = 0

    def words(self, count: int) -> NDArray[np.uint32]:
        """`count` uniform 32-bit words; a rest of the last four is dropped."""
        blocks = -(-count // 4)
        words = np.empty((blocks, 4), np.uint32)
        for start in range(0, blocks, _PIECE):
            piece = words[start : start + _PIECE]
            counter = np.empty((4, len(piece)), np.uint64)
            counter[0] = np.arange(self._block, self._block + len(piece), dtype=np.uint64)
            counter[1:] = self._place
            piece[...] = philox(counter, self._key).T
            self._block += len(piece)
        return words.reshape(-1)[:count]

    def words64(self, count: int) -> NDArray[np.uint64]:
        """`count` uniform 64-bit words, each of two 32-bit words, the higher one first."""
        pairs = self.words(2 * count).reshape(count, 2)
        words = pairs[:, 0].astype(np.uint64)
        words <<= _32
        words |= pairs[:, 1]
        return words

    def uniform(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Float64 in the open interval (0, 1): odd multiples of 2^-53."""
        values = np.empty(prod(shape))
        for start in range(0, len(values), _PIECE):
            piece = values[start : start + _PIECE]
            piece[...] = self.words64(len(piece)) >> np.uint64(12)
            piece += 0.5
            piece *= 2.0**-52
        return values.reshape(shape)

    def normal(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Standard normal float64."""
        values = self.uniform((prod(shape),))
        for start in range(0, len(values), _PIECE):
            values[start : start + _PIECE] = normal_quantile(values[start : start + _PIECE])
        return values.reshape(shape)

    def permutation(self, count: int) -> NDArray[np.int64]:
        """The numbers 0 to count - 1, shuffled.

        Each index is written into the low bits of a random 64-bit word; sorting the words shuffles them.
        """
        bits = np.uint64(max(count - 1, 0).bit_length())
        low = (np.uint64(1) << bits) - np.uint64(1)
        words = self.words64(count)
        words &= ~low
        words |= np.arange(count, dtype=np.uint64)
        words.sort()
        words &= low
        return words.view(np.int64)

    def keep(self, rate: float, out: NDArray[Any]) -> NDArray[Any]:
        """Fill a contiguous array with a dropout mask: 0 with probability `rate` (to 2^-32), else 1."""
        threshold = np.uint64(round(rate * 2**32))
        flat = out.reshape(-1)
        for start in range(0, len(flat), _PIECE):
            piece = flat[start : start + _PIECE]
            piece[...] = self.words(len(piece)) >= threshold
        return out


def uniform_rows(
    seed: int, purpose: Purpose, rows: NDArray[np.int64], count: int, *, epoch: int, layer: int
) -> NDArray[np.float64]:
    """For each row number r what Random(seed, purpose, epoch=epoch, step=r, layer=layer).uniform((count,)) gives:
    (rows, count) numbers in (0, 1), each row's own whatever rows it stands among."""
    blocks = -(-count // 2)
    counter = np.empty((4, len(rows), blocks), np.uint64)
    counter[0] = np.arange(blocks, dtype=np.uint64)
    counter[1] = rows.astype(np.uint64)[:, None]
    counter[2:, :, :] = np.array([epoch, purpose << 24 | layer], np.uint64)[:, None, None]
    words = philox(counter.reshape(4, -1), (seed & 0xFFFFFFFF, seed >> 32))
    pairs = (words[::2] << _32 | words[1::2]).T.reshape(len(rows), -1)[:, :count]
    return ((pairs >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


# M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics
# 37 (1988), routine PPND16, relative accuracy about 1e-16. Numerators and denominators, highest power first.
_CENTRE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
     1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.387132872796366608),
    (5.226495278852854561e3, 2.8729085735721942674e4, 3.930789580009271061e4, 2.1213794301586595867e4,
     5.3941960214247511077e3, 6.871870074920579083e2, 4.2313330701600911252e1, 1.0),
)  # fmt: skip
_MIDDLE = (
    (7.7454501427834140764e-4, 2.27238449892691845833e-2, 2.4178072517745061177e-1, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 1.51986665636164571966e-2, 1.4810397642748007459e-1,
     6.8976733498510000455e-1, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)  # fmt: skip
_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.2426609473880784386e-3, 2.6532189526576123093e-2,
     2.9656057182850489123e-1, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     1.48753612908506148525e-2, 1.3692988092273580531e-1, 5.9983220655588793769e-1, 1.0),
)  # fmt: skip


def normal_quantile(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """The z with P(Z < z) = p for a standard normal Z, 0 < p < 1."""
    q = p - 0.5
    r = np.sqrt(-_log(np.minimum(p, 1.0 - p)))
    tail = np.where(r <= 5.0, _ratio(_MIDDLE, r - 1.6), _ratio(_TAIL, r - 5.0))
    return np.where(np.abs(q) <= 0.425, q * _ratio(_CENTRE, 0.180625 - q * q), np.copysign(tail, q))


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: NDArray[np.float64]) -> NDArray[np.float64]:
    numerator, denominator = (_polynomial(c, x) for c in coefficients)
    return numerator / denominator


def _polynomial(coefficients: tuple[float, ...], x: NDArray[np.float64]) -> NDArray[np.float64]:
    value = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        value = value * x + c
    return value


def _log(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln(m 2^e) = e ln 2 + 2 artanh((m - 1) / (m + 1)): libraries differ in the last bit, this cannot."""
    m, e = np.frexp(x)
    low = m < 0.7071067811865476
    m, e = np.where(low, 2.0 * m, m), np.where(low, e - 1, e)
    s = (m - 1.0) / (m + 1.0)
    series = _polynomial(tuple(2.0 / k for k in range(23, 0, -2)), s * s)
    return e * 0.6931471805599453 + s * series
