"""Sequences in compiled form equal the plain ones: with and without masks, in stacks, in odd and in larger sizes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.schema import Column
from tests.core.test_compiled import assert_equal, dataset, fits, spec_of

over_types = pytest.mark.parametrize("dtype", ["float64", "float32"])
RECURRENT = ["simple_rnn", "lstm", "gru"]
DENSE = {"type": "dense", "units": 3}
FLATTEN = {"type": "flatten"}


def with_masks(data, form, seed=1):
    """Some steps of each sequence count: the first ones, or any; of some sequences none."""
    time = data.schema.input_shape[0]
    random = np.random.default_rng(seed)
    masks = (random.integers(0, time + 1, len(data.x), dtype=np.int32),)
    if form == "flags":
        masks = ((random.random((len(data.x), time)) < 0.7).astype(np.uint8),)
    columns = tuple(Column(name=f"m{i}", role="mask") for i in range(len(masks)))
    return replace(data, schema=data.schema.model_copy(update={"columns": columns}), masks=masks)


@over_types
@pytest.mark.parametrize("form", ["lengths", "flags"])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", RECURRENT)
def test_masked_recurrence(name, whole, form, dtype):
    first, second = {"type": name, "units": 7, "sequence": True}, {"type": name, "units": 5, "sequence": whole}
    spec = spec_of([first, second, FLATTEN, DENSE], dtype=dtype)
    assert_equal(spec, with_masks(dataset((6, 3), dtype="float64"), form))


@over_types
@pytest.mark.parametrize("form", ["lengths", "flags"])
def test_masked_attention(form, dtype):
    layers = [{"type": "self_attention", "heads": 2, "positions": True}, {"type": "self_attention"}, FLATTEN, DENSE]
    assert_equal(spec_of(layers, dtype=dtype), with_masks(dataset((6, 4), dtype="float64"), form))


def test_masks_pass_an_embedding_and_reach_into_blocks():
    block = {"type": "residual", "layers": [{"type": "gru", "units": 5, "sequence": True}]}
    layers = [{"type": "embedding", "size": 9, "dimension": 5}, block, {"type": "lstm", "units": 4}, DENSE]
    spec = spec_of(layers, preprocessing={"scale": "none"})
    assert_equal(spec, with_masks(dataset((8,), top=9, zeros=0.1), "lengths"))


@over_types
@pytest.mark.parametrize("units", [1, 16, 33, 70])
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_of_many_sizes(name, units, dtype):
    layers = [{"type": name, "units": units, "sequence": True}, {"type": name, "units": 3}, DENSE]
    assert_equal(spec_of(layers, dtype=dtype, epochs=3), dataset((5, 9), dtype="float64"))


@over_types
@pytest.mark.parametrize(("time", "features", "heads"), [(1, 1, 1), (17, 6, 3), (40, 16, 1)])
def test_attention_of_many_sizes(time, features, heads, dtype):
    layers = [{"type": "self_attention", "heads": heads}, {"type": "global_avg_pool"}, DENSE]
    assert_equal(spec_of(layers, dtype=dtype, epochs=3), dataset((time, features), dtype="float64"))


def test_more_units_than_a_panel_is_deep():
    spec = spec_of([{"type": "simple_rnn", "units": 300}, DENSE], epochs=1)
    assert_equal(spec, dataset((3, 2), dtype="float64"))


@over_types
def test_formulas_of_several_blocks(dtype):
    formula = {"type": "expression", "expression": "a * x ** 3 + exp(-b * x * x)", "parameters": {"a": 0.1, "b": 0.5}}
    data = dataset((7, 30), dtype="float64")
    assert_equal(spec_of([formula, FLATTEN, DENSE], dtype=dtype), data)
    assert_equal(spec_of([{"type": "layer_norm"}, formula, FLATTEN, DENSE], dtype=dtype), data)


ACTIVATION = st.sampled_from(["leaky_relu", "elu", "gelu", "silu", "softplus", "softmax"]).map(lambda n: {"type": n})
FORMULA = {"type": "expression", "expression": "tanh(a * x) + sin(x) / 2 + b * x", "parameters": {"a": 0.7, "b": 0.2}}
BLOCK = st.one_of(
    ACTIVATION,
    st.tuples(st.sampled_from(RECURRENT), st.integers(1, 20)).map(
        lambda given: {"type": given[0], "units": given[1], "sequence": True}
    ),
    st.booleans().map(lambda positions: {"type": "self_attention", "positions": positions}),
    st.just(FORMULA),
    st.just({"type": "residual", "layers": [{"type": "self_attention"}, FORMULA]}),
    st.just({"type": "layer_norm"}),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    blocks=st.lists(BLOCK, max_size=4),
    rows=st.integers(5, 20),
    batch=st.integers(1, 20),
    masked=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_random_stacks_of_sequences(blocks, rows, batch, masked, seed):
    batch = min(batch, rows - 1 - rows // 10)
    epochs = min(7, max(1, 20 * batch // rows))  # about 20 steps, for which the bound is meant
    spec = spec_of([*blocks, FLATTEN, DENSE], batch_size=batch, seed=seed, epochs=epochs)
    assume(fits(spec, (4, 3)))
    data = dataset((4, 3), rows=rows, seed=seed, dtype="float64")
    assert_equal(spec, with_masks(data, "lengths", seed) if masked else data)
