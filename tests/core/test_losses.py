"""What holds for every loss, tested once over the union, and each definition against its formula."""

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from core.gradcheck import loss_error
from core.losses import (
    AnyLoss,
    BinaryCrossEntropy,
    CrossEntropy,
    Hinge,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Quadratic,
)
from core.schema import ClassTarget, RealTarget
from tests.core.unions import concrete, members

UNION = members(AnyLoss)
WEIGHTS = (0.5, 2.0, 0.0, 3.0)
CASES = [
    *(cls() for cls in UNION),
    Huber(delta=0.3),
    CrossEntropy(label_smoothing=0.1),
    CrossEntropy(class_weights=WEIGHTS),
    CrossEntropy(label_smoothing=0.2, class_weights=WEIGHTS),
    BinaryCrossEntropy(class_weights=WEIGHTS),
]
over_losses = pytest.mark.parametrize("loss", CASES, ids=str)
ONE_HOT = np.eye(4)[[0, 2, 3, 1, 1]]


def costs(loss, a, y):
    return loss.forward(a, y, np.empty_like(a))


def test_every_loss_class_is_in_the_union():
    assert concrete(Loss) == set(UNION)


@over_losses
def test_backward_is_the_derivative_of_forward(loss):
    smooth = 0.9 * ONE_HOT + 0.025
    targets = [ONE_HOT, smooth]
    if not isinstance(loss, CrossEntropy) and not getattr(loss, "class_weights", None):
        targets.append(ONE_HOT[:, :1])  # two classes
    if not loss.classes_only:
        targets.append(np.random.default_rng(0).normal(size=(6, 3)))
    assert max(loss_error(loss, y, seed=seed) for y in targets for seed in range(3)) < 1e-6


@over_losses
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_types_are_kept_and_inputs_not_changed(loss, dtype):
    a = np.random.default_rng(0).normal(size=(5, 4)).astype(dtype)
    y, room, before = ONE_HOT.astype(dtype), np.empty((5, 4), dtype), a.copy()
    assert loss.forward(a, y, room).dtype == dtype
    assert loss.forward(a, y, room).shape == (5,)
    assert loss.backward(a, y, room).dtype == dtype
    assert loss.outputs(a).dtype == dtype
    assert np.array_equal(a, before)
    assert np.array_equal(y, ONE_HOT)


@over_losses
def test_json_brings_the_loss_back(loss):
    adapter = TypeAdapter(AnyLoss)
    assert adapter.validate_json(adapter.dump_json(loss)) == loss


@over_losses
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_values_stay_finite(loss, dtype):
    a = np.array([[1e4, -1e4, 0, 3e3], [-1e4, 1e4, 5, -3e3]], dtype)
    y, room = ONE_HOT[:2].astype(dtype), np.empty((2, 4), dtype)
    assert np.isfinite(loss.forward(a, y, room)).all()
    assert np.isfinite(loss.backward(a, y, room)).all()
    assert np.isfinite(loss.outputs(a)).all()


@over_losses
def test_nan_is_never_hidden(loss):
    for place in range(4):
        a = np.zeros((4, 4))
        a[:, place] = np.nan
        assert np.isnan(costs(loss, a, np.eye(4))).all()


def test_quadratic_sums_and_mean_squared_error_averages_over_outputs():
    a, y = np.array([[1.0, 2.0, 4.0]]), np.array([[0.0, 2.0, 1.0]])
    assert costs(Quadratic(), a, y).tolist() == [10.0]
    assert np.allclose(costs(MeanSquaredError(), a, y), 10 / 3)


def test_cross_entropy_is_minus_the_logarithm_of_the_probability():
    a = np.array([[1.0, 2.0, 0.5, -1.0]] * 5)
    p = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    assert np.allclose(costs(CrossEntropy(), a, ONE_HOT), -np.log(p[ONE_HOT == 1]), rtol=1e-14)
    assert np.allclose(CrossEntropy().outputs(a), p, rtol=1e-14)


def test_binary_cross_entropy_sums_over_outputs():
    a = np.random.default_rng(0).normal(size=(5, 4))
    p = 1 / (1 + np.exp(-a))
    expected = -(ONE_HOT * np.log(p) + (1 - ONE_HOT) * np.log(1 - p)).sum(axis=1)
    assert np.allclose(costs(BinaryCrossEntropy(), a, ONE_HOT), expected, rtol=1e-13)
    assert np.allclose(BinaryCrossEntropy().outputs(a), p, rtol=1e-14)


def test_mean_absolute_error_and_huber_by_hand():
    a, y = np.array([[1.0, 2.0, 4.0, -1.0]]), np.array([[0.5, 2.0, 1.0, 1.0]])
    room = np.empty_like(a)
    assert np.allclose(MeanAbsoluteError().forward(a, y, room), (0.5 + 0 + 3 + 2) / 4)
    assert np.allclose(MeanAbsoluteError().backward(a, y, room), [[0.25, 0, 0.25, -0.25]])
    assert np.allclose(Huber(delta=2).forward(a, y, room), (0.5**2 / 2 + 0 + 2 * (3 - 1) + 2**2 / 2) / 4)
    assert np.allclose(Huber(delta=2).backward(a, y, room), np.array([[0.5, 0, 2, -2]]) / 4)


