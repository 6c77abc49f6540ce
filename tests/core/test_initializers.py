"""How parameters begin."""

from typing import get_args

import numpy as np
import pytest
from pydantic import TypeAdapter

from core.initializers import AnyInitializer, Initializer
from core.random import Purpose, Random

UNION = get_args(get_args(AnyInitializer)[0])
DEVIATIONS = {
    "zeros": 0.0,
    "constant": 0.0,
    "glorot_uniform": np.sqrt(2 / 500),
    "glorot_normal": np.sqrt(2 / 500),
    "he_uniform": np.sqrt(2 / 300),
    "he_normal": np.sqrt(2 / 300),
    "nielsen_large": 1.0,
    "nielsen_scaled": np.sqrt(1 / 300),
}
over_initializers = pytest.mark.parametrize("initializer", [cls() for cls in UNION], ids=lambda i: i.type)


def draw(initializer, seed=0):
    return initializer.draw(Random(seed, Purpose.PARAMETERS), (300, 200), 300, 200)


def test_every_initializer_class_is_in_the_union():
    assert set(Initializer.__subclasses__()) == set(UNION)


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
