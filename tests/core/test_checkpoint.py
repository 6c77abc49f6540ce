"""Checkpoints: exact, sealed, and enough to predict from."""

import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load

from core.checkpoint import Checkpoint, CheckpointDamaged
from core.predictor import Predictor
from core.training import fit


@pytest.fixture
def trained(classes, make_spec):
    def train(data=None, **changes):
        data = data or classes()
        (*_, last) = fit(make_spec(**changes), data)
        return last.checkpoint()

    return train


@pytest.fixture(params=["bytes", "file"])
def read(request, tmp_path):
    """The two ways from bytes to the checkpoint."""

    def from_file(content):
        path = tmp_path / "checkpoint.safetensors"
        path.write_bytes(content)
        return Checkpoint.open(path)

    return {"bytes": Checkpoint.from_bytes, "file": from_file}[request.param]


def test_bytes_bring_the_checkpoint_back(trained, read):
    there = trained(optimizer={"type": "adam"}, preprocessing={"scale": "standard"}, validation={"fraction": 0.2})
    back = read(there.to_bytes())
    assert back.to_bytes() == there.to_bytes()
    assert (back.epoch, back.step, back.digest) == (3, 0, there.digest)
    assert back.metrics == there.metrics
    assert back.schema == there.schema
    assert set(back.metrics).isdisjoint({"seconds", "examples_per_s"})


def test_any_safetensors_reader_sees_speaking_names(trained):
    tensors = load(trained(optimizer={"type": "sgd", "momentum": 0.9}).to_bytes())
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "layers.1.weights": (12, 6),
        "layers.1.biases": (6,),
        "layers.3.weights": (6, 3),
        "layers.3.biases": (3,),
        "optimizer.velocity": (99,),
        "sums": (3,),
    }


@pytest.mark.parametrize("content", [b"", b"x", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}"])
def test_what_is_no_checkpoint_is_refused(content, read):
    with pytest.raises(CheckpointDamaged):
        read(content)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CheckpointDamaged):
        Checkpoint.open(tmp_path / "gone")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_no_flipped_bit_and_no_cut_goes_unseen(once, read, at, bit, cut):
    content = bytearray(once)
    place = int(at * len(content))
    content[place] ^= 1 << bit
    damaged = once[:place] if cut else bytes(content)
    with pytest.raises(CheckpointDamaged):
        read(damaged)


@pytest.fixture
def once(trained):
    return trained(epochs=1).to_bytes()


def test_a_model_takes_raw_values(classes, trained):
    data = classes(rows=300)
    checkpoint = trained(data, epochs=30, preprocessing={"scale": "standard"})
    predictor = Predictor.from_checkpoint(Checkpoint.from_bytes(checkpoint.to_bytes()))
    outputs = predictor.predict(data.x)
    assert predictor.input_shape == (4, 3)
    assert outputs.shape == (300, 3)
    assert np.allclose(outputs.sum(axis=1), 1)
    assert (outputs.argmax(axis=1) == data.y).mean() > 0.9
    for other in (data.x.astype(np.int64), data.x.astype(np.float32), data.x.astype(np.float64)):
        assert np.allclose(predictor.predict(other), outputs, atol=1e-12)
    assert np.allclose(predictor.predict(data.x[7:8]), outputs[7], atol=1e-12)
    assert predictor.predict(data.x[:0]).shape == (0, 3)


@pytest.mark.parametrize("inputs", [np.zeros((2, 12)), np.zeros((4, 3)), np.zeros((1, 4, 3), complex), np.array(["a"])])
def test_inputs_of_another_shape_are_refused(trained, inputs):
    with pytest.raises(ValueError, match="4 x 3"):
        Predictor.from_checkpoint(trained(epochs=1)).predict(inputs)


def test_labels_are_the_original_scalars(classes, trained):
    predictor = Predictor.from_checkpoint(trained(classes(labels=(None, True, "x")), epochs=1))
    outputs = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]])
    first, second = predictor.label(outputs, top=2)
    assert first == {
        "class": True,
        "probability": 0.5,
        "top": [{"class": True, "probability": 0.5}, {"class": "x", "probability": 0.3}],
    }
    assert second["class"] is None  # ties go to the first class
    assert predictor.label(outputs, top=0)[0]["top"] == []
    assert len(predictor.label(outputs, top=99)[0]["top"]) == 3


def test_one_output_tells_two_classes(classes, trained):
    data = classes(rows=200, labels=("no", "yes"))
    layers = [{"type": "flatten"}, {"type": "dense", "units": 1}]
    optimizer = {"type": "sgd", "learning_rate": 1.0}
    checkpoint = trained(data, layers=layers, loss={"type": "binary_cross_entropy"}, epochs=40, optimizer=optimizer)
    predictor = Predictor.from_checkpoint(checkpoint)
    outputs = predictor.predict(data.x)
    assert outputs.shape == (200, 1)
    said = [p["class"] for p in predictor.label(outputs, top=1)]
    assert said == [("no", "yes")[int(o > 0.5)] for o in outputs[:, 0]]
    assert np.mean([s == ("no", "yes")[y] for s, y in zip(said, data.y, strict=True)]) > 0.9
    assert checkpoint.metrics["train_accuracy"] > 0.9
    assert all(p["probability"] >= 0.5 for p in predictor.label(outputs, top=1))


def test_a_model_of_real_targets_gives_values(reals, trained):
    data = reals()
    layers = [{"type": "dense", "units": 2}]
    predictor = Predictor.from_checkpoint(trained(data, layers=layers, loss={"type": "quadratic"}))
    assert predictor.predict(data.x).shape == (50, 2)
    with pytest.raises(ValueError, match="classes"):
        predictor.label(predictor.predict(data.x), top=1)


def test_many_threads_may_predict_at_once(classes, trained):
    data = classes(rows=200)
    predictor = Predictor.from_checkpoint(trained(data))
    expected = [predictor.predict(data.x[i : i + 5]) for i in range(0, 200, 5)]
    wrong = []

    def work():
        for _ in range(20):
            for i, outputs in enumerate(expected):
                if not np.array_equal(predictor.predict(data.x[5 * i : 5 * i + 5]), outputs):
                    wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
