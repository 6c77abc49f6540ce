"""How parameters begin."""

import tracemalloc

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from threadpoolctl import threadpool_info, threadpool_limits

from core.initializers import AnyInitializer, Constant, Initializer, Normal, Orthogonal, Uniform
from core.random import Purpose, Random
from tests.core.unions import concrete, members

UNION = members(AnyInitializer)
DEVIATIONS = {
    "zeros": 0.0,
    "constant": 0.0,
    "normal": 0.05,
    "uniform": 0.1 / np.sqrt(12),
    "glorot_uniform": np.sqrt(2 / 500),
    "glorot_normal": np.sqrt(2 / 500),
    "he_uniform": np.sqrt(2 / 300),
    "he_normal": np.sqrt(2 / 300),
    "lecun_uniform": np.sqrt(1 / 300),
    "lecun_normal": np.sqrt(1 / 300),
    "orthogonal": np.sqrt(1 / 300),
    "nielsen_large": 1.0,
    "nielsen_scaled": np.sqrt(1 / 300),
}
over_initializers = pytest.mark.parametrize("initializer", [cls() for cls in UNION], ids=lambda i: i.type)


def draw(initializer, seed=0):
    return initializer.draw(Random(seed, Purpose.PARAMETERS), (300, 200), 300, 200)


def test_every_initializer_class_is_in_the_union():
    assert concrete(Initializer) == set(UNION)


@over_initializers
def test_mean_and_deviation_are_as_published(initializer):
    values = draw(initializer)
    deviation = DEVIATIONS[initializer.type]
    assert values.shape == (300, 200)
    assert abs(values.mean()) <= 4 * deviation / np.sqrt(values.size)
    assert abs(values.std() - deviation) <= 0.02 * deviation


@over_initializers
def test_the_seed_decides(initializer):
    assert np.array_equal(draw(initializer), draw(initializer))
    assert initializer.type in ("zeros", "constant") or not np.array_equal(draw(initializer), draw(initializer, seed=1))


@over_initializers
def test_json_brings_the_initializer_back(initializer):
    adapter = TypeAdapter(AnyInitializer)
    assert adapter.validate_json(adapter.dump_json(initializer)) == initializer


def test_numbers_that_are_asked_for():
    assert np.all(draw(Constant(value=0.3)) == 0.3)
    values = draw(Normal(mean=2, std=0.5))
    assert abs(values.mean() - 2) < 0.01
    assert abs(values.std() - 0.5) < 0.01
    values = draw(Uniform(low=1, high=3))
    assert 1 < values.min() < 1.001
    assert 2.999 < values.max() < 3
    with pytest.raises(ValidationError, match="low must not be larger"):
        Uniform(low=1, high=0)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (3, 3, 2, 7), (4,), (1, 1), ()])
def test_orthogonal_means_orthonormal(shape):
    values = Orthogonal(gain=2).draw(Random(3, Purpose.PARAMETERS), shape, 1, 1)
    Q = values.reshape(-1, shape[-1] if shape else 1) / 2
    product = Q.T @ Q if Q.shape[0] >= Q.shape[1] else Q @ Q.T
    assert values.shape == shape
    assert np.allclose(product, np.eye(len(product)), atol=1e-14)


def test_orthogonal_is_the_same_whatever_the_number_of_threads():
    drawn = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            drawn.append(Orthogonal().draw(Random(3, Purpose.PARAMETERS), (300, 300), 1, 1))
            assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {threads}
    assert np.array_equal(*drawn)


def test_orthogonal_prefers_no_direction():
    """Without R's diagonal made positive, the signs of Q would not be even."""
    signs = [Orthogonal().draw(Random(seed, Purpose.PARAMETERS), (2, 2), 2, 2) > 0 for seed in range(400)]
    assert np.all(np.abs(np.mean(signs, axis=0) - 0.5) < 0.1)


@over_initializers
def test_the_estimate_knows_how_much_drawing_takes(initializer):
    tracemalloc.start()
    draw(initializer)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= initializer.drawing_bytes * 300 * 200 + 2**20
