"""What a change of one weight does: autograd's derivative, its Jacobians, and what a second forward gives."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
import pytest

from core.explanations.backpropagation import Examples
from core.explanations.paths import Paths
from core.explanations.subject import Subject
from core.explanations.what_if import what_if
from core.layers import LSTM, BatchNorm, Conv1D, Dense, Dropout, Flatten, GlobalAvgPool, Reshape, SelfAttention, Softmax
from core.layers.elementwise import Elementwise
from core.losses import CrossEntropy, Loss, Quadratic
from core.network import Piece
from peers.autograd import Autograd
from peers.conftest import Near
from peers.whole_models import MODELS, WEIGHED, opened, padded
from tests.core.explanations.zoo import NAMES, ZOO, laid_open, some_examples

DELTA = 0.01
SINGLE = (Dense, BatchNorm, Dropout, Flatten, Softmax, Elementwise)  # layers of which paths are told


def check(subject: Subject, examples: Examples, near: Near, chosen: Sequence[tuple[int, Piece, Any]]) -> list[Any]:
    """Change each of the chosen entries; what was found of their paths."""
    peer = Autograd(subject, examples)
    gradient, cost, still = peer.gradient(), peer.cost(), peer.outputs()
    told = []
    for layer, piece, index in chosen:
        found = what_if(subject, examples, layer, piece.name.rpartition(".")[2], index, DELTA)
        at = piece.start + int(np.ravel_multi_index(index, piece.variable.shape))
        change = np.eye(1, subject.network.size, at)[0] * DELTA
        theta = subject.theta + change
        near("what-if: gradient", found.gradient, gradient[at], scale=float(np.abs(gradient).max()))
        assert found.predicted == found.gradient * DELTA
        near("what-if: measured change", found.measured, peer.cost(theta) - cost, scale=max(1.0, cost))
        firsts, moved = peer.ripples(change), peer.outputs(theta)
        assert [ripple.layer for ripple in found.ripples] == list(range(layer, len(subject.network.layers)))
        for ripple in found.ripples:
            first, actual = firsts[ripple.layer], moved[ripple.layer] - still[ripple.layer]
            near("what-if: ripple, first order", ripple.first_order, first, scale=DELTA)
            near("what-if: ripple, actual", ripple.actual, actual, scale=max(1.0, np.abs(moved[ripple.layer]).max()))
        if isinstance(found.paths, Paths):
            near("what-if: all paths", found.paths.total, gradient[at], scale=found.paths.absolute or 1.0)
            if (one_by_one := found.paths.enumerated()) is not None:
                near("what-if: path by path", one_by_one, gradient[at], scale=found.paths.absolute or 1.0)
            for step in found.paths.steps:
                jacobian = peer.jacobian(step.layer)
                near("what-if: steps", step.jacobian if step.meets else np.diag(step.jacobian), jacobian)
        told.append((layer, found.paths))
    return told


def some_entries(subject: Subject, each: int = 2) -> Iterator[tuple[int, Piece, tuple[int, ...]]]:
    """A few of each parameter of the network's own layers."""
    draw = np.random.default_rng(5)
    for layer, at in enumerate(subject.network.layers):
        for piece in at.parameters:
            shape = piece.variable.shape
            for entry in draw.permutation(prod(shape))[:each]:
                yield layer, piece, tuple(int(i) for i in np.unravel_index(entry, shape))


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("loss", [WEIGHED, Quadratic()], ids=["cross_entropy", "quadratic"])
@pytest.mark.parametrize("name", MODELS)
def test_whole_models(name: str, loss: Loss, rows: int, near: Near) -> None:
    subject = opened(name, loss)
    told = check(subject, some_examples(subject, rows=rows), near, [*some_entries(subject)])
    told_of = {layer for layer, paths in told if isinstance(paths, Paths)}
    layers = [at.layer for at in subject.network.layers]
    behind = max((index for index, layer in enumerate(layers) if not isinstance(layer, SINGLE)), default=-1)
    assert told_of == ({layer for layer, _ in told if layer > behind} if rows == 1 else set())


@pytest.mark.parametrize(("layers", "shape"), ZOO, ids=NAMES)
def test_through_every_kind_of_layer(layers: Any, shape: Any, near: Near) -> None:
    """Of its own parameters, and where it takes what others give, of a weight in front of it."""
    if layers[0].categories() is None:
        layers, shape = [Dense(units=prod(shape)), Reshape(shape=shape), *layers], (3,)
    subject = laid_open(layers, shape, CrossEntropy(label_smoothing=0.1))
    check(subject, some_examples(subject, rows=2), near, [*some_entries(subject, each=1)])


@pytest.mark.parametrize(
    "layers",
    [
        [LSTM(units=4), Dense(units=3)],
        [Conv1D(filters=3, kernel=3, padding="same"), LSTM(units=4), Dense(units=3)],
        [SelfAttention(heads=3), GlobalAvgPool(), Dense(units=3)],
    ],
    ids=["lstm", "conv1d-lstm", "self_attention"],
)
def test_padded_sequences(layers: Any, near: Near) -> None:
    subject, examples = padded(layers, 3)
    check(subject, examples, near, [*some_entries(subject)])
