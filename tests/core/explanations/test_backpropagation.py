"""Everything that a pass keeps is the derivative that it claims to be, for every kind of layer."""

import numpy as np
import pytest

from core.data import Dataset
from core.explanations.backpropagation import Backpropagation
from core.gradcheck import directions, network_error
from core.layers import Dense, Residual, Tanh
from core.layers.layer import forward_through
from core.losses import CrossEntropy, Quadratic
from core.preprocessing import Divide, Preprocessing, Standardize
from core.random import Purpose, Random
from core.schema import ClassTarget, DataSchema, RealTarget
from core.spec import SpecError
from tests.core.explanations.zoo import NAMES, ZOO, laid_open, some_examples

STEP = 1e-5


@pytest.mark.parametrize(("layers", "shape"), ZOO, ids=NAMES)
def test_the_gradient_is_that_of_the_mean_cost(layers, shape):
    subject = laid_open(layers, shape)
    examples = some_examples(subject)
    error = network_error(subject.network, subject.loss, subject.theta, subject.state, examples.x, examples.y)
    assert error is not None
    assert error < 1e-6
    found = subject.backpropagate(examples)
    room = np.empty_like(examples.y)
    assert found.cost == pytest.approx(float(subject.loss.forward(_scores(found), examples.y, room).mean()))


@pytest.mark.parametrize(("layers", "shape"), ZOO, ids=NAMES)
def test_dy_is_the_derivative_by_what_a_layer_gives(layers, shape):
    """The rest of the network is run from a layer's output, moved a little along random directions."""
    subject = laid_open(layers, shape)
    examples = some_examples(subject, rows=2)
    found = subject.backpropagate(examples)
    flows = [flow for flow in found.flows() if flow.at in subject.network.layers]
    ys = [
        np.array(context.y if not at.layer.reshapes else context.x.reshape(2, *at.output_shape))
        for at, context, _ in flows
    ]
    dys = [None if dy is None else dy.copy() for *_, dy in flows]
    fresh = Backpropagation(
        subject.network, subject.loss, subject.theta, subject.state, examples, to_inputs=not subject.looks_up
    ).contexts
    room = np.empty_like(examples.y)

    for index, (y, dy) in enumerate(zip(ys, dys, strict=True)):
        assert dy is not None
        rest = [at.layer for at in subject.network.layers[index + 1 :]]

        def cost(v, rest=rest, index=index, shape=y.shape):
            a = forward_through(rest, v.reshape(shape), fresh[index + 1 :])
            return float(subject.loss.forward(a, examples.y, room).mean())

        at = y.reshape(-1)
        for u in directions(Random(index, Purpose.CHECK), at.size, count=3):
            measured = (cost(at + STEP * u) - cost(at - STEP * u)) / (2 * STEP)
            assert float(dy.reshape(-1) @ u) == pytest.approx(measured, rel=1e-5, abs=1e-8)


def test_layers_inside_others_have_their_own():
    block = Residual(layers=(Dense(units=4), Residual(layers=(Tanh(),)), Dense(units=3)))
    subject = laid_open([block, Dense(units=3)], (3,))
    around, first, within, tanh, second, last = subject.backpropagate(some_examples(subject)).flows()
    assert [flow.at.number for flow in (around, first, within, tanh, second, last)] == list(range(6))
    np.testing.assert_array_equal(second.dy, around.dy)  # what is added is wished as the sum is
    np.testing.assert_array_equal(tanh.dy, within.dy)
    np.testing.assert_allclose(within.dy, second.dy @ second.context.parameters[0].T)
    np.testing.assert_allclose(first.dy, within.dy + tanh.dy * (1 - tanh.context.y**2))


def test_a_wish_for_inputs_is_told_in_raw_units():
    arrays = {"0.mean": np.array([3.0, -2.0]), "0.deviation": np.array([2.0, 5.0])}
    preprocessing = Preprocessing([Standardize(), Divide(by=4.0)], arrays)
    subject = laid_open([Dense(units=3), Tanh(), Dense(units=3)], (2,), preprocessing=preprocessing)
    raw, targets = np.array([[4.0, 1.0]]), ["oak"]
    found = subject.backpropagate(subject.examples(raw, targets))
    assert found.dx is not None
    claimed = preprocessing.backward(found.dx)
    for place in range(2):
        moved = np.eye(2)[place] * STEP
        above, below = (subject.backpropagate(subject.examples(raw + s * moved, targets)).cost for s in (1, -1))
        assert claimed[0, place] == pytest.approx((above - below) / (2 * STEP), rel=1e-6)


def test_rows_of_a_dataset_are_the_examples_that_they_hold():
    subject = laid_open([Dense(units=3)], (2,))
    x = np.random.default_rng(0).normal(size=(5, 2))
    theirs = ClassTarget(classes=("elm", "oak"))  # fewer classes, numbered otherwise
    data = Dataset(
        DataSchema(rows=5, input_shape=(2,), input_dtype="float64", target=theirs),
        x,
        np.array([0, 1, 1, 0, 0], np.int32),
    )
    rows = subject.rows(data, np.array([3, 1]))
    each = subject.examples(x[[3, 1]], ["elm", "oak"])
    np.testing.assert_array_equal(rows.x, each.x)
    np.testing.assert_array_equal(rows.y, each.y)


def test_class_weights_count_as_in_training():
    weights = (1.0, 4.0, 0.5)
    plain = laid_open([Dense(units=3)], (2,))
    weighted = laid_open([Dense(units=3)], (2,), loss=CrossEntropy(class_weights=weights))
    raw, targets = np.array([[1.0, 2.0], [0.5, -1.0]]), ["elm", "oak"]
    one, other = (subject.backpropagate(subject.examples(raw, targets)) for subject in (plain, weighted))
    np.testing.assert_allclose(other.costs, one.costs * [4.0, 0.5])


@pytest.mark.parametrize(
    ("target", "value", "says"),
    [
        (ClassTarget(classes=(0, 1, 2)), "1", "it knows 0, 1, 2"),
        (ClassTarget(classes=(0, 1, 2)), [1], "it knows 0, 1, 2"),
        (ClassTarget(classes=(False, True)), 1, "it knows false, true"),
        (RealTarget(shape=(3,)), [1.0, 2.0], "3 numbers"),
        (RealTarget(shape=(3,)), "oak", "3 numbers"),
        (RealTarget(shape=(3,)), None, "3 numbers"),
    ],
)
def test_a_target_that_is_none_is_refused(target, value, says):
    loss = Quadratic() if isinstance(target, RealTarget) else CrossEntropy()
    subject = laid_open([Dense(units=3)], (2,), loss=loss, target=target)
    with pytest.raises(SpecError, match=says):
        subject.examples(np.zeros((1, 2)), [value])


def test_a_dataset_of_another_kind_is_refused():
    subject = laid_open([Dense(units=3)], (2,))
    y = np.zeros(4, np.int32)

    def data(shape, target, y=y):
        schema = DataSchema(rows=4, input_shape=shape, input_dtype="float64", target=target)
        return Dataset(schema, np.zeros((4, *shape)), y)

    for strange, says in (
        (data((3,), ClassTarget(classes=("ash", "elm"))), r"of shape \[3\]"),
        (data((2,), ClassTarget(classes=("ash", "yew"))), 'does not know its class "yew"'),
        (data((2,), RealTarget(shape=()), np.zeros(4)), "Its targets are real numbers"),
    ):
        with pytest.raises(SpecError, match=says):
            subject.rows(strange, np.array([0]))


def _scores(found: Backpropagation):
    return found.contexts[-1].y
