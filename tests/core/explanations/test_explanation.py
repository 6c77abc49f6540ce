"""Every wish and nudge is minus the derivative that it claims to be, for every kind of layer, one row and several."""

from dataclasses import fields

import numpy as np
import pytest

from core.explanations.averages import Averages
from core.explanations.backpropagation import Examples
from core.explanations.explanation import Detail, Explanation, LayerExplanation, NotFinite, explain
from core.gradcheck import directions
from core.layers import Conv1D, Dense, Embedding, Expression, Flatten, ReLU, Residual, Sigmoid, Tanh
from core.losses import BinaryCrossEntropy, CrossEntropy, Hinge, Quadratic
from core.preprocessing import Divide, Preprocessing, Standardize
from core.random import Purpose, Random
from core.schema import ClassTarget, RealTarget
from core.workspace import Workspace
from tests.core.explanations.zoo import NAMES, ZOO, laid_open, some_examples

STEP = 1e-5
ALL = Detail(top=10**6, whole=True)


def cost(subject, examples, theta=None):
    """C by the layers' forward alone."""
    network = subject.network
    theta = subject.theta if theta is None else theta
    workspace = Workspace(network, len(examples), theta=theta, state=subject.state)
    a = workspace.forward(examples.x, examples.mask)
    return float(subject.loss.forward(a, examples.y, np.empty_like(examples.y)).mean())


def walk(layers):
    for layer in layers:
        yield layer
        yield from walk(layer.inner)


def nudges(network, explanation: Explanation):
    """All nudges as one vector in the order of theta."""
    vector = np.full(network.size, np.nan)
    for at, told in zip(network.walk(), walk(explanation.layers), strict=True):
        named = [told.weight_nudge, *told.other_nudges]
        values = {nudge.parameter: nudge.values for nudge in named if nudge is not None}
        for piece in at.parameters:
            kind = piece.name.rsplit(".", 1)[1]
            piece.of(vector)[...] = told.bias_nudge if kind in ("biases", "shift") else values.pop(kind)
        assert not values
    return vector


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize(("layers", "shape"), ZOO, ids=NAMES)
def test_nudges_are_minus_the_gradient(layers, shape, rows):
    """Against central differences of the cost along random directions of all weights."""
    subject = laid_open(layers, shape)
    examples = some_examples(subject, rows=rows)
    found = explain(subject, examples, ALL)
    assert found.cost == pytest.approx(cost(subject, examples))
    nudge = nudges(subject.network, found)
    for u in directions(Random(rows, Purpose.CHECK), subject.network.size, count=4):
        above, below = (cost(subject, examples, subject.theta + s * STEP * u) for s in (1, -1))
        assert float(-nudge @ u) == pytest.approx((above - below) / (2 * STEP), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize(("layers", "shape"), ZOO, ids=NAMES)
def test_several_rows_are_explained_as_the_average_of_each(layers, shape):
    subject = laid_open(layers, shape)
    examples = some_examples(subject, rows=5)
    single = [Examples(examples.x[i : i + 1], examples.y[i : i + 1], None) for i in range(5)]
    each = [explain(subject, one, ALL) for one in single]
    found = explain(subject, examples, ALL)
    assert found.rows == 5
    assert found.cost == pytest.approx(np.mean([one.cost for one in each]))
    same(nudges(subject.network, found), np.mean([nudges(subject.network, one) for one in each], axis=0))
    told = zip(walk(found.layers), *(walk(one.layers) for one in each), strict=True)
    for layer, *ones in told:
        for name in ("activations", "desire"):
            mean = None if getattr(layer, name) is None else np.mean([getattr(one, name) for one in ones], axis=0)
            same(getattr(layer, name), mean)
        if layer.previous_desire is not None:
            same(layer.previous_desire.summed, np.mean([one.previous_desire.summed for one in ones], axis=0))


@pytest.mark.parametrize("room", [1, 20_000])
@pytest.mark.parametrize(("layers", "shape"), ZOO, ids=NAMES)
def test_rows_that_do_not_fit_together_come_one_after_the_other(layers, shape, room):
    subject = laid_open(layers, shape)
    examples = some_examples(subject, rows=7)
    whole, parts = Averages.over(subject, examples), Averages.over(subject, examples, room)
    assert parts.cost == pytest.approx(whole.cost)
    for name in ("outputs", "target", "inputs", "gradient"):
        same(getattr(parts, name), getattr(whole, name))
    for one, other in zip(parts.layers, whole.layers, strict=True):
        for name in ("activations", "desire", "previous", "seen"):
            same(getattr(one, name), getattr(other, name))


def same(one, other):
    assert (one is None) == (other is None)
    if one is not None:
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("layers", "shape"), ZOO, ids=NAMES)
def test_wishes_lead_from_layer_to_layer_and_down_to_the_inputs(layers, shape):
    """A layer's wish for what came before is the wish of the layer before; the first one's is that for the inputs."""
    subject = laid_open(layers, shape)
    examples = some_examples(subject, rows=2)
    found = explain(subject, examples, ALL)
    for before, behind, at in zip(found.layers, found.layers[1:], subject.network.layers, strict=False):
        assert before.activations.shape == at.output_shape
        if behind.previous_desire is not None:
            same(before.desire, behind.previous_desire.summed)
    if subject.looks_up:
        assert found.input.desire is None
        assert found.layers[0].previous_desire is None
        assert "looked up" in found.notes[0] + found.notes[1]
        return
    wish = found.input.desire
    assert wish.shape == shape
    same(wish, found.layers[0].previous_desire.summed)
    for u in directions(Random(3, Purpose.CHECK), wish.size, count=3):
        moved = STEP * u.reshape(shape)
        above, below = (cost(subject, Examples(examples.x + s * moved, examples.y, None)) for s in (1, -1))
        # The wish is the average over rows; every row is moved.
        assert float(-wish.reshape(-1) @ u) == pytest.approx((above - below) / (2 * STEP), rel=1e-5, abs=1e-8)


