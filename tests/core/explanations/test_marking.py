"""The slips that students make, made on purpose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.explanations.marking import mark
from core.layers import Conv1D, Dense, Flatten, ReLU, Residual, Sigmoid, Tanh
from core.losses import CrossEntropy, MeanSquaredError, Quadratic
from core.schema import RealTarget
from tests.core.explanations.zoo import laid_open, some_examples


@pytest.fixture(scope="module")
def found():
    layers = [Dense(units=4), Sigmoid(), Dense(units=5), Tanh(), Dense(units=3)]
    subject = laid_open(layers, (4,), loss=Quadratic(), target=RealTarget(shape=(3,)))
    return subject.backpropagate(some_examples(subject, rows=7))


def piece(found, name):
    return next(piece for piece in found.network.parameters() if piece.name == name)


def right(found, name):
    return piece(found, name).of(found.gradient).copy()


def test_right_ones_are_right_to_four_digits(found):
    for each in found.network.parameters():
        yours = each.of(found.gradient)
        assert mark(found, each, yours).right
        assert mark(found, each, yours.astype(np.float32)).right
    assert not mark(found, each, yours * 1.001).right


@pytest.mark.parametrize(
    ("slip", "wrong"),
    [
        (["sign"], lambda g: -g),
        (["transpose"], lambda g: g.T),
        (["average"], lambda g: 7 * g),
        (["averaged twice"], lambda g: g / 7),
        (["factor 2"], lambda g: g / 2),
        (["doubled"], lambda g: g * 2),
        (["sign", "average"], lambda g: -7 * g),
        (["transpose", "factor 2"], lambda g: g.T / 2),
        (["factor 2", "average"], lambda g: 3.5 * g),
    ],
)
def test_a_slip_has_a_name(found, slip, wrong):
    name = "layers.0.weights"  # a square one, so that the transpose is not told by its shape
    marked = mark(found, piece(found, name), wrong(right(found, name)))
    assert not marked.right
    assert [each.name for each in marked.slips] == slip
    assert len(marked.off) == (12 if slip == ["transpose"] else 16)  # the diagonal stays
    worst = marked.off[0]
    assert (worst.yours, worst.right) == (wrong(right(found, name))[worst.entry], right(found, name)[worst.entry])


def test_a_transpose_is_told_by_its_shape(found):
    name = "layers.2.weights"
    marked = mark(found, piece(found, name), right(found, name).T)
    assert [each.name for each in marked.slips] == ["transpose"]
    assert marked.off == []
    assert mark(found, piece(found, name), np.zeros((2, 2))) is None
    assert mark(found, piece(found, "layers.0.biases"), np.zeros(5)) is None


def test_a_missing_activation_derivative_is_named_with_its_layer(found):
    """Worked out by hand: dC/dz1 without sigmoid', then without tanh'."""
    x, d = found.examples.x, found.da
    first, second, last = (found.contexts[layer] for layer in (0, 2, 4))
    assert first is not None
    tanh_slope, sigmoid_slope = 1 - found.contexts[3].y ** 2, found.contexts[1].y * (1 - found.contexts[1].y)
    behind = (d @ last.parameters[0].T) * tanh_slope @ second.parameters[0].T
    marked = mark(found, piece(found, "layers.0.weights"), x.T @ behind)
    assert [each.name for each in marked.slips] == ["activation derivative"]
    assert "sigmoid of layer 1" in marked.slips[0].advice
    without = (d @ last.parameters[0].T) @ second.parameters[0].T * sigmoid_slope
    marked = mark(found, piece(found, "layers.0.weights"), -x.T @ without)
    assert [each.name for each in marked.slips] == ["activation derivative", "sign"]
    assert "tanh of layer 3" in marked.slips[0].advice
    neither = (d @ last.parameters[0].T) @ second.parameters[0].T
    marked = mark(found, piece(found, "layers.0.biases"), neither.sum(axis=0))
    assert [each.name for each in marked.slips] == ["activation derivative"] * 2


def test_some_other_factor_is_told(found):
    name = "layers.2.biases"
    marked = mark(found, piece(found, name), 1.7 * right(found, name))
    assert (marked.slips, marked.factor) == ([], pytest.approx(1.7))


def test_what_no_slip_explains_is_not_explained(found):
    name = "layers.0.weights"
    yours = right(found, name)
    yours[1, 2] += 1.0
    marked = mark(found, piece(found, name), yours)
    assert (marked.slips, marked.factor) == ([], None)
    assert [off.entry for off in marked.off] == [(1, 2)]
    assert mark(found, piece(found, name), np.zeros((4, 4))).slips == []
    assert mark(found, piece(found, name), np.full((4, 4), np.nan)).right is False


def test_marking_leaves_the_pass_as_it_was(found):
    gradient, dys = found.gradient.copy(), [flow.dy.copy() for flow in found.flows()]
    mark(found, piece(found, "layers.0.weights"), np.ones((4, 4)))
    np.testing.assert_array_equal(found.gradient, gradient)
    for flow, dy in zip(found.flows(), dys, strict=True):
        np.testing.assert_array_equal(flow.dy, dy)


def test_convolutions_are_marked_too():
    subject = laid_open([Conv1D(filters=2, kernel=2), ReLU(), Flatten(), Dense(units=3)], (5, 2))
    found = subject.backpropagate(some_examples(subject))
    each = piece(found, "layers.0.weights")
    assert [slip.name for slip in mark(found, each, -each.of(found.gradient)).slips] == ["sign"]


@given(st.integers(2, 9), st.sampled_from(["layers.0.weights", "layers.4.biases"]), st.integers(0, 100))
def test_the_fewest_slips_are_told(rows, name, seed):
    subject = laid_open([Dense(units=4), Sigmoid(), Dense(units=5), Tanh(), Dense(units=3)], (4,), seed=seed)
    found = subject.backpropagate(some_examples(subject, rows=rows, seed=seed))
    marked = mark(found, piece(found, name), rows * right(found, name))
    assert len(marked.slips) == 1


def test_gradients_inside_blocks_are_marked_with_the_derivative_that_is_missing():
    """Worked out by hand, past the tanh inside: dC/d(block) V sigmoid', with V the block's last weights."""
    block = Residual(layers=(Dense(units=5), Tanh(), Dense(units=4)))
    subject = laid_open([Dense(units=4), Sigmoid(), block, Dense(units=3)], (2,), seed=2)
    found = subject.backpropagate(some_examples(subject, rows=5))
    behind = found.da @ found.contexts[3].parameters[0].T
    past = behind @ found.contexts[2].inner[2].parameters[0].T
    marked = mark(found, piece(found, "layers.2.layers.0.weights"), found.contexts[2].x.T @ past)
    assert [each.name for each in marked.slips] == ["activation derivative"]
    assert "tanh of layer 2.1 is missing" in marked.slips[0].advice
    sign = mark(found, piece(found, "layers.2.layers.2.weights"), -right(found, "layers.2.layers.2.weights"))
    assert [each.name for each in sign.slips] == ["sign"]
    around = behind + past @ found.contexts[2].inner[0].parameters[0].T
    slope = found.contexts[1].y * (1 - found.contexts[1].y)
    marked = mark(found, piece(found, "layers.0.weights"), found.examples.x.T @ (around * slope))
    assert [each.name for each in marked.slips] == ["activation derivative"]
    assert "tanh of layer 2.1 is missing" in marked.slips[0].advice


@pytest.mark.parametrize(("loss", "square"), [(Quadratic(), True), (MeanSquaredError(), True), (CrossEntropy(), False)])
def test_a_half_is_explained_by_the_loss_that_is_there(loss, square):
    target = None if isinstance(loss, CrossEntropy) else RealTarget(shape=(3,))
    subject = laid_open([Dense(units=3)], (4,), loss=loss, target=target)
    found = subject.backpropagate(some_examples(subject, rows=7))
    (slip,) = mark(found, piece(found, "layers.0.weights"), right(found, "layers.0.weights") / 2).slips
    assert (slip.name, "(a - y)^2" in slip.advice) == ("factor 2", square)


@pytest.mark.parametrize("entry", [1e308, -1e308])
def test_numbers_that_are_far_off_are_off(found, entry):
    name = "layers.0.weights"
    yours = right(found, name)
    yours[1, 2] = entry
    marked = mark(found, piece(found, name), yours)
    assert (marked.off[0].entry, marked.slips, marked.factor) == ((1, 2), [], None)
    everywhere = mark(found, piece(found, name), np.full((4, 4), entry))
    assert (len(everywhere.off), everywhere.slips, everywhere.factor) == (16, [], None)
