"""What does not fit is refused with a sentence, before anything is allocated."""

import re
import tracemalloc
from math import prod

import pytest

from core.estimate import check
from core.footprint import KEPT_BACK
from core.network import ShapeError
from core.optimizers import AnyOptimizer
from core.schema import ClassTarget, DataSchema, RealTarget
from core.spec import SpecError
from core.training import fit
from tests.core.unions import members

IMAGES = DataSchema(rows=100, input_shape=(28, 28), input_dtype="uint8", target=ClassTarget(classes=tuple(range(10))))
TWO = IMAGES.model_copy(update={"target": ClassTarget(classes=("no", "yes"))})
REAL = DataSchema(rows=100, input_shape=(5,), input_dtype="float64", target=RealTarget(shape=(2,)))
FLAT = {"type": "flatten"}


def dense(units):
    return {"type": "dense", "units": units}


def found(spec, schema=IMAGES, validation=None):
    with pytest.raises(SpecError) as caught:
        check(spec, schema, validation)
    return caught.value.errors


@pytest.mark.parametrize(
    ("schema", "layers", "loss", "at", "says"),
    [
        (
            IMAGES,
            [FLAT, dense(16)],
            "cross_entropy",
            "/network/layers/1",
            "The last layer gives 16 numbers per example but the dataset has 10 classes: "
            'end with {"type": "dense", "units": 10}.',
        ),
        (IMAGES, [FLAT, dense(1)], "quadratic", "/network/layers/1", "gives 1 number per example"),
        (REAL, [dense(3)], "quadratic", "/network/layers/0", 'has 2: end with {"type": "dense", "units": 2}'),
        (IMAGES, [dense(10)], "quadratic", "/network/layers/0", '28 x 28: put {"type": "flatten"} before it'),
        (IMAGES, [{"type": "relu"}], "quadratic", "/network/layers", "nothing to learn"),
        (
            IMAGES,
            [FLAT, dense(10), {"type": "softmax"}],
            "cross_entropy",
            "/network/layers/2",
            "remove this softmax layer",
        ),
        (IMAGES, [FLAT, dense(10), {"type": "sigmoid"}], "cross_entropy", "/network/layers/2", "remove this sigmoid"),
        (
            TWO,
            [FLAT, dense(1), {"type": "sigmoid"}, FLAT, {"type": "dropout", "rate": 0.1}],
            "binary_cross_entropy",
            "/network/layers/2",
            "remove this sigmoid",
        ),
        (REAL, [dense(2)], "cross_entropy", "/loss/type", 'use {"type": "mean_squared_error"}'),
        (REAL, [dense(2)], "binary_cross_entropy", "/loss/type", "is for classes"),
        (TWO, [FLAT, dense(1)], "cross_entropy", "/network/layers/1", '"units": 2'),
        (IMAGES, [FLAT, *[dense(2**20)] * 200, dense(10)], "quadratic", "/network/layers", "TB of memory"),
    ],
)
def test_a_network_that_does_not_fit(make_spec, schema, layers, loss, at, says):
    errors = found(make_spec(layers=layers, loss={"type": loss}), schema)
    assert errors[0].pointer == at
    assert says in errors[0].detail


@pytest.mark.parametrize("layers", [[FLAT, dense(1)], [FLAT, dense(2)]])
@pytest.mark.parametrize("loss", ["quadratic", "mean_squared_error", "binary_cross_entropy"])
def test_two_classes_may_be_told_by_one_output_or_two(make_spec, layers, loss):
    assert check(make_spec(layers=layers, loss={"type": loss}), TWO, None).parameters > 0


def fitting(make_spec, **changes):
    return make_spec(layers=[FLAT, dense(10)], **changes)


def test_a_batch_may_be_as_large_as_the_training_rows_and_no_larger(make_spec):
    check(fitting(make_spec, batch_size=100), IMAGES, None)
    check(fitting(make_spec, batch_size=80, validation={"fraction": 0.2}), IMAGES, None)
    (error,) = found(fitting(make_spec, batch_size=81, validation={"fraction": 0.2}))
    assert error.pointer == "/batch_size"
    assert error.detail == "The batch size is 81 but there are only 80 training rows: use at most 80."