def test_the_three_ways_of_a_dense_layer_by_hand():
    subject = laid_open([Dense(units=4), Sigmoid(), Dense(units=3)], (2,))
    examples = some_examples(subject, rows=1)
    hidden, sigmoid, last = explain(subject, examples, ALL).layers
    W1, b1, W2, b2 = (piece.of(subject.theta) for piece in subject.network.parameters())
    z1 = examples.x[0] @ W1 + b1
    a1 = 1 / (1 + np.exp(-z1))
    z2 = a1 @ W2 + b2
    p = np.exp(z2) / np.exp(z2).sum()
    d2 = examples.y[0] - p  # at the logits: target minus probability
    da = W2 @ d2
    d1 = da * a1 * (1 - a1)
    same(hidden.activations, z1)
    same(sigmoid.activations, a1)
    same(last.desire, d2)
    same(sigmoid.desire, da)
    same(hidden.desire, d1)
    same(last.bias_nudge, d2)
    same(last.weight_nudge.values, np.outer(a1, d2))
    same(hidden.weight_nudge.values, np.outer(examples.x[0], d1))
    best = last.weight_nudge.strongest
    assert [abs(pair.nudge) for pair in best] == sorted((abs(pair.nudge) for pair in best), reverse=True)
    assert len({tuple(pair.index) for pair in best}) == W2.size
    for pair in best:
        before, behind = pair.index
        assert pair.activation == pytest.approx(a1[before])
        assert pair.desire == pytest.approx(d2[behind])
        assert pair.nudge == pytest.approx(a1[before] * d2[behind])
    voices = last.previous_desire.each
    same([abs(voice.desire) for voice in voices], sorted(np.abs(d2), reverse=True))
    for voice in voices:
        same(voice.wishes, W2[:, voice.neuron] * d2[voice.neuron])
    same(sum(voice.wishes for voice in voices), last.previous_desire.summed)
    same(last.previous_desire.summed, sigmoid.desire)
    assert sigmoid.previous_desire.each is None
    assert (sigmoid.bias_nudge, sigmoid.weight_nudge, sigmoid.other_nudges, sigmoid.inner) == (None, None, [], [])