def test_huber_lies_between_the_square_and_the_absolute_error():
    random = np.random.default_rng(0)
    a, y = random.normal(size=(50, 3)), random.normal(size=(50, 3))
    assert np.allclose(costs(Huber(delta=1e3), a, y), costs(MeanSquaredError(), a, y) / 2)
    assert np.allclose(costs(Huber(delta=1e-6), a, y), 1e-6 * costs(MeanAbsoluteError(), a, y), rtol=1e-5)


def test_hinge_is_one_plus_the_strongest_rival_minus_the_right_one():
    a = np.random.default_rng(1).normal(size=(200, 4))
    right = np.random.default_rng(2).integers(0, 4, 200)
    expected, gradient = [], np.zeros_like(a)
    for row, (scores, t) in enumerate(zip(a.tolist(), right.tolist(), strict=True)):
        rival = max((j for j in range(4) if j != t), key=lambda j: scores[j])
        expected.append(max(0.0, 1 + scores[rival] - scores[t]))
        if expected[-1]:
            gradient[row, rival], gradient[row, t] = 1, -1
    room = np.empty_like(a)
    assert 0 < expected.count(0.0) < 200
    assert np.allclose(Hinge().forward(a, np.eye(4)[right], room), expected, rtol=1e-14)
    assert np.array_equal(Hinge().backward(a, np.eye(4)[right], room), gradient)


def test_hinge_of_one_output():
    a, y, room = np.array([[0.25], [0.25], [2.0], [-2.0]]), np.array([[1.0], [0.0], [1.0], [1.0]]), np.empty((4, 1))
    assert Hinge().forward(a, y, room).tolist() == [0.75, 1.25, 0, 3]
    assert Hinge().backward(a, y, room).tolist() == [[-1], [1], [0], [-1]]


def test_equal_rivals_are_one_rival():
    room = np.empty((1, 3))
    assert Hinge().forward(np.array([[0.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0]]), room) == 1
    assert room.tolist() == [[1, -1, 0]]


def test_label_smoothing_is_another_target():
    a = np.random.default_rng(0).normal(size=(5, 4))
    room, other = np.empty_like(a), np.empty_like(a)
    smooth = 0.9 * ONE_HOT + 0.1 / 4
    loss = CrossEntropy(label_smoothing=0.1)
    assert np.allclose(loss.forward(a, ONE_HOT, room), CrossEntropy().forward(a, smooth, other), rtol=1e-13)
    assert np.allclose(loss.backward(a, ONE_HOT, room), CrossEntropy().backward(a, smooth, other), rtol=1e-13)


@pytest.mark.parametrize(
    ("loss", "width"), [(CrossEntropy(label_smoothing=0.1), 4), (BinaryCrossEntropy(), 4), (BinaryCrossEntropy(), 1)]
)
def test_class_weights_multiply_the_examples_and_nothing_else(loss, width):
    labels = np.array([0, 2, 3, 1, 1]) if width > 1 else np.array([0, 1, 1, 0, 1])
    y = np.eye(4)[labels] if width > 1 else labels[:, None].astype(float)
    weights = WEIGHTS if width > 1 else WEIGHTS[:2]
    weighted = loss.model_copy(update={"class_weights": weights})
    a = np.random.default_rng(0).normal(size=y.shape)
    room, other = np.empty_like(a), np.empty_like(a)
    w = np.array(weights)[labels]
    assert np.allclose(weighted.forward(a, y, room), w * loss.forward(a, y, other), rtol=1e-14)
    assert np.allclose(weighted.backward(a, y, room), w[:, None] * loss.backward(a, y, other), rtol=1e-14)


def test_class_weights_are_one_for_each_class():
    three = ClassTarget(classes=("a", "b", "c"))
    assert list(CrossEntropy(class_weights=(1, 2, 3)).misfits(three)) == []
    ((field, detail),) = CrossEntropy(class_weights=(1, 2)).misfits(three)
    assert field == "class_weights"
    assert "2 weights but the dataset has 3 classes" in detail
    ((_, detail),) = BinaryCrossEntropy(class_weights=(0, 0, 0)).misfits(three)
    assert "nothing would be learned" in detail
    for wrong in (-1.0, "1", None, float("inf")):
        with pytest.raises(ValidationError):
            CrossEntropy(class_weights=(1, wrong))


@over_losses
def test_at_the_threshold_a_prediction_is_even_and_neither_target_costs_more(loss):
    if 1 in loss.widths(ClassTarget(classes=(0, 1))) and not getattr(loss, "class_weights", None):
        a = np.array([[loss.threshold]])
        assert loss.outputs(a) == loss.even
        assert np.isclose(costs(loss, a, np.array([[0.0]])), costs(loss, a, np.array([[1.0]])))


def test_widths_follow_the_target():
    two, three, real = ClassTarget(classes=(0, 1)), ClassTarget(classes=(0, 1, 2)), RealTarget(shape=(2, 3))
    assert Quadratic().widths(two) == (2, 1)
    assert CrossEntropy().widths(two) == (2,)
    assert BinaryCrossEntropy().widths(three) == (3,)
    assert MeanSquaredError().widths(real) == (6,)
    assert Hinge().widths(two) == (2, 1)
    assert Hinge().widths(three) == (3,)
