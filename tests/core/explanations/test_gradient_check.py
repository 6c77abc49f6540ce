"""Backward against differences, for every kind of layer, and wrong gradients that are found."""

import numpy as np
import pytest

from core.explanations import gradient_check
from core.explanations.gradient_check import TOLERANCE, check
from core.explanations.subject import Subject
from core.layers import Dense, ReLU, Residual, Tanh
from core.layers.layer import Array, Context
from core.losses import Hinge, Quadratic
from tests.core.explanations.zoo import NAMES, ZOO, laid_open, some_examples


@pytest.mark.parametrize(("layers", "shape"), ZOO, ids=NAMES)
def test_every_kind_of_layer_is_right(layers, shape):
    subject = laid_open(layers, shape)
    found = check(subject, some_examples(subject))
    assert [checked.piece for checked in found] == list(subject.network.parameters())
    for checked in found:
        assert checked.right, checked
        assert checked.compared
        size = checked.piece.of(subject.theta).size
        wanted = gradient_check.DIRECTIONS + min(gradient_check.ENTRIES, size)
        assert len(checked.compared) + checked.left_out == wanted


class WrongTanh(Tanh):
    """Forgets the square of its derivative."""

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        return np.multiply(dy, 1 - ctx.y, out=ctx.dx)


def test_a_wrong_backward_is_found_where_it_matters():
    layers = [Dense(units=4), WrongTanh(), Dense(units=3)]
    before, bias, behind, last = check(laid_open(layers, (3,)), some_examples(laid_open(layers, (3,))))
    assert not before.right
    assert not bias.right
    assert before.worst.error > 100 * TOLERANCE
    assert behind.right
    assert last.right


def test_some_layers_are_checked_as_among_all_for_less():
    layers = [Dense(units=5), ReLU(), Residual(layers=(Dense(units=4), Tanh(), Dense(units=5))), Dense(units=3)]
    subject = laid_open(layers, (6,))
    network, examples = subject.network, some_examples(subject)
    whole = check(subject, examples, seed=3)
    for only in ({0}, {2}, {2, 3}, {1}):
        assert check(subject, examples, seed=3, only=only) == [one for one in whole if one.layer in only]
    for one in check(subject, examples, seed=3, entries=2):
        assert len(one.compared) + one.left_out == gradient_check.DIRECTIONS + 2
        assert one.right
    assert gradient_check.flops(network, {3}) < gradient_check.flops(network, {0}) < gradient_check.flops(network)
    assert gradient_check.flops(network, {0}, 2) < gradient_check.flops(network, {0})


def test_kinks_are_stepped_around_and_counted():
    subject = laid_open([Dense(units=3), ReLU(), Dense(units=3)], (2,), loss=Quadratic())
    weights, biases = subject.network.layers[0].parameters
    examples = some_examples(subject, rows=1)
    z = examples.x[0] @ weights.of(subject.theta) + biases.of(subject.theta)
    near = biases.of(subject.theta)
    near[0] -= z[0] - 3e-5  # within the first step of the kink, not within the second
    near[1] -= z[1]  # at the kink itself
    found = {checked.piece.name: checked for checked in check(subject, examples)}["layers.0.biases"]
    assert [compared.entry for compared in found.compared if compared.entry is not None] == [(0,), (2,)]
    assert found.left_out == 1 + gradient_check.DIRECTIONS
    assert found.smaller_steps == found.left_out + 1
    assert found.right


def test_a_loss_with_kinks_and_layers_inside_others():
    subject = laid_open([Residual(layers=(Dense(units=4), Tanh(), Dense(units=3))), Dense(units=3)], (3,), loss=Hinge())
    found = check(subject, some_examples(subject))
    assert [checked.layer for checked in found] == [0, 0, 0, 0, 1, 1]
    assert all(checked.right for checked in found)


def test_a_gradient_that_is_no_number_is_not_right():
    subject = laid_open([Dense(units=3), Tanh(), Dense(units=3)], (2,), loss=Quadratic())
    theta = subject.theta.copy()
    theta[-1] = 1e200
    broken = Subject(subject.network, subject.loss, subject.schema, subject.preprocessing, theta, subject.state)
    assert not all(checked.right for checked in check(broken, some_examples(broken)))


def test_where_nothing_could_be_compared_nothing_is_right():
    subject = laid_open([Dense(units=3), ReLU(), Dense(units=3)], (2,))
    weights, biases = subject.network.layers[0].parameters
    weights.of(subject.theta)[...] = 0
    biases.of(subject.theta)[...] = 0  # every unit at its kink
    first, second, *behind = check(subject, some_examples(subject))
    assert [(checked.compared, checked.right) for checked in (first, second)] == [([], None)] * 2
    assert [checked.right for checked in behind] == [True, True]
