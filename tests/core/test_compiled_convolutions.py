"""Convolutions with what may stand behind them: merged or not, the compiled form equals the plain one."""

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.compiled.winners import group
from core.network import Network, ShapeError
from core.training_spec import TrainingSpec
from tests.core.test_compiled import assert_equal, dataset, spec_of

RELU, TANH, SIGMOID = ({"type": name} for name in ("relu", "tanh", "sigmoid"))
LAST = [{"type": "flatten"}, {"type": "dense", "units": 3}]


def conv(filters, kernel, **options):
    return {"type": "conv2d", "filters": filters, "kernel": kernel, **options}


def pool(size, **options):
    return {"type": "max_pool2d", "size": size, **options}


# The layers, an input shape, and how many of them the first convolution takes into one group; 0 for none.
STACKS = [
    ([conv(5, 3), pool(2), RELU], (8, 9, 2), 3),
    ([conv(20, 3, padding="same"), SIGMOID, pool([2, 3])], (9, 9, 3), 3),
    ([conv(7, [2, 5], stride=2, padding=1), pool(2, stride=3)], (14, 13), 2),
    ([conv(33, 1), pool(2), TANH, conv(6, 2, dilation=2, padding="same"), RELU, pool([1, 2])], (6, 8, 4), 3),
    ([conv(4, 3), pool(2), RELU, conv(4, 3), pool(2)], (16, 16), 3),
    ([conv(26, [1, 5]), pool([1, 2]), RELU, conv(2, 4), pool(2)], (5, 14, 5), 3),
    # Dilated so far that the last cell of a row of the kernel is next to the first of the following row.
    ([conv(2, 2, dilation=[1, 2]), pool([2, 1]), RELU], (5, 3), 3),
    ([conv(2, [2, 3], dilation=[1, 2]), pool([2, 1]), RELU], (6, 5, 2), 3),
    # Larger than what the kernels take at a time: images, windows, patches, runs of a patch, outputs.
    ([conv(6, 3), pool(2), RELU, conv(3, 3, padding="same"), RELU, pool(2)], (22, 23, 2), 3),
    ([conv(3, 5), RELU, conv(5, 2), pool(1, stride=2)], (7, 8, 14), 0),
    ([conv(5, [2, 7]), pool([2, 1]), TANH, conv(2, 2)], (7, 9, 26), 3),
    ([conv(250, 1), pool(2)], (20, 20), 2),
    # Patches of few numbers, compared four by four: one part of filters, three, six; an odd number of outputs.
    ([conv(8, 3), pool(2), RELU], (8, 9), 3),
    ([conv(20, 5), RELU, pool(2)], (12, 11), 3),
    ([conv(41, 3, padding=1), pool([4, 1])], (7, 7), 2),
    ([conv(2, 2), {"type": "gelu"}, pool(2)], (5, 5), 0),
    ([conv(3, 3, padding="same"), pool(3, stride=2, padding=1), RELU], (7, 7), 0),
    ([conv(3, 3, padding="same"), pool(3, stride=2), RELU], (7, 7), 0),
    ([conv(3, 3, padding="same"), pool(2, padding="same"), RELU], (7, 7), 0),
    ([conv(4, 2, groups=2), pool(2), RELU], (5, 5, 2), 0),
    ([conv(4, 5, padding="same"), pool([1, 2]), RELU], (1, 4, 2), 0),
    ([conv(4, 3), {"type": "batch_norm"}, RELU, pool(2)], (6, 6), 0),
    ([conv(4, 3, padding="same"), {"type": "residual", "layers": [conv(4, 3, padding="same"), RELU]}], (4, 5), 0),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("layers", "shape", "merged"), STACKS)
def test_stacks(layers, shape, merged, dtype):
    spec = spec_of([*layers, *LAST], dtype=dtype)
    found = group(Network.trace(spec.network.layers, shape).layers, 0)
    assert (found.layers if found else 0) == merged
    assert_equal(spec, dataset(shape, dtype="float64"))


pairs = st.integers(1, 3) | st.tuples(st.integers(1, 4), st.integers(1, 3))


@st.composite
def convolutions(draw):
    groups = draw(st.integers(1, 3))
    layer = conv(
        groups * draw(st.integers(1, 9)),
        draw(pairs),
        stride=draw(pairs),
        dilation=draw(pairs),
        padding=draw(st.sampled_from(["valid", "same"]) | pairs),
        groups=groups,
    )
    return layer, (draw(st.integers(1, 9)), draw(st.integers(1, 9)), groups * draw(st.integers(1, 7)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(convolutions())
def test_any_stride_padding_dilation_and_groups(drawn):
    """In front of it a layer that learns, so that dx is held as well."""
    layer, shape = drawn
    layers = [conv(shape[2], 1), layer, *LAST]
    spec: TrainingSpec = spec_of(layers, epochs=3)
    try:
        Network.trace(spec.network.layers, shape)
    except ShapeError:
        assume(False)
    assert_equal(spec, dataset(shape, dtype="float64"))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize(
    "behind",
    [
        [{"type": "global_avg_pool"}],
        [{"type": "global_max_pool"}],
        [{"type": "max_pool2d", "size": 8}, {"type": "flatten"}],
        [{"type": "avg_pool2d", "size": 8}, {"type": "reshape", "shape": [3]}],
    ],
    ids=lambda layers: layers[0]["type"],
)
def test_a_pool_may_come_last(behind, loss, dtype):
    first = {"type": "conv2d", "filters": 4, "kernel": 3, "padding": "same"}
    layers = [first, {"type": "tanh"}, first | {"filters": 3}, *behind]
    assert_equal(spec_of(layers, loss={"type": loss}, dtype=dtype, epochs=3), dataset((8, 8)))
