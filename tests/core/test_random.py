"""The generator: published vectors, pinned draws, and the statistics that training relies on."""

import hashlib
from statistics import NormalDist

import numpy as np
import pytest

from core.random import Purpose, Random, normal_quantile, philox

# Random123's kat_vectors, "philox4x32 10".
PUBLISHED = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), PUBLISHED)
def test_philox_gives_the_published_words(counter, key, expected):
    assert tuple(philox(np.array(counter, np.uint64)[:, None], key)[:, 0]) == expected


def stream(**place):
    return Random(1234567890123, Purpose.SHUFFLE, **place)


def fingerprint(array):
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def test_draws_are_pinned_to_the_bit():
    place = {"epoch": 3, "step": 5, "layer": 7}
    assert stream(**place).words(6).tolist() == [1002793654, 2465067323, 552495179, 3443208699, 2995625731, 168981490]
    assert stream(**place).permutation(10).tolist() == [1, 0, 3, 9, 8, 6, 2, 5, 4, 7]
    assert fingerprint(stream(**place).uniform((1000,))) == "98f31438590957ae"
    assert fingerprint(stream(**place).normal((20000,))) == "0e7f9d61d92f3771"
    assert fingerprint(stream(**place).keep(0.3, np.empty((50, 20), bool))) == "c0b1fceb599abe0b"


def test_pieces_join_without_a_seam():
    whole = stream().words(100_000)
    random = stream()
    assert np.array_equal(whole, np.concatenate([random.words(40_000), random.words(60_000)]))


def test_every_part_of_the_key_makes_another_stream():
    streams = [
        stream(),
        stream(epoch=1),
        stream(step=1),
        stream(layer=1),
        Random(1234567890124, Purpose.SHUFFLE),
        Random(1234567890123 + 2**32, Purpose.SHUFFLE),
        Random(1234567890123, Purpose.SPLIT),
    ]
    assert len({tuple(s.words(4).tolist()) for s in streams}) == len(streams)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000, 65_536])
def test_a_permutation_has_every_index_once(count):
    assert np.array_equal(np.sort(stream().permutation(count)), np.arange(count))


def test_permutations_are_fair():
    firsts = [stream(epoch=epoch).permutation(4)[0] for epoch in range(4000)]
    assert np.all(np.abs(np.bincount(firsts) - 1000) < 4 * np.sqrt(750))


def test_uniform_and_normal_have_their_moments():
    u, z = stream().uniform((200_000,)), stream(epoch=1).normal((200_000,))
    assert u.min() > 0
    assert u.max() < 1
    assert abs(u.mean() - 0.5) < 4 * np.sqrt(1 / 12 / 200_000)
    assert abs(z.mean()) < 4 / np.sqrt(200_000)
    assert abs((z**2).mean() - 1) < 4 * np.sqrt(2 / 200_000)
    assert abs((z**4).mean() - 3) < 4 * np.sqrt(96 / 200_000)


def test_the_normal_quantile_is_exact():
    p = np.concatenate([np.logspace(-15, -0.31, 200), 1 - np.logspace(-12, -0.31, 100)])
    expected = np.array([NormalDist().inv_cdf(v) for v in p])
    assert np.max(np.abs(normal_quantile(p) - expected) / np.maximum(1, np.abs(expected))) < 1e-15


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.5, 0.9])
def test_keep_drops_at_its_rate(rate):
    dropped = 1 - stream().keep(rate, np.empty((400, 500))).mean()
    assert abs(dropped - rate) <= 4 * np.sqrt(rate * (1 - rate) / 200_000)
