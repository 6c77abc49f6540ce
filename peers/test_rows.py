"""How hard each row pushes: autograd's gradient of the cost of that row alone, one row after the other."""

from typing import Any

import numpy as np
import pytest

from core.data import Dataset
from core.explanations.backpropagation import Examples
from core.explanations.row_norms import row_norms
from core.explanations.subject import Subject
from core.explanations.teaching import Order, lessons
from core.layers import GRU, LSTM, BatchNorm, Conv1D, Dense, GlobalAvgPool, SelfAttention, SimpleRNN, Tanh
from core.losses import BinaryCrossEntropy, Loss, Quadratic
from core.schema import ClassTarget, DataSchema
from peers.autograd import Autograd
from peers.conftest import Near
from peers.whole_models import MODELS, WEIGHED, opened, padded
from tests.core.explanations.zoo import CLASSES, NAMES, ZOO, laid_open, some_examples


def one_by_one(subject: Subject, examples: Examples) -> tuple[list[float], list[float]]:
    """Each row's cost and the norm of its gradient."""
    costs, norms = [], []
    for row in range(len(examples)):
        one = slice(row, row + 1)
        mask = None if examples.mask is None else examples.mask[one]
        peer = Autograd(subject, Examples(examples.x[one], examples.y[one], mask))
        costs.append(peer.cost())
        norms.append(float(np.linalg.norm(peer.gradient())))
    return costs, norms


def check(subject: Subject, examples: Examples, near: Near) -> None:
    found = subject.backpropagate(examples)
    costs, norms = one_by_one(subject, examples)
    near("rows: cost of each", found.costs, costs)
    near("rows: gradient norm of each", row_norms(found) / norms, np.ones(len(norms)))


@pytest.mark.parametrize("loss", [WEIGHED, Quadratic()], ids=["class weights", "quadratic"])
@pytest.mark.parametrize("name", MODELS)
def test_whole_models(name: str, loss: Loss, near: Near) -> None:
    subject = opened(name, loss)
    check(subject, some_examples(subject, rows=6), near)


@pytest.mark.parametrize(("layers", "shape"), ZOO, ids=NAMES)
def test_every_kind_of_layer(layers: Any, shape: Any, near: Near) -> None:
    subject = laid_open(layers, shape, WEIGHED)
    check(subject, some_examples(subject, rows=4), near)


@pytest.mark.parametrize(
    "layers",
    [
        [SimpleRNN(units=4)],
        [LSTM(units=4)],
        [GRU(units=4)],
        [Conv1D(filters=3, kernel=3, padding="same"), BatchNorm(), LSTM(units=4)],
        [SelfAttention(heads=3), GlobalAvgPool()],
    ],
    ids=["simple_rnn", "lstm", "gru", "conv1d-lstm", "self_attention"],
)
def test_padded_sequences(layers: Any, near: Near) -> None:
    subject, examples = padded([*layers, Dense(units=3)], 5)
    check(subject, examples, near)


def test_one_output_for_two_classes(near: Near) -> None:
    loss = BinaryCrossEntropy(class_weights=(0.5, 3.0))
    subject = laid_open([Dense(units=4), Tanh(), Dense(units=1)], (3,), loss, ClassTarget(classes=(0, 1)))
    check(subject, some_examples(subject, rows=6), near)


@pytest.mark.parametrize("order", ["loss", "gradient_norm"])
@pytest.mark.parametrize("name", ["dense", "conv2d", "lstm"])
def test_the_order_of_a_dataset_is_that_of_autograd(name: str, order: Order, near: Near) -> None:
    subject, rows = opened(name), 30
    draw = np.random.default_rng(2)
    x, y = draw.normal(size=(rows, *subject.network.input_shape)), draw.integers(0, 3, rows).astype(np.int32)
    target = ClassTarget(classes=CLASSES)
    schema = DataSchema(rows=rows, input_shape=x.shape[1:], input_dtype="float64", target=target)
    told = lessons(subject, Dataset(schema, x, y), np.arange(rows), order, 10)
    costs, norms = one_by_one(subject, Examples(x, np.eye(3)[y], None))
    wanted = np.argsort(-np.array(costs if order == "loss" else norms))[:10]
    assert [lesson.row for lesson in told] == wanted.tolist()
    near("rows: cost of each", [lesson.loss for lesson in told], np.array(costs)[wanted])
    near("rows: gradient norm of each", [lesson.gradient_norm for lesson in told], np.array(norms)[wanted])
