"""The norm of each row's own gradient, against gradients of one row at a time, for every kind of layer."""

import numpy as np
import pytest

from core.explanations import row_norms as module
from core.explanations.backpropagation import Backpropagation, Examples
from core.explanations.row_norms import Products, _squares, parts, row_norms
from core.layers import LSTM, Conv1D, Dense, Embedding, Flatten, Residual, SelfAttention, Tanh
from core.layers.layer import Layer
from core.losses import CrossEntropy
from tests.core.explanations.zoo import NAMES, ZOO, laid_open, some_examples
from tests.core.layer_cases import CASES


def one_by_one(subject, examples: Examples):
    norms = []
    for row in range(len(examples)):
        one = slice(row, row + 1)
        mask = None if examples.mask is None else examples.mask[one]
        alone = subject.backpropagate(Examples(examples.x[one], examples.y[one], mask))
        norms.append(np.linalg.norm(alone.gradient))
    return norms


@pytest.mark.parametrize(("layers", "shape"), ZOO, ids=NAMES)
def test_norms_are_those_of_each_row_alone(layers, shape):
    subject = laid_open(layers, shape, loss=CrossEntropy(class_weights=(1.0, 3.0, 0.5)))
    examples = some_examples(subject, rows=5)
    np.testing.assert_allclose(row_norms(subject.backpropagate(examples)), one_by_one(subject, examples), rtol=1e-10)


@pytest.mark.parametrize(("layer", "shape"), [case for case in CASES if type(case[0]) in parts.registry])
def test_the_quick_ways_agree_with_one_row_at_a_time(layer, shape):
    """The plain way is what a layer gets for which nothing better is known."""
    subject = laid_open([layer, Flatten(), Dense(units=3)], shape)
    flow = next(iter(subject.backpropagate(some_examples(subject)).flows()))
    quick = sum(map(_squares, parts(layer, flow, flow.dy)))
    plain = sum(map(_squares, parts.dispatch(Layer)(layer, flow, flow.dy)))
    np.testing.assert_allclose(quick, plain, rtol=1e-10, atol=1e-20)


@pytest.mark.parametrize(
    "layers", [[LSTM(units=3)], [SelfAttention(heads=2), Flatten()], [LSTM(units=2, sequence=True), Flatten()]]
)
def test_padding_pushes_nothing(layers):
    subject = laid_open([*layers, Dense(units=3)], (5, 4))
    draw = np.random.default_rng(3)
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]])
    examples = subject.examples(draw.normal(size=(3, 5, 4)), ["ash", "elm", "oak"], mask)
    np.testing.assert_allclose(row_norms(subject.backpropagate(examples)), one_by_one(subject, examples), rtol=1e-10)


def test_layers_inside_others_count():
    block = Residual(layers=(Dense(units=4), Tanh(), Residual(layers=(Dense(units=4),)), Dense(units=3)))
    subject = laid_open([block, Dense(units=3)], (3,))
    examples = some_examples(subject)
    np.testing.assert_allclose(row_norms(subject.backpropagate(examples)), one_by_one(subject, examples), rtol=1e-10)


def test_a_number_looked_up_twice_counts_as_one():
    subject = laid_open([Embedding(size=4, dimension=2), Flatten(), Dense(units=3)], (5,))
    examples = subject.examples(np.array([[1.0, 1, 1, 2, 1], [0, 3, 2, 1, 0]]), ["ash", "oak"])
    np.testing.assert_allclose(row_norms(subject.backpropagate(examples)), one_by_one(subject, examples), rtol=1e-10)


@pytest.mark.parametrize(("places", "k", "m"), [(2, 30, 20), (40, 2, 3), (7, 7, 7)])
def test_pairs_of_places_and_products_are_the_same(places, k, m, monkeypatch):
    monkeypatch.setattr(module, "PAIRS", 3 * places * places)  # several stretches of rows
    draw = np.random.default_rng(0)
    a, d = draw.normal(size=(8, places, k)), draw.normal(size=(8, places, m))
    wanted = [np.linalg.norm(sum(np.outer(a[i, t], d[i, t]) for t in range(places))) ** 2 for i in range(8)]
    np.testing.assert_allclose(_squares(Products(a, d)), wanted, rtol=1e-10)


def test_a_dense_layer_pushes_by_the_formula():
    subject = laid_open([Dense(units=3)], (4,))
    examples = some_examples(subject)
    found: Backpropagation = subject.backpropagate(examples)
    delta = found.da * len(examples)
    formula = np.sqrt(np.square(delta).sum(axis=1) * (np.square(examples.x).sum(axis=1) + 1))
    np.testing.assert_allclose(row_norms(found), formula)


def test_a_convolution_of_many_windows_is_no_exception():
    subject = laid_open([Conv1D(filters=2, kernel=2), Flatten(), Dense(units=3)], (30, 1))
    examples = some_examples(subject)
    np.testing.assert_allclose(row_norms(subject.backpropagate(examples)), one_by_one(subject, examples), rtol=1e-10)