@pytest.mark.parametrize(
    ("loss", "width"), [(CrossEntropy(class_weights=(1.0, 2.0)), 2), (BinaryCrossEntropy(class_weights=(1.0, 2.0)), 1)]
)
def test_cross_entropies_wish_at_the_logits(loss, width):
    subject = laid_open([Dense(units=width)], (2,), loss=loss, target=ClassTarget(classes=("no", "yes")))
    for number, label in enumerate(("no", "yes")):
        found = explain(subject, subject.examples(np.array([[0.3, -1.0]]), [label]), ALL)
        target = np.eye(2)[number] if width == 2 else np.array([float(number)])
        same(found.target, target)
        same(found.layers[-1].desire, (number + 1) * (target - found.outputs))


def test_a_convolution_sums_its_nudges_over_positions():
    subject = laid_open([Conv1D(filters=2, kernel=2), Flatten(), Dense(units=3)], (4, 3))
    examples = some_examples(subject, rows=1)
    conv = explain(subject, examples, ALL).layers[0]
    assert conv.desire.shape == conv.activations.shape == (3, 2)
    same(conv.bias_nudge, conv.desire.sum(axis=0))
    x = examples.x[0]
    by_hand = sum(np.einsum("ic,f->icf", x[t : t + 2], conv.desire[t]) for t in range(3))
    same(conv.weight_nudge.values, by_hand)
    assert conv.weight_nudge.shape == [2, 3, 2]
    assert conv.weight_nudge.strongest[0].activation is None
    assert conv.previous_desire.summed.shape == (4, 3)
    assert conv.previous_desire.each is None


def test_layers_inside_a_block_stand_inside_it():
    block = Residual(layers=(Dense(units=4), Tanh(), Dense(units=3)))
    subject = laid_open([Dense(units=3), block, Dense(units=3)], (3,))
    first, around, last = explain(subject, some_examples(subject), ALL).layers
    assert [layer.index for layer in (first, around, last)] == [0, 1, 2]
    assert [(layer.index, layer.type) for layer in around.inner] == [(0, "dense"), (1, "tanh"), (2, "dense")]
    same(around.inner[-1].desire, around.desire)
    same(around.previous_desire.summed, around.desire + around.inner[0].previous_desire.summed)


def test_pixels_are_wished_in_raw_units():
    arrays = {"0.mean": np.array([[3.0, -2.0]]), "0.deviation": np.array([[2.0, 5.0]])}
    for layers in ([Flatten(), Dense(units=3)], [Conv1D(filters=3, kernel=1), Flatten()]):
        subject = laid_open(layers, (1, 2), preprocessing=Preprocessing([Standardize(), Divide(by=4.0)], arrays))
        raw = np.array([[[4.0, 1.0]]])
        found = explain(subject, subject.examples(raw, ["oak"]), ALL)
        assert found.layers[0].previous_desire.units == "raw"
        assert found.layers[1].previous_desire.units == "activations"
        assert any("raw units" in note for note in found.notes)
        for place in range(2):
            moved = STEP * np.eye(2)[place]
            above, below = (cost(subject, subject.examples(raw + s * moved, ["oak"])) for s in (1, -1))
            wish = found.layers[0].previous_desire.summed[0, place]
            assert -wish == pytest.approx((above - below) / (2 * STEP), rel=1e-6)
            assert wish == found.input.desire[0, place]


def test_each_neurons_wishes_for_raw_inputs_add_up():
    subject = laid_open([Dense(units=3), Tanh(), Dense(units=3)], (2,), preprocessing=Preprocessing([Divide(by=7)], {}))
    wishes = explain(subject, some_examples(subject), ALL).layers[0].previous_desire
    assert wishes.units == "raw"
    same(sum(voice.wishes for voice in wishes.each), wishes.summed)


