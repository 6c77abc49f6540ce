"""What holds for every loss, tested once over the union, and each definition against its formula."""

from typing import get_args

import numpy as np
import pytest
from pydantic import TypeAdapter

from core.gradcheck import loss_error
from core.losses import AnyLoss, BinaryCrossEntropy, CrossEntropy, Loss, MeanSquaredError, Quadratic
from core.schema import ClassTarget, RealTarget

UNION = get_args(get_args(AnyLoss)[0])
over_losses = pytest.mark.parametrize("loss", [cls() for cls in UNION], ids=lambda loss: loss.type)
ONE_HOT = np.eye(4)[[0, 2, 3, 1, 1]]


def costs(loss, a, y):
    return loss.forward(a, y, np.empty_like(a))


def test_every_loss_class_is_in_the_union():
    assert set(Loss.__subclasses__()) == set(UNION)


@over_losses
def test_backward_is_the_derivative_of_forward(loss):
    smooth = 0.9 * ONE_HOT + 0.025
    targets = [ONE_HOT, smooth]
    if not isinstance(loss, CrossEntropy):  # its rows are distributions over the classes
        targets.append(ONE_HOT[:, :1])
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
    assert np.isnan(costs(loss, np.array([[np.nan, 0.0]]), np.array([[1.0, 0.0]]))).all()


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


def test_widths_follow_the_target():
    two, three, real = ClassTarget(classes=(0, 1)), ClassTarget(classes=(0, 1, 2)), RealTarget(shape=(2, 3))
    assert Quadratic().widths(two) == (2, 1)
    assert CrossEntropy().widths(two) == (2,)
    assert BinaryCrossEntropy().widths(three) == (3,)
    assert MeanSquaredError().widths(real) == (6,)
