"""What an explanation says is what PyTorch's autograd finds, layer by layer."""

from typing import Any

import numpy as np
import pytest

from core.explanations.backpropagation import Examples
from core.explanations.explanation import Detail, explain
from core.explanations.subject import Subject
from peers.autograd import Autograd
from tests.core.explanations.zoo import NAMES, ZOO, laid_open, some_examples

ALL = Detail(top=10**6, whole=True)
BOUND = 1e-12


def check(subject: Subject, examples: Examples) -> None:
    found = explain(subject, examples, ALL)
    peer = Autograd(subject, examples)
    (dys, dx), gradient = peer.wishes(), peer.gradient()
    assert found.cost == pytest.approx(peer.cost(), rel=1e-12)
    for told, dy in zip(found.layers, dys, strict=True):
        if told.desire is not None:
            np.testing.assert_allclose(-told.desire, dy.sum(axis=0), rtol=0, atol=BOUND)
    assert (found.input.desire is None) == (dx is None)
    if dx is not None:
        np.testing.assert_allclose(-found.input.desire, dx.sum(axis=0), rtol=0, atol=BOUND)
    walked = list(_walk(found.layers))
    for at, told in zip(subject.network.walk(), walked, strict=True):
        values = {nudge.parameter: nudge.values for nudge in (told.weight_nudge, *told.other_nudges) if nudge}
        for piece in at.parameters:
            kind = piece.name.rsplit(".", 1)[1]
            nudge = told.bias_nudge if kind in ("biases", "shift") else values[kind]
            np.testing.assert_allclose(-nudge, piece.of(gradient), rtol=0, atol=BOUND)


def _walk(layers: Any) -> Any:
    for layer in layers:
        yield layer
        yield from _walk(layer.inner)


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize(("layers", "shape"), ZOO, ids=NAMES)
def test_wishes_and_nudges(layers: Any, shape: Any, rows: int) -> None:
    subject = laid_open(layers, shape)
    check(subject, some_examples(subject, rows=rows))


@pytest.mark.parametrize("type_", ["simple_rnn", "lstm", "gru", "self_attention"])
def test_masked_sequences(type_: str) -> None:
    layers = next(layers for layers, _ in ZOO if layers[0].type == type_)
    shape = next(shape for found, shape in ZOO if found is layers)
    subject = laid_open(layers, shape)
    x, y, _ = some_examples(subject, rows=3)
    mask = (np.arange(shape[0]) < np.array([[1], [shape[0] - 1], [shape[0]]])).astype(np.float64)
    check(subject, Examples(x, y, mask))
