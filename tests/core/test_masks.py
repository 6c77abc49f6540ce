"""Sequences of unequal length, from the dataset's columns to the layers."""

from dataclasses import replace

import numpy as np
import pytest

from core.data import Dataset, DatasetDamaged, digest, split
from core.estimate import check
from core.network import Network
from core.predictor import Predictor
from core.schema import ClassTarget, Column, DataSchema
from core.spec import SpecError
from core.training import Epoch, fit

TIME = 6
LENGTHS = np.array([0, 6, 3, 1, 5, 2, 4, 6] * 5)
FLAGS = (np.arange(TIME) < LENGTHS[:, None]).astype(np.uint8)
MASKS = {
    "one number of steps": (LENGTHS.astype(np.int32),),
    "one array of flags": (FLAGS,),
    "one column for each step": tuple(FLAGS[:, t].copy() for t in range(TIME)),
}
LAYERS = [{"type": "gru", "units": 5}, {"type": "dense", "units": 2}]


def sequences(masks=(), padding=0.0):
    """The class is whether the valid steps of the first feature sum up to more than zero."""
    x = np.random.default_rng(0).normal(size=(len(LENGTHS), TIME, 2))
    y = ((x[:, :, 0] * FLAGS).sum(axis=1) > 0).astype(np.int32)
    x[FLAGS == 0] = padding
    schema = DataSchema(
        rows=len(x),
        input_shape=(TIME, 2),
        input_dtype="float64",
        target=ClassTarget(classes=(False, True)),
        columns=tuple(Column(name=f"m{i}", role="mask") for i in range(len(masks))),
    )
    return Dataset(schema, x, y, masks=masks)


def last(spec, data, validation=None):
    return [e for e in fit(spec, data, validation) if isinstance(e, Epoch)][-1]


@pytest.mark.parametrize("masks", MASKS.values(), ids=MASKS)
def test_every_form_says_the_same(masks):
    data = sequences(masks)
    rows = np.array([5, 0, 2])
    assert np.array_equal(data.mask(rows), FLAGS[rows] == 1)


@pytest.mark.parametrize("masks", MASKS.values(), ids=MASKS)
def test_padding_changes_nothing_in_training_and_validation(make_spec, masks):
    spec = make_spec(layers=LAYERS, validation={"fraction": 0.3})
    zeros, noise = (last(spec, sequences(masks, padding)) for padding in (0.0, 9.0))
    assert zeros.checkpoint().digest == noise.checkpoint().digest
    assert zeros.checkpoint().digest == last(spec, sequences(MASKS["one array of flags"], 9.0)).checkpoint().digest
    assert zeros.checkpoint().digest != last(spec, sequences()).checkpoint().digest


def test_a_model_predicts_with_a_mask_and_without(make_spec):
    masks = MASKS["one array of flags"]
    predictor = Predictor.from_checkpoint(last(make_spec(layers=LAYERS), sequences(masks)).checkpoint())
    x, noise = sequences(masks).x, sequences(masks, 9.0).x
    assert np.array_equal(predictor.predict(x, FLAGS), predictor.predict(noise, FLAGS))
    assert not np.array_equal(predictor.predict(x), predictor.predict(noise))
    whole = LENGTHS == TIME
    assert np.array_equal(predictor.predict(x)[whole], predictor.predict(x, FLAGS)[whole])


@pytest.mark.parametrize("masks", MASKS.values(), ids=MASKS)
def test_masks_are_saved_split_and_opened(tmp_path, masks):
    data, _ = split(sequences(masks), 0.25, 3)
    data.save(tmp_path)
    opened = Dataset.open(tmp_path)
    assert np.array_equal(opened.mask(np.arange(len(opened))), data.mask(data.rows))
    assert digest(tmp_path).startswith("sha256:")
    (tmp_path / "columns" / "0.npy").unlink()
    with pytest.raises(DatasetDamaged):
        Dataset.open(tmp_path)


