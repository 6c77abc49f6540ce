"""Augmentation: what each step does to an image, and that the same place always draws the same."""

import tracemalloc
from math import cos, radians, sin
from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError

from core.augmentation import (
    AnyAugmentation,
    Augmentation,
    AugmentationStep,
    Flip,
    Noise,
    Rotate,
    Scale,
    Shift,
    augmentation_bytes,
)
from core.batches import Batches
from core.estimate import check
from core.preprocessing import Preprocessing, PreprocessingSpec
from core.random import Purpose, Random, uniform_rows
from core.schema import DataSchema, RealTarget
from core.spec import SpecError, findings
from core.training import fit

STEPS = [Shift(pixels=2), Rotate(degrees=20), Scale(factor=0.2), Noise(deviation=0.1), Flip()]
ALL = [{"type": "shift", "pixels": 1}, {"type": "rotate", "degrees": 10}, {"type": "scale", "factor": 0.1}]
ALL += [{"type": "noise", "deviation": 0.1}, {"type": "flip"}]
over_steps = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.type)


def images(n=6, shape=(8, 7), seed=0, dtype="float64"):
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(dtype)


def varied(steps, x, rows=None, *, seed=3, epoch=0, blank=None):
    out = x.copy()
    blank = np.zeros(x.shape[1:], x.dtype) if blank is None else blank
    Augmentation(steps, seed, blank).apply(out, np.arange(len(x)) if rows is None else rows, epoch)
    return out


def by(step, x, u, blank=0.0):
    """One image (h, w) varied by the given draws."""
    out = x.copy()[None, :, :, None]
    step.apply(out, np.array([u]), np.full((*x.shape, 1), blank))
    return out[0, :, :, 0]


def test_every_step_is_in_the_union():
    union = set(get_args(get_args(AnyAugmentation)[0]))
    assert union == set(AugmentationStep.__subclasses__()) == {type(step) for step in STEPS}


def test_draws_by_row_are_those_of_a_stream_for_each_row():
    rows = np.array([5, 0, 2**32 - 1])
    drawn = uniform_rows(2**40 + 7, Purpose.AUGMENTATION, rows, 5, epoch=9, layer=3)
    for row, found in zip(rows.tolist(), drawn, strict=True):
        alone = Random(2**40 + 7, Purpose.AUGMENTATION, epoch=9, step=row, layer=3).uniform((5,))
        assert np.array_equal(found, alone)


def test_shift_moves_whole_pixels():
    x = np.arange(1.0, 13).reshape(3, 4)
    assert np.array_equal(by(Shift(pixels=1), x, (0.5, 0.5)), x)
    moved = by(Shift(pixels=1), x, (0.9, 0.1), blank=-1.0)  # one down, one to the left
    assert np.array_equal(moved, [[-1, -1, -1, -1], [2, 3, 4, -1], [6, 7, 8, -1]])


def test_every_shift_is_as_likely_as_any_other():
    u = np.stack([np.linspace(0.001, 0.999, 500)] * 2, axis=1)
    x = np.zeros((500, 5, 5, 1))
    x[:, 2, 2] = 1
    Shift(pixels=2).apply(x, u, np.zeros((5, 5, 1)))
    assert x.sum(axis=0)[..., 0].diagonal().tolist() == [100] * 5


def test_flip_mirrors_left_and_right():
    x = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(by(Flip(), x, (0.4,)), x[:, ::-1])
    assert np.array_equal(by(Flip(), x, (0.6,)), x)


def test_half_of_the_images_are_flipped():
    x = images(2000, (2, 2))
    changed = (varied([Flip()], x) != x).any(axis=(1, 2))
    assert abs(changed.mean() - 0.5) < 0.05


def test_noise_has_its_deviation():
    x = np.zeros((500, 9, 9))
    y = varied([Noise(deviation=0.3)], x)
    assert abs(y.std() - 0.3) < 0.003
    assert abs(y.mean()) < 0.005