def test_one_row_cannot_be_split(make_spec):
    schema = IMAGES.model_copy(update={"rows": 1})
    (error,) = found(fitting(make_spec, batch_size=1, validation={"fraction": 0.5}), schema)
    assert error.pointer == "/validation/fraction"


def test_early_stopping_wants_what_it_watches(make_spec):
    errors = found(fitting(make_spec, early_stopping={"metric": "validation_accuracy", "patience": 1}))
    assert errors[0].pointer == "/early_stopping/metric"
    spec = make_spec(
        layers=[dense(2)],
        loss={"type": "quadratic"},
        early_stopping={"metric": "train_accuracy", "patience": 1},
    )
    assert "no accuracy" in found(spec, REAL)[0].detail


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"input_shape": (27, 28)}, "28 x 28 but validation examples are 27 x 28"),
        ({"target": ClassTarget(classes=(0, "x"))}, "1 classes that the training data have not, such as 'x'"),
        ({"target": ClassTarget(classes=(False, True))}, "2 classes"),
        ({"target": RealTarget(shape=())}, "of kind class but validation targets of kind real"),
    ],
)
def test_a_validation_dataset_must_be_alike(make_spec, changes, says):
    spec = fitting(make_spec, validation={"dataset": "ds_2"})
    check(spec, IMAGES, IMAGES.model_copy(update={"target": ClassTarget(classes=(3, 4))}))
    (error,) = found(spec, IMAGES, IMAGES.model_copy(update=changes))
    assert error.pointer == "/validation/dataset"
    assert says in error.detail


def test_several_findings_come_together(make_spec):
    errors = found(make_spec(layers=[FLAT, dense(3)], batch_size=101))
    assert {e.pointer for e in errors} == {"/network/layers/1", "/batch_size"}


def test_a_shape_error_names_its_place(make_spec):
    with pytest.raises(ShapeError) as caught:
        check(make_spec(layers=[dense(10)]), IMAGES, None)
    assert caught.value.pointer == "/network/layers/0"
    assert "flatten" in caught.value.detail


def test_the_estimate_counts(make_spec):
    estimate = check(fitting(make_spec, dtype="float32"), IMAGES, None)
    assert estimate.parameters == 7850
    assert estimate.flops_per_epoch == 3 * (2 * 784 + 1) * 10 * 100
    assert 4 * 2**20 < estimate.memory_bytes < 8 * 2**20
    huge = check(make_spec(layers=[FLAT, dense(2**20), dense(10)]), IMAGES, None)
    assert huge.memory_bytes > prod((784, 2**20, 3, 8))


def test_the_estimate_allocates_nothing(make_spec):
    spec = make_spec(layers=[FLAT, *[dense(2**16)] * 3, dense(10)])
    tracemalloc.start()
    assert check(spec, IMAGES, None).memory_bytes > 10**10
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_estimate_is_what_a_run_takes(classes, make_spec, optimizer):
    layers = [FLAT, dense(2000), {"type": "relu"}, dense(2000), {"type": "dropout", "rate": 0.5}, dense(3)]
    spec = make_spec(
        layers=layers,
        optimizer={"type": optimizer},
        batch_size=400,
        epochs=1,
        validation={"fraction": 0.2},
        dtype="float32",
    )
    data = classes(rows=500)
    expected = check(spec, data.schema, None).memory_bytes
    tracemalloc.start()
    for event in fit(spec, data):
        event.checkpoint().to_bytes()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= expected <= 1.4 * peak


def test_the_estimate_counts_what_the_optimizer_remembers(make_spec):
    layers = [FLAT, dense(2**16), dense(10)]
    estimates = {
        cls().type: check(make_spec(layers=layers, optimizer={"type": cls().type}), IMAGES, None)
        for cls in members(AnyOptimizer)
    }
    sgd = estimates["sgd"]
    for cls in members(AnyOptimizer):
        more = estimates[cls().type].memory_bytes - sgd.memory_bytes
        # Each vector is there once, and three times in passing while a checkpoint becomes bytes.
        assert more == pytest.approx((1 + KEPT_BACK) * 4 * 8 * sgd.parameters * len(cls().memory()))