def test_the_ranking_is_that_of_all_derivatives():
    subject = laid_open([Flatten(), Dense(units=5), ReLU(), Dense(units=3)], (2, 3))
    examples = some_examples(subject)
    found = explain(subject, examples, Detail(top=7)).sensitivity
    gradient = subject.backpropagate(examples).gradient
    sizes = np.sort(np.abs(gradient))[::-1]
    assert [one.sensitivity for one in found.ranking] == list(sizes[:7])
    assert [one.rank for one in found.ranking] == list(range(1, 8))
    assert found.parameters == len(sizes)
    assert found.unmoved == int((sizes == 0).sum())
    moved = sizes[sizes > 0]
    assert found.middle.sensitivity == moved[(len(moved) - 1) // 2]
    names = {piece.name: piece for piece in subject.network.parameters()}
    for one in found.ranking:
        assert one.derivative == names[one.parameter].of(gradient)[tuple(one.index)]
        assert one.times == one.sensitivity / found.middle.sensitivity
    first = found.ranking[0]
    times = f"{first.times:,.0f}" if first.times >= 10 else f"{first.times:.1f}"
    said = f"The cost is {times} times more sensitive to {first.name} than to {found.middle.name}, which is number"
    assert found.says.startswith(said)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ([0.0, 0.0], "Only the bias of neuron 0 of layer 0 (dense) moves the cost."),
        (
            [0.0, 0.25],
            "The cost is 4.0 times more sensitive to the bias of neuron 0 of layer 0 (dense) than to the weight from "
            "input 1 to neuron 0 of layer 0 (dense), the only other that moves it.",
        ),
        (
            [0.0, 1.0],
            "The cost is about as sensitive to the weight from input 1 to neuron 0 of layer 0 (dense) as to the bias "
            "of neuron 0 of layer 0 (dense), the only other that moves it.",
        ),
        (
            [1.0, 1.0],
            "The cost is about as sensitive to the weight from input 0 to neuron 0 of layer 0 (dense) as to the bias "
            "of neuron 0 of layer 0 (dense), which is number 2 of 3 that move it.",
        ),
    ],
)
def test_no_weight_is_compared_with_itself(inputs, says):
    subject = laid_open([Dense(units=1)], (2,), loss=Quadratic(), target=RealTarget(shape=(1,)))
    assert explain(subject, subject.examples(np.array([inputs]), [9.0]), Detail(top=1)).sensitivity.says == says


def test_weights_are_named_by_their_ends():
    block = Residual(layers=(Dense(units=3), formula()))
    subject = laid_open([Flatten(), Dense(units=3), block, Dense(units=3)], (2, 3))
    ranking = explain(subject, some_examples(subject), Detail(top=10**6)).sensitivity.ranking
    assert len(ranking) == subject.network.size
    names = {(one.parameter, *one.index): one.name for one in ranking}
    assert names["layers.1.weights", 4, 2] == "the weight from input 1, 1 to neuron 2 of layer 1 (dense)"
    assert names["layers.1.biases", 0] == "the bias of neuron 0 of layer 1 (dense)"
    inner = "the weight from output 1 of layer 1 (dense) to neuron 0 of layer 2.0 (dense)"
    assert names["layers.2.layers.0.weights", 1, 0] == inner
    assert names["layers.2.layers.1.beta", 0] == "beta[0] of layer 2.1 (expression)"
    behind = "the weight from output 0 of layer 2 (residual) to neuron 1 of layer 3 (dense)"
    assert names["layers.3.weights", 0, 1] == behind


def formula():
    return Expression(expression="x * sigmoid(beta * x)", parameters={"beta": 1.0})


def test_nothing_moves_a_cost_that_is_already_0():
    subject = laid_open([Dense(units=1)], (1,), loss=Quadratic(), target=RealTarget(shape=(1,)))
    right = subject.theta[0] * 2.0 + subject.theta[1]
    found = explain(subject, subject.examples(np.array([[2.0]]), [right]), ALL)
    assert found.sensitivity.says == "No weight moves the cost here: every derivative is 0."
    assert found.sensitivity.ranking == []
    bare = laid_open([Sigmoid()], (3,), loss=Quadratic(), target=RealTarget(shape=(3,)))
    found = explain(bare, some_examples(bare), ALL)
    assert found.sensitivity.says == "This model has no weights."


