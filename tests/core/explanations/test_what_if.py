"""What a change of one weight is predicted to do, and does, and by which paths, for every kind of layer."""

from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.explanations.paths import NoPaths, Paths
from core.explanations.what_if import what_if
from core.layers import (
    ELU,
    GELU,
    GRU,
    LSTM,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Expression,
    Flatten,
    ReLU,
    Reshape,
    Residual,
    SelfAttention,
    Sigmoid,
    Softmax,
    Tanh,
)
from core.losses import BinaryCrossEntropy, CrossEntropy, Quadratic
from core.schema import ClassTarget
from core.spec import SpecError
from tests.core.explanations.zoo import NAMES, ZOO, laid_open, some_examples

STEP = 1e-6
LEARNERS = [(layers, shape) for layers, shape in ZOO if layers[0].parameters(shape)]
LEARNER_NAMES = [name for name, (layers, shape) in zip(NAMES, ZOO, strict=True) if layers[0].parameters(shape)]


@pytest.mark.parametrize(("layers", "shape"), LEARNERS, ids=LEARNER_NAMES)
def test_the_ripple_is_the_first_order_of_what_happens(layers, shape):
    """For one entry of each parameter: half the step, a quarter of what first order leaves out."""
    subject = laid_open([*layers[:1], Flatten(), Dense(units=4), Softmax(), Dense(units=3)], shape)
    examples = some_examples(subject, rows=2)
    for piece in subject.network.layers[0].parameters:
        name, size = piece.name.rpartition(".")[2], piece.variable.shape
        index = [length // 2 for length in size]
        found = what_if(subject, examples, 0, name, index, STEP)
        assert [ripple.layer for ripple in found.ripples] == [0, 1, 2, 3, 4]
        assert found.measured == pytest.approx(found.predicted, rel=1e-4, abs=1e-14)
        for ripple in found.ripples:
            assert ripple.first_order.shape == ripple.actual.shape
            if not ripple.kinks:
                np.testing.assert_allclose(ripple.first_order, ripple.actual, rtol=1e-3, atol=3e-14 + 1e-8 * STEP)


@pytest.mark.parametrize(("layers", "shape"), [case for case in ZOO if case[0][0].categories() is None])
def test_a_change_travels_through_every_kind_of_layer(layers, shape):
    """The weight lies in front of the layer, which it cannot where numbers are looked up."""
    width = prod(shape)
    subject = laid_open([Dense(units=width), Reshape(shape=shape), *layers], (3,))
    found = what_if(subject, some_examples(subject, rows=2), 0, "weight", [1, width // 2], STEP)
    for ripple in found.ripples:
        if not ripple.kinks:
            np.testing.assert_allclose(ripple.first_order, ripple.actual, rtol=1e-3, atol=3e-14 + 1e-8 * STEP)


def networks():
    activation = st.sampled_from(
        [
            Sigmoid(),
            Tanh(),
            ReLU(),
            GELU(),
            ELU(),
            Dropout(rate=0.5),
            BatchNorm(),
            Softmax(),
            Expression(expression="x * sigmoid(b * x)", parameters={"b": 0.7}),
        ]
    )
    block = st.tuples(st.integers(2, 5), activation).map(lambda b: [Dense(units=b[0]), b[1]])
    return st.lists(block, min_size=1, max_size=3).map(lambda bs: [layer for block in bs for layer in block])


@given(networks(), st.sampled_from([CrossEntropy(), Quadratic()]), st.integers(0, 2**20), st.data())
def test_all_paths_together_are_the_derivative(layers, loss, seed, data):
    subject = laid_open([*layers, Dense(units=3)], (4,), loss=loss, seed=seed)
    layer = data.draw(st.sampled_from([n for n, at in enumerate(subject.network.layers) if at.parameters]))
    piece = data.draw(st.sampled_from(subject.network.layers[layer].parameters))
    index = [data.draw(st.integers(0, size - 1)) for size in piece.variable.shape]
    found = what_if(subject, some_examples(subject, rows=1), layer, piece.name.rpartition(".")[2], index, 1e-3)
    paths = found.paths
    assert isinstance(paths, Paths)
    assert abs(paths.total - found.gradient) <= 1e-10 * paths.absolute + 1e-300
    enumerated = paths.enumerated()
    assert enumerated is not None
    assert abs(enumerated - paths.total) <= 1e-10 * paths.absolute + 1e-300
    behind = [at.output_shape[0] for at in subject.network.layers[layer + 1 :] if isinstance(at.layer, Dense | Softmax)]
    starts = (
        subject.network.layers[layer].output_shape[0]
        if isinstance(subject.network.layers[layer].layer, Expression)
        else 1
    )
    assert paths.count in (starts * prod(behind), np.count_nonzero(paths.start) * prod(behind))


def test_the_best_paths_are_the_best_of_all():
    subject = laid_open([Dense(units=3), Tanh(), Dense(units=4), ReLU(), Dense(units=3)], (2,), seed=3)
    found = what_if(subject, some_examples(subject, rows=1), 0, "weight", [1, 2], 0.1)
    paths = found.paths
    assert paths.count == 12
    weights = {}
    for j, k in product(range(4), range(3)):
        first, second, third, fourth = (step.jacobian for step in paths.steps)
        weights[2, j, k] = paths.start[2] * first[2] * second[2, j] * third[j] * fourth[j, k] * paths.end[k]
    wanted = sorted((value for value in weights.values() if value), key=lambda value: -abs(value))
    best = paths.best(100)
    np.testing.assert_allclose([path.contribution for path in best], wanted, rtol=1e-12)
    assert paths.best(3) == best[:3]
    for path in best:
        units = [unit for _, unit in path.units]
        assert [layer for layer, _ in path.units] == [0, 2, 4]
        assert path.contribution == pytest.approx(weights[tuple(units)])
        assert len(path.factors) == 6
        assert path.factors[0] == paths.start[2]


def test_paths_of_a_wide_network_are_counted_exactly_and_not_gone_along():
    subject = laid_open([Dense(units=784), Tanh(), Dense(units=1000), Tanh(), Dense(units=3)], (2,))
    paths = what_if(subject, some_examples(subject, rows=1), 0, "bias", [5], 0.1).paths
    assert paths.count == 3000
    deep = laid_open([Dense(units=9), *[Dense(units=200), Tanh()] * 7, Dense(units=3)], (2,))
    found = what_if(deep, some_examples(deep, rows=1), 0, "bias", [5], 0.1)
    assert found.paths.count == 3 * 200**7
    assert found.paths.enumerated() is None
    assert abs(found.paths.total - found.gradient) <= 1e-10 * found.paths.absolute
    assert len(found.paths.best(10)) == 10


@pytest.mark.parametrize(
    "layers",
    [
        [Reshape(shape=(2, 2, 1)), Conv2D(filters=2, kernel=2), Flatten(), Dense(units=3)],
        [Dense(units=4), Reshape(shape=(2, 2)), LSTM(units=2), Dense(units=3)],
        [Dense(units=4), Residual(layers=(Dense(units=4),)), Dense(units=3)],
        [Reshape(shape=(2, 2)), GRU(units=2), Dense(units=3)],
    ],
)
def test_where_paths_cannot_be_told_the_reason_is(layers):
    subject = laid_open(layers, (4,))
    layer = next(n for n, at in enumerate(subject.network.layers) if at.parameters)
    name = subject.network.layers[layer].parameters[0]
    found = what_if(subject, some_examples(subject, rows=1), layer, "weight", [0] * len(name.variable.shape), 0.1)
    assert isinstance(found.paths, NoPaths)
    assert "layer" in str(found.paths)
    several = laid_open([Dense(units=3)], (2,))
    assert "one example" in str(what_if(several, some_examples(several), 0, "weight", [0, 0], 0.1).paths)


def test_a_large_change_is_measured_as_it_is():
    subject = laid_open([Dense(units=3), ReLU(), Dense(units=3)], (2,))
    examples = some_examples(subject, rows=1)
    found = what_if(subject, examples, 0, "bias", [1], 50.0)
    theta = subject.theta.copy()
    theta[6 + 1] += 50.0
    moved = subject.backpropagate(examples, theta)
    assert found.measured == moved.cost - found.cost
    assert found.value == subject.theta[7]
    assert subject.backpropagate(examples).cost == found.cost  # the model itself is as it was


def test_one_output_for_two_classes():
    subject = laid_open(
        [Dense(units=4), Tanh(), Dense(units=1)], (3,), BinaryCrossEntropy(), ClassTarget(classes=(0, 1))
    )
    found = what_if(subject, some_examples(subject, rows=1), 0, "weight", [2, 3], 1e-3)
    assert found.paths.count == 1
    assert found.paths.total == pytest.approx(found.gradient, rel=1e-10)


@pytest.mark.parametrize(
    ("changes", "at", "says"),
    [
        ({"layer": 3}, "/layer", "the last is 2"),
        ({"layer": 1}, "/parameter", "it has none"),
        ({"parameter": "scale"}, "/parameter", "it has weights, biases"),
        ({"index": [0]}, "/index", r"shape \[2, 3\]"),
        ({"index": [0, 3]}, "/index", r"shape \[2, 3\]"),
        ({"index": [-1, 0]}, "/index", "from 0"),
        ({"delta": 1e308}, "/delta", "make it smaller"),
    ],
)
def test_what_is_not_there_is_refused(changes, at, says):
    subject = laid_open([Dense(units=3), Tanh(), Dense(units=3)], (2,), loss=Quadratic())
    asked = {"layer": 0, "parameter": "weight", "index": [0, 0], "delta": 0.1} | changes
    if at == "/delta":
        asked |= {"layer": 2}
    with pytest.raises(SpecError, match=says) as refused:
        what_if(subject, some_examples(subject), **asked)
    assert refused.value.errors[0].pointer == at


def test_attention_ripples_too():
    subject = laid_open([SelfAttention(heads=2, positions=True), Flatten(), Dense(units=3)], (3, 4))
    found = what_if(subject, some_examples(subject, rows=1), 0, "positions", [1, 2], STEP)
    assert found.measured == pytest.approx(found.predicted, rel=1e-4)


BLOCKS = [
    Dense(units=4),
    Tanh(),
    Residual(layers=(Dense(units=3), ReLU(), Residual(layers=(BatchNorm(), Dense(units=3))), Dense(units=4))),
    Dense(units=3),
]


def test_parameters_inside_blocks_go_by_the_names_that_explanations_give_them():
    subject = laid_open(BLOCKS, (2,), seed=5)
    examples = some_examples(subject, rows=1)
    inside = subject.network.layers[2]
    pieces = [piece for at in inside.walk() for piece in at.parameters]
    assert len(pieces) == 8
    for piece in pieces:
        index = [length - 1 for length in piece.variable.shape]
        found = what_if(subject, examples, 2, piece.name, index, STEP)
        assert found.gradient == piece.of(subject.backpropagate(examples).gradient)[tuple(index)]
        assert found.measured == pytest.approx(found.predicted, rel=1e-4, abs=1e-14)
        assert [ripple.layer for ripple in found.ripples] == [2, 3]
        for ripple in found.ripples:
            np.testing.assert_allclose(ripple.first_order, ripple.actual, rtol=1e-3, atol=3e-14 + 1e-8 * STEP)
        assert "inside layer 2" in str(found.paths)
    short = what_if(subject, examples, 2, "layers.2.layers.0.weight", [0, 0], STEP)
    assert short.gradient == what_if(subject, examples, 2, "layers.2.layers.0.weights", [0, 0], STEP).gradient
    assert what_if(subject, examples, 3, "layers.3.biases", [1], STEP).paths.count == 1


def test_kinks_inside_blocks_are_counted():
    subject = laid_open(BLOCKS, (2,), seed=5)
    found = what_if(subject, some_examples(subject, rows=3), 2, "layers.2.layers.0.biases", [1], -50.0)
    assert found.ripples[0].kinks > 0


def test_a_parameter_that_is_not_in_the_block_is_refused_with_those_that_are():
    subject = laid_open(BLOCKS, (2,))
    for name in ("weight", "layers.1.layers.0.weights", "layers.2.layers.1.weights"):
        with pytest.raises(SpecError, match=r"it has layers\.2\.layers\.0\.weights, .*layers\.2\.layers\.3\.biases"):
            subject.piece(2, name)
    with pytest.raises(SpecError, match=r"layers\.0\.weights of layer 2 is of shape \[4, 3\]"):
        what_if(subject, some_examples(subject), 2, "layers.2.layers.0.weights", [0], 0.1)
    many = Residual(layers=6 * (Dense(units=2),))
    wide = laid_open([many, Dense(units=3)], (2,))
    with pytest.raises(SpecError, match=r"layers\.4\.biases, \.\.\.\."):
        wide.piece(0, "bias")
