"""The gradients that are checked and the marks that are given: both beside autograd, slips made on purpose there."""

from collections.abc import Iterator
from math import prod

import numpy as np
import pytest

from core.explanations.gradient_check import check
from core.explanations.marking import Marked, mark
from core.layers.elementwise import Elementwise
from core.layers.layer import Array
from core.losses import Loss, Quadratic
from core.network import Piece
from peers.autograd import Autograd
from peers.conftest import Near
from peers.whole_models import MODELS, WEIGHED, opened
from tests.core.explanations.zoo import some_examples

ROWS = 7
SLOPES = [name for name, (layers, _) in MODELS.items() if any(isinstance(layer, Elementwise) for layer in layers)]


@pytest.mark.parametrize("loss", [WEIGHED, Quadratic()], ids=["class weights", "quadratic"])
@pytest.mark.parametrize("name", MODELS)
def test_what_is_compared_is_autograds(name: str, loss: Loss, near: Near) -> None:
    """Backward's entry to rounding, and what the differences make of it to about nine digits."""
    subject = opened(name, loss)
    examples = some_examples(subject, rows=3)
    gradient, compared = Autograd(subject, examples).gradient(), 0
    largest = float(np.abs(gradient).max())
    checked = check(subject, examples)
    assert [found.piece for found in checked] == [*subject.network.parameters()]
    for found in checked:
        wanted = found.piece.of(gradient)
        assert found.right
        assert found.left_out < prod(wanted.shape)
        entries = [each for each in found.compared if each.entry is not None]
        compared += len(entries)
        backward = [wanted[each.entry] for each in entries]
        near("gradient-check: backward", [each.backward for each in entries], backward, scale=largest)
        near("gradient-check: differences", [each.measured for each in entries], backward, max(1.0, largest), 1e-9)
    assert compared > len(checked)


class Homework:
    """A model at its examples, with autograd to do the homework, right or wrong."""

    def __init__(self, name: str, loss: Loss) -> None:
        subject = opened(name, loss)
        self.network, examples = subject.network, some_examples(subject, rows=ROWS)
        self.peer, self.found = Autograd(subject, examples), subject.backpropagate(examples)

    def marks(self, gradient: Array) -> Iterator[tuple[int, Piece, Marked]]:
        """Of each parameter, with the layer that it is in."""
        for layer, at in enumerate(self.network.layers):
            for piece in (piece for inner in at.walk() for piece in inner.parameters):
                found = mark(self.found, piece, piece.of(gradient))
                assert found is not None
                yield layer, piece, found


@pytest.fixture(scope="module", params=MODELS)
def homework(request: pytest.FixtureRequest) -> Homework:
    return Homework(request.param, Quadratic())


def test_right_gradients_are_right(homework: Homework) -> None:
    gradient = homework.peer.gradient()
    for yours in gradient, gradient.astype(np.float32).astype(np.float64):
        marks = [found for _, _, found in homework.marks(yours)]
        assert marks == [Marked(True, [], [], None)] * len([*homework.network.parameters()])


@pytest.mark.parametrize("slip", ["sign", "average", "averaged twice", "factor 2", "doubled"])
def test_a_wrong_factor_is_named(homework: Homework, slip: str) -> None:
    right = homework.peer.gradient()
    wrong = {
        "sign": lambda: -right,
        "average": lambda: homework.peer.gradient(summed=True),
        "averaged twice": lambda: right / ROWS,
        "factor 2": lambda: right / 2,
        "doubled": lambda: right * 2,
    }[slip]()
    for _, piece, found in homework.marks(wrong):
        assert not found.right
        assert [each.name for each in found.slips] == [slip], piece.name
        off = found.off[0]
        wanted = piece.of(wrong)[off.entry], piece.of(right)[off.entry]
        assert (off.yours, off.right) == pytest.approx(wanted, rel=1e-10)


def test_a_missing_transpose_is_named(homework: Homework) -> None:
    right, seen = homework.peer.gradient(), 0
    for piece in homework.network.parameters():
        yours = piece.of(right).T
        if yours.ndim == 2 and min(yours.shape) > 1:
            found = mark(homework.found, piece, yours)
            assert found is not None
            assert not found.right
            assert [each.name for each in found.slips] == ["transpose"], piece.name
            seen += 1
    assert seen


@pytest.mark.parametrize("name", SLOPES)
def test_a_missing_derivative_is_named_with_its_layer(name: str) -> None:
    """Autograd passes straight through one activation, as if its slope were 1: what lies before it comes out wrong."""
    homework = Homework(name, WEIGHED)
    layers, seen = homework.network.layers, 0
    for slope in (index for index, at in enumerate(layers) if isinstance(at.layer, Elementwise)):
        for layer, piece, found in homework.marks(homework.peer.gradient(straight={slope})):
            assert found.right == (layer > slope)
            if layer < slope:
                assert [each.name for each in found.slips] == ["activation derivative"], piece.name
                assert f"{layers[slope].layer.type} of layer {slope} " in found.slips[0].advice
                seen += 1
    assert seen