def test_as_much_is_told_as_is_asked_for():
    layers = [Embedding(size=6, dimension=3), Flatten(), Dense(units=40), Tanh(), Dense(units=3)]
    subject = laid_open(layers, (40,))
    examples = some_examples(subject)
    small = explain(subject, examples, Detail(top=2))
    assert len(small.sensitivity.ranking) == 2
    assert [len(layer.previous_desire.each) for layer in (small.layers[2], small.layers[4])] == [2, 2]
    assert small.layers[2].weight_nudge.values is None  # 4,800 numbers
    assert small.layers[4].weight_nudge.values is not None
    assert len(small.layers[2].weight_nudge.strongest) == 2
    whole = explain(subject, examples, Detail(top=2, whole=True, layers={2}))
    assert [layer.index for layer in whole.layers] == [2]
    assert whole.layers[0].weight_nudge.values.shape == (120, 40)
    assert explain(subject, examples, Detail(whole=False)).layers[4].weight_nudge.values is None


def count(value) -> int:
    if isinstance(value, np.ndarray):
        return value.size
    if isinstance(value, list | tuple):
        return sum(map(count, value))
    if hasattr(value, "__dataclass_fields__"):
        return sum(count(getattr(value, field.name)) for field in fields(value))
    return 1 if isinstance(value, int | float) else 0


@pytest.mark.parametrize(("layers", "shape"), ZOO, ids=NAMES)
def test_the_size_of_an_answer_is_foreseen(layers, shape):
    subject = laid_open(layers, shape)
    for detail in (Detail(), ALL, Detail(top=3, whole=False)):
        found = explain(subject, some_examples(subject), detail)
        told, foreseen = count(found), detail.numbers(subject.network)
        assert told <= 2 * foreseen + 60
        assert foreseen <= 2 * told + 60


def test_batch_norm_says_that_its_statistics_are_fixed():
    for layers, shape in ZOO:
        subject = laid_open(layers, shape)
        notes = " ".join(explain(subject, some_examples(subject, rows=1), Detail()).notes)
        normalised = any(at.layer.type == "batch_norm" for at in subject.network.walk())
        assert ("mean and variance are fixed" in notes) == normalised


def test_every_key_is_there_in_order():
    subject = laid_open([Flatten(), Dense(units=3)], (2, 2))
    flatten, dense = explain(subject, some_examples(subject), Detail()).layers
    names = [field.name for field in fields(LayerExplanation)]
    wanted = ["index", "type", "activations", "desire", "bias_nudge", "weight_nudge", "previous_desire"]
    assert [name for name in names if name in wanted] == wanted
    assert flatten.bias_nudge is flatten.weight_nudge is None
    same(flatten.desire.reshape(2, 2), flatten.previous_desire.summed)
    assert dense.bias_nudge is not None


def test_what_is_not_finite_is_refused():
    subject = laid_open([Dense(units=1)], (1,), loss=Quadratic(), target=RealTarget(shape=(1,)))
    with pytest.raises(NotFinite):
        explain(subject, subject.examples(np.array([[1e200]]), [0.0]), Detail())


def test_under_label_smoothing_the_target_is_the_smoothed_one():
    """So that a wish at the logits is target minus probability, times the weight of the class."""
    loss = CrossEntropy(label_smoothing=0.1, class_weights=(1.0, 2.0, 5.0))
    subject = laid_open([Dense(units=3)], (4,), loss=loss)
    examples = some_examples(subject, rows=1)
    found = explain(subject, examples, ALL)
    right = int(examples.y[0].argmax())
    same(found.target, 0.9 * np.eye(3)[right] + 0.1 / 3)
    same(found.layers[-1].desire, (1.0, 2.0, 5.0)[right] * (found.target - found.outputs))
    assert any("label_smoothing of 0.1" in note for note in found.notes)
    plain = laid_open([Dense(units=3)], (4,))
    assert not any("smooth" in note for note in explain(plain, some_examples(plain), ALL).notes)


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        (BinaryCrossEntropy(), "is the probability of 'yes'"),
        (Hinge(), "above 0, 'yes'"),
        (Quadratic(), "above 0.5, 'yes'"),
    ],
)
def test_one_output_for_two_classes_says_which_it_speaks_for(loss, says):
    target = ClassTarget(classes=("no", "yes"))
    subject = laid_open([Dense(units=1)], (2,), loss=loss, target=target)
    assert says in explain(subject, some_examples(subject), ALL).notes[0]
    two = laid_open([Dense(units=2)], (2,), loss=loss, target=target)
    assert not any("'yes'" in note for note in explain(two, some_examples(two), ALL).notes)