def test_masks_of_another_length_are_damage():
    with pytest.raises(DatasetDamaged, match="masks"):
        replace(sequences(), masks=(LENGTHS[:3],))
    with pytest.raises(DatasetDamaged, match="masks"):
        replace(sequences(), masks=(LENGTHS.astype(float),))


@pytest.mark.parametrize(
    "masks",
    [
        (FLAGS[:, :4],),
        (FLAGS[:, :, None],),
        (FLAGS, FLAGS),
        (LENGTHS, FLAGS),
    ],
)
def test_masks_of_another_width_are_damage(masks):
    with pytest.raises(DatasetDamaged, match="masks"):
        sequences(masks)


@pytest.mark.parametrize("masks", [(), (LENGTHS, LENGTHS)])
def test_masks_are_as_many_as_the_schema_says(masks):
    with pytest.raises(DatasetDamaged, match="as many masks"):
        replace(sequences((LENGTHS,)), masks=masks)


@pytest.mark.parametrize(
    ("name", "stray", "says"),
    [
        ("one number of steps", TIME + 1, "holds 7, which is not a number of steps from 0 to 6"),
        ("one number of steps", -1, "holds -1, which is not a number of steps"),
        ("one array of flags", 2, "holds 2, which is not 0 or 1"),
        ("one column for each step", 3, "holds 3, which is not 0 or 1"),
    ],
)
def test_masks_that_say_what_cannot_be_are_refused(make_spec, name, stray, says):
    *masks, last_one = MASKS[name]
    changed = last_one.copy()
    changed.flat[5] = stray
    data, sound = sequences((*masks, changed)), sequences()
    aside = make_spec(layers=LAYERS, validation={"dataset": "ds_2"})
    fraction = make_spec(layers=LAYERS, validation={"fraction": 0.5})
    for events, pointer in (
        (fit(make_spec(layers=LAYERS), data), "/dataset"),
        (fit(fraction, data), "/dataset"),
        (fit(aside, sound, data), "/validation/dataset"),
    ):
        with pytest.raises(SpecError, match=says) as caught:
            next(events)
        assert [at for at, _ in caught.value.errors] == [pointer]
    unmoved = make_spec(layers=[{"type": "flatten"}, {"type": "dense", "units": 2}])
    assert last(unmoved, data)


def test_columns_that_do_not_fit_the_steps_are_refused(make_spec):
    odd = sequences(MASKS["one column for each step"][:4])
    with pytest.raises(SpecError, match="4 mask columns do not fit its sequences of 6 steps") as caught:
        check(make_spec(layers=LAYERS), odd.schema, None)
    assert [at for at, _ in caught.value.errors] == ["/dataset"]
    spec = make_spec(layers=LAYERS, validation={"dataset": "ds_2"})
    with pytest.raises(SpecError) as caught:
        check(spec, sequences().schema, odd.schema)
    assert [at for at, _ in caught.value.errors] == ["/validation/dataset"]
    unmoved = make_spec(layers=[{"type": "flatten"}, {"type": "dense", "units": 2}])
    check(unmoved, odd.schema, None)


def test_masks_reach_only_what_still_counts_the_same_steps(make_spec):
    def masked(*layers):
        found = make_spec(layers=list(layers)).network.layers
        return Network.trace(found, (TIME, 2)).masked

    rnn = {"type": "simple_rnn", "units": 2}
    assert masked(rnn)
    assert masked(
        {"type": "layer_norm"}, rnn | {"sequence": True}, {"type": "residual", "layers": [rnn | {"sequence": True}]}
    )
    assert not masked({"type": "dropout", "rate": 0.1}, {"type": "flatten"}, {"type": "dense", "units": 2})
    assert not masked({"type": "flatten"}, {"type": "reshape", "shape": [TIME, 2]}, rnn)
    assert masked({"type": "self_attention"}, {"type": "flatten"}, {"type": "dense", "units": 2})