@pytest.mark.parametrize("turn", [-90, 90, 180])
def test_a_quarter_turn_moves_each_pixel_to_a_pixel(turn):
    x = images(1, (5, 5))[0]
    turned = by(Rotate(degrees=180), x, ((turn / 180 + 1) / 2,))
    assert np.allclose(turned, np.rot90(x, turn // 90))


def bilinear(x, row, column, blank):
    """The value between pixels, pixel by pixel; `blank` outside."""
    total = 0.0
    for r in (int(np.floor(row)), int(np.floor(row)) + 1):
        for c in (int(np.floor(column)), int(np.floor(column)) + 1):
            inside = 0 <= r < x.shape[0] and 0 <= c < x.shape[1]
            total += (1 - abs(row - r)) * (1 - abs(column - c)) * (x[r, c] if inside else blank)
    return total


@pytest.mark.parametrize("u", [0.05, 0.4, 0.99])
def test_rotate_and_scale_equal_a_loop_over_pixels(u):
    x = images(1, (6, 9))[0]
    angle, times = radians((2 * u - 1) * 30), 1 + (2 * u - 1) * 0.5
    turned, scaled = by(Rotate(degrees=30), x, (u,), 0.7), by(Scale(factor=0.5), x, (u,), 0.7)
    for r, c in np.ndindex(x.shape):
        down, right = r - 2.5, c - 4.0
        at = 2.5 + cos(angle) * down + sin(angle) * right, 4.0 - sin(angle) * down + cos(angle) * right
        assert turned[r, c] == pytest.approx(bilinear(x, *at, 0.7), abs=1e-12)
        assert scaled[r, c] == pytest.approx(bilinear(x, 2.5 + down / times, 4.0 + right / times, 0.7), abs=1e-12)


@over_steps
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_channels_are_varied_alike(step, dtype):
    x = images(dtype=dtype)
    both = varied([step], np.stack([x, 2 * x], axis=-1), blank=np.zeros((8, 7, 2), dtype))
    assert both.dtype == dtype
    if step.type != "noise":
        assert np.allclose(both[..., 1], 2 * both[..., 0], rtol=1e-6)
        assert np.array_equal(both[..., 0], varied([step], x))


@over_steps
def test_an_image_is_varied_alike_in_any_batch(step):
    x, rows = images(6), np.array([4, 9, 1, 7, 3, 2])
    whole = varied([step], x, rows)
    order = np.array([3, 0, 5, 1, 4, 2])
    assert np.array_equal(varied([step], x[order], rows[order]), whole[order])
    for i in range(6):
        assert np.array_equal(varied([step], x[i : i + 1], rows[i : i + 1])[0], whole[i])


def test_large_images_go_through_in_pieces():
    x = images(3, (200, 150))
    whole = varied(STEPS, x)
    assert np.array_equal(varied(STEPS, x[2:], np.array([2]))[0], whole[2])


@over_steps
def test_epochs_seeds_and_places_draw_differently(step):
    x = images(40)
    found = [varied([step], x), varied([step], x, epoch=1), varied([step], x, seed=4), varied([step, step], x)]
    assert len({y.tobytes() for y in found}) == 4


def test_nothing_asked_nothing_done():
    x = np.ones((3, 5))
    assert np.array_equal(varied([], x), x)


def test_noise_takes_inputs_of_any_shape():
    assert varied([Noise(deviation=1.0)], np.zeros((3, 5))).std() > 0.5
    assert varied([Noise(deviation=1.0)], np.zeros((3, 2, 2, 2, 2))).std() > 0.5


def test_memory_stays_under_the_estimate():
    for shape in (28, 28), (300, 300), (64, 64, 3):
        x = images(64 if shape[0] < 100 else 2, shape, dtype="float32")
        blank, rows = np.zeros(shape, "float32"), np.arange(len(x))
        tracemalloc.start()
        Augmentation(STEPS, 0, blank).apply(x, rows, 0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= augmentation_bytes(STEPS, shape)
    assert augmentation_bytes([], (28, 28)) == 0


# In a run


def weights(events):
    last = list(events)[-1].checkpoint()
    return {name: value for name, value in last.tensors.items() if name.startswith("layers.")}


def same(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a)


def test_a_run_draws_the_same_again_and_it_matters(classes, make_spec):
    data = classes()
    spec = make_spec(augmentation=ALL, validation={"fraction": 0.2})
    first = weights(fit(spec, data))
    assert same(first, weights(fit(spec, data)))
    assert not same(first, weights(fit(make_spec(validation={"fraction": 0.2}), data)))


def test_a_resumed_run_draws_what_an_undisturbed_one_does(classes, make_spec):
    data = classes()
    spec = make_spec(augmentation=ALL, preprocessing={"scale": "standard"})
    undisturbed = weights(fit(spec, data))
    for stop in range(1, 9, 3):  # in mid-epoch and at its end
        events = fit(spec, data, chunk_s=0)
        checkpoint = [next(events) for _ in range(stop)][-1].checkpoint()
        events.close()
        assert same(undisturbed, weights(fit(spec, data, resume=checkpoint)))


def test_edges_are_what_raw_zeros_become(classes):
    """Into an image of zeros, which is the mean once standardised, a shift brings preprocessed raw zeros."""
    data = classes()
    preprocessing = Preprocessing.fit(PreprocessingSpec(scale="standard"), data)
    blank = Batches(data, preprocessing, rows=1, width=3, dtype="float64").blank()
    assert np.array_equal(blank, preprocessing.apply(np.zeros((1, 4, 3), np.uint8), np.empty((1, 4, 3)))[0])
    shifted = varied([Shift(pixels=2)], np.zeros((50, 4, 3)), blank=blank)
    assert (shifted != 0).any(axis=0).all()
    assert ((shifted == 0) | (shifted == blank)).all()


@pytest.mark.parametrize("step", ALL, ids=lambda step: step["type"])
def test_only_images_are_varied(make_spec, step):
    schema = DataSchema(rows=100, input_shape=(5,), input_dtype="float64", target=RealTarget(shape=()))
    spec = make_spec(layers=[{"type": "dense", "units": 1}], loss={"type": "quadratic"}, augmentation=[step])
    if step["type"] == "noise":
        assert check(spec, schema, None).memory_bytes > 0
        return
    with pytest.raises(SpecError) as caught:
        check(spec, schema, None)
    (error,) = caught.value.errors
    assert error.pointer == "/augmentation/0"
    assert "height x width" in error.detail


def test_a_shift_leaves_something_of_the_image(classes, make_spec):
    spec = make_spec(augmentation=[{"type": "flip"}, {"type": "shift", "pixels": 3}])
    with pytest.raises(SpecError) as caught:
        check(spec, classes().schema, None)
    assert caught.value.errors[0].pointer == "/augmentation/1/pixels"
    assert "4 x 3 pixels" in caught.value.errors[0].detail


@pytest.mark.parametrize(
    "step",
    [
        {"type": "shift", "pixels": 0},
        {"type": "shift", "pixels": 1.5},
        {"type": "rotate", "degrees": 181},
        {"type": "scale", "factor": 1.0},
        {"type": "noise", "deviation": 0},
        {"type": "flip", "probability": 0.5},
        {"type": "crop"},
    ],
)
def test_what_makes_no_sense_is_refused(make_spec, step):
    with pytest.raises(ValidationError):
        make_spec(augmentation=[step])


def test_a_step_named_like_a_field_hides_no_place(make_spec):
    with pytest.raises(ValidationError) as caught:
        make_spec(preprocessing={"scale": 3}, augmentation=[{"type": "scale", "factor": "x", "scale": 1}])
    pointers = {finding.pointer for finding in findings(caught.value)}
    assert pointers == {"/preprocessing/scale", "/augmentation/0/factor", "/augmentation/0/scale"}


def test_the_estimate_counts_its_memory(classes, make_spec):
    schema = classes().schema
    without, within = (check(make_spec(augmentation=a), schema, None).memory_bytes for a in ([], ALL))
    assert within - without >= augmentation_bytes(STEPS, (4, 3))