def test_the_estimate_covers_the_drawing_of_weights(classes, make_spec):
    layers = [FLAT, dense(700), dense(700) | {"weights": {"type": "orthogonal"}}, dense(3)]
    spec = make_spec(layers=layers, dtype="float32", epochs=1)
    data = classes(rows=50)
    tracemalloc.start()
    list(fit(spec, data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= check(spec, data.schema, None).memory_bytes <= 1.5 * peak


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_class_weights_are_held_against_the_dataset(make_spec, loss):
    check(fitting(make_spec, loss={"type": loss, "class_weights": [1] * 10}), IMAGES, None)
    (error,) = found(fitting(make_spec, loss={"type": loss, "class_weights": [1, 2]}))
    assert error.pointer == "/loss/class_weights"
    assert "2 weights but the dataset has 10 classes" in error.detail


def test_sentences_read_well(make_spec):
    for error in found(make_spec(layers=[FLAT, dense(16)], batch_size=1000)):
        assert re.fullmatch(r"[A-Z].*\.", error.detail)


@pytest.mark.parametrize("last", ["relu", "tanh", "softmax", "sigmoid"])
def test_cross_entropy_wants_a_plain_dense_layer_at_the_end(make_spec, last):
    errors = found(make_spec(layers=[FLAT, dense(10), {"type": last}], loss={"type": "cross_entropy"}), IMAGES)
    assert errors[0].pointer == "/network/layers/2"
    assert f"remove this {last} layer" in errors[0].detail


@pytest.mark.parametrize(
    "behind",
    [
        [{"type": "global_avg_pool"}],
        [{"type": "global_max_pool"}],
        [{"type": "max_pool2d", "size": 28}, FLAT],
        [{"type": "avg_pool2d", "size": 28}, {"type": "reshape", "shape": [10]}],
    ],
)
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_pools_behind_a_convolution_leave_logits_logits(make_spec, behind, loss):
    filters = {"type": "conv2d", "filters": 10, "kernel": 3, "padding": "same"}
    check(make_spec(layers=[filters, *behind], loss={"type": loss}), IMAGES, None)
    errors = found(make_spec(layers=[filters, {"type": "relu"}, *behind], loss={"type": loss}))
    assert [error.pointer for error in errors] == ["/network/layers/1"]
    assert "remove this relu layer" in errors[0].detail


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
def test_where_nothing_can_be_learned_that_is_all_that_is_said(make_spec, loss):
    (error,) = found(make_spec(layers=[{"type": "sigmoid"}], loss={"type": loss}))
    assert error.pointer == "/network/layers"
    assert "nothing to learn" in error.detail


LSTM = {"type": "lstm", "units": 10, "sequence": True}


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ([LSTM], 'give this layer "sequence": false, and end with {"type": "dense", "units": 10}.'),
        ([LSTM, {"type": "tanh"}], 'end with {"type": "flatten"}, {"type": "dense", "units": 10}.'),
        ([{"type": "conv2d", "filters": 4, "kernel": 3}], 'end with {"type": "flatten"}, {"type": "dense"'),
        ([{"type": "conv2d", "filters": 10, "kernel": 28}], 'gives 1 x 1 x 10 .* end with {"type": "flatten"}.'),
    ],
)
def test_what_is_not_flat_at_the_end_is_told_the_whole_way(make_spec, layers, says):
    (error,) = found(make_spec(layers=layers, loss={"type": "quadratic"}))
    assert error.pointer == f"/network/layers/{len(layers) - 1}"
    assert re.search(says.replace("{", r"\{").replace("[", r"\["), error.detail)
    assert error.detail.endswith("}.")


def test_one_value_per_channel_cannot_be_normalised(make_spec):
    norm, ending = {"type": "batch_norm"}, [FLAT, dense(10)]
    conv = {"type": "conv2d", "filters": 4, "kernel": 28}
    for layers in ([conv, norm, *ending], [FLAT, norm, dense(10)]):
        (error,) = found(make_spec(layers=layers, batch_size=1))
        assert error.pointer == "/batch_size"
        assert "use a larger batch, or layer_norm" in error.detail
    check(make_spec(layers=[conv | {"kernel": 27}, norm, *ending], batch_size=1), IMAGES, None)
