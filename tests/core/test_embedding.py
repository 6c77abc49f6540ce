"""Embedding: looking up, what it learns, and numbers it does not know."""

import numpy as np
import pytest

from core.categories import first_stray
from core.data import Dataset
from core.estimate import check
from core.layers import Dense, Embedding, Flatten, ReLU, Residual
from core.network import Network, ShapeError
from core.predictor import Predictor
from core.schema import ClassTarget, DataSchema
from core.spec import SpecError
from core.training import Epoch, fit
from core.workspace import Workspace

LAYERS = [
    {"type": "embedding", "size": 10, "dimension": 4},
    {"type": "lstm", "units": 5},
    {"type": "dense", "units": 2},
]


def words(rows=40, low=0, high=10, dtype="uint8"):
    """Sequences of six numbers; the class says whether 3 is among them."""
    x = np.random.default_rng(0).integers(low, high, (rows, 6)).astype(dtype)
    y = (x == 3).any(axis=1).astype(np.int32)
    schema = DataSchema(rows=rows, input_shape=(6,), input_dtype=dtype, target=ClassTarget(classes=(False, True)))
    return Dataset(schema, x, y)


def spec_of(make_spec, **changes):
    return make_spec(**({"layers": LAYERS, "preprocessing": {"scale": "none"}} | changes))


def test_rows_are_looked_up_and_gradients_summed():
    network = Network.trace([Embedding(size=4, dimension=2)], (3,))
    theta, gradient = np.arange(8.0), np.full(8, 9.0)
    workspace = Workspace(network, 2, theta=theta, state=np.empty(0), gradient=gradient, training=True)
    y = workspace.forward(np.array([[0.0, 3, 3], [1, 0, 3]]))
    assert y.tolist() == [[[0, 1], [6, 7], [6, 7]], [[2, 3], [0, 1], [6, 7]]]
    assert workspace.backward(np.arange(12.0).reshape(2, 3, 2)) is None
    assert gradient.reshape(4, 2).tolist() == [[0 + 8, 1 + 9], [6, 7], [0, 0], [2 + 4 + 10, 3 + 5 + 11]]


@pytest.mark.parametrize("stray", [-1, 4, 0.5, np.nan, np.inf])
def test_a_stray_number_is_never_another_row(stray):
    network = Network.trace([Embedding(size=4, dimension=2)], (3,))
    y = Workspace(network, 1, theta=np.arange(8.0), state=np.empty(0)).forward(np.array([[1, stray, 2.0]]))
    assert np.isnan(y[0, 1]).all()
    assert y[0, [0, 2]].tolist() == [[2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("layers", "pointer"),
    [
        ([Dense(units=3), Embedding(size=2, dimension=2)], "/network/layers/1"),
        ([Flatten(), ReLU(), Embedding(size=2, dimension=2)], "/network/layers/2"),
        ([Residual(layers=(Embedding(size=2, dimension=1), Flatten()))], "/network/layers/0/layers/0"),
    ],
)
def test_it_comes_first(layers, pointer):
    with pytest.raises(ShapeError, match="put it first") as caught:
        Network.trace(layers, (3,))
    assert caught.value.pointer == pointer
    Network.trace([Flatten(), Embedding(size=2, dimension=2)], (2, 2))


def test_it_trains_and_predicts(make_spec):
    done = [e for e in fit(spec_of(make_spec, epochs=1), words()) if isinstance(e, Epoch)]
    predictor = Predictor.from_checkpoint(done[-1].checkpoint())
    assert predictor.predict(words().x).shape == (40, 2)
    with pytest.raises(SpecError, match="from 0 to 9, but this row holds 10") as caught:
        predictor.predict(np.array([[1] * 6, [0, 10, 0, 0, 0, 0]]))
    assert caught.value.errors[0].pointer == "/inputs/1"


@pytest.mark.parametrize(
    ("scale", "dtype", "refused"),
    [("unit", "uint8", True), ("unit", "float64", False), ("standard", "float64", True), ("none", "uint8", False)],
)
def test_scaled_numbers_cannot_be_looked_up(make_spec, scale, dtype, refused):
    spec, schema = spec_of(make_spec, preprocessing={"scale": scale}), words(dtype=dtype).schema
    if not refused:
        check(spec, schema, None)
        return
    with pytest.raises(SpecError, match="whole numbers as they are") as caught:
        check(spec, schema, None)
    assert [at for at, _ in caught.value.errors] == ["/preprocessing/scale"]


@pytest.mark.parametrize(
    ("data", "pointer", "words_said"),
    [
        (words(high=13), "/network/layers/0/size", "holds the number 12, .* set size to 13"),
        (words(low=-2, dtype="float64"), "/network/layers/0", "holds -"),
    ],
)
def test_a_dataset_with_unknown_numbers_is_refused_before_training(make_spec, data, pointer, words_said):
    with pytest.raises(SpecError, match=words_said) as caught:
        next(fit(spec_of(make_spec), data))
    assert caught.value.errors[0].pointer == pointer
    with pytest.raises(SpecError):
        next(fit(spec_of(make_spec, validation={"dataset": "ds_2"}), words(), data))


@pytest.mark.parametrize(
    ("stray", "says"),
    [
        (2.0**24 - 1, "set size to 16777216."),
        (2.0**24, "a layer knows 16,777,216 numbers at most: number what they stand for from 0 on, or leave"),
        (2.5, "the dataset holds 2.5: leave it out and scale the inputs, or number what they stand for from 0 on."),
    ],
)
def test_the_way_out_of_unknown_numbers_can_be_gone(make_spec, stray, says):
    data = words(dtype="float64")
    data.x[3, 2] = stray
    with pytest.raises(SpecError) as caught:
        next(fit(spec_of(make_spec), data))
    (error,) = caught.value.errors
    assert says in error.detail
    assert error.pointer.endswith("/size") == ("set size" in says)


def test_the_first_stray_number_is_found():
    assert first_stray(np.array([[0, 1], [2, 3]]), 4) is None
    assert first_stray(np.array([[0, 1], [2, 4.5], [-1, 0]]), 5) == (1, 4.5)


@pytest.mark.parametrize(
    ("step", "refused"),
    [
        ({"type": "noise", "deviation": 0.1}, True),
        ({"type": "rotate", "degrees": 10.0}, True),
        ({"type": "scale", "factor": 0.1}, True),
        ({"type": "shift", "pixels": 1}, False),
        ({"type": "flip"}, False),
    ],
)
def test_numbers_that_are_looked_up_may_be_moved_but_not_changed(make_spec, step, refused):
    schema = words().schema.model_copy(update={"input_shape": (3, 2)})
    layers = [{"type": "flatten"}, *LAYERS]
    spec = spec_of(make_spec, layers=layers, augmentation=[{"type": "flip"}, step])
    if not refused:
        check(spec, schema, None)
        return
    with pytest.raises(SpecError, match=f"wants whole numbers as they are, but {step['type']} changes them") as caught:
        check(spec, schema, None)
    assert [at for at, _ in caught.value.errors] == ["/augmentation/1"]
    check(make_spec(layers=[{"type": "flatten"}, LAYERS[2]], augmentation=[step]), schema, None)
