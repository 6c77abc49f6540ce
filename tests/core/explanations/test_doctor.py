"""The doctor, called to runs that have each illness, and to one that has none."""

import numpy as np
import pytest

from core.data import Dataset
from core.explanations.doctor import LOOKS, Doctor
from core.schema import ClassTarget, DataSchema
from core.training import Chunk, fit
from core.training_spec import TrainingSpec

DENSE = {"type": "dense", "units": 8}


def rings(rows=300, wrong=()):
    draw = np.random.default_rng(7)
    y = np.arange(rows, dtype=np.int32) % 2
    angle, radius = draw.uniform(0, 2 * np.pi, rows), 1.0 + 2 * y + draw.normal(0, 0.1, rows)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    y = y.copy()
    y[list(wrong)] = 1 - y[list(wrong)]
    schema = DataSchema(rows=rows, input_shape=(2,), input_dtype="float64", target=ClassTarget(classes=("in", "out")))
    return Dataset(schema, x, y)


def treated(data, layers, aside=None, **changes):
    """All findings of a run, in order."""
    body = {
        "dataset": "ds_1",
        "network": {"layers": [*layers, {"type": "dense", "units": 2}]},
        "loss": {"type": "cross_entropy"},
        "optimizer": {"type": "sgd", "learning_rate": 0.3},
        "epochs": 20,
        "seed": 3,
    }
    spec = TrainingSpec.model_validate(body | changes)
    doctor, found = Doctor(spec, data), []
    steps = -(-len(data) // spec.batch_size)
    stops = [(epoch - 1, steps - 1) for epoch in doctor.looks]
    for moment in fit(spec, data, aside, stops=stops):
        if isinstance(moment, Chunk):
            if (moment.epoch - 1, moment.step) in stops:
                doctor.before_last_step(moment.checkpoint())
            continue
        checkpoint = moment.checkpoint() if moment.epoch in doctor.looks else None
        found += doctor.look(moment.epoch, moment.metrics, checkpoint, last=moment.epoch == spec.epochs)
    return found


def kinds(found):
    return {finding.kind for finding in found}


def test_a_healthy_run_is_left_alone():
    assert treated(rings(), [DENSE, {"type": "tanh"}]) == []


def test_dead_relus_are_counted():
    layers = [DENSE | {"biases": {"type": "constant", "value": -50.0}}, {"type": "relu"}]
    (found,) = [finding for finding in treated(rings(), layers, epochs=2) if finding.kind == "dead_relu"]
    assert (found.layer, found.epoch) == (1, 1)
    assert (found.evidence["dead"], found.evidence["units"]) == (8, 8)
    assert "8 of 8 units of the ReLU in layer 1" in found.advice


def test_saturated_sigmoids_are_measured_but_not_in_the_last_layer():
    wide = DENSE | {"weights": {"type": "normal", "std": 60.0}}
    found = treated(rings(), [wide, {"type": "sigmoid"}], epochs=2)
    (saturated,) = [finding for finding in found if finding.kind == "saturated"]
    assert saturated.layer == 1
    assert 0.5 < saturated.evidence["share"] <= 1
    sure = [{"type": "dense", "units": 2, "weights": {"type": "normal", "std": 60.0}}, {"type": "sigmoid"}]
    spec = {"network": {"layers": sure}, "loss": {"type": "quadratic"}}
    assert "saturated" not in kinds(treated(rings(), [], epochs=2, **spec))


def test_gradients_that_vanish_and_explode_are_named_with_their_layer():
    deep = [layer for _ in range(7) for layer in (DENSE, {"type": "sigmoid"})]
    vanishing = [finding for finding in treated(rings(), deep, epochs=1) if finding.kind == "vanishing_gradient"]
    assert 0 in [finding.layer for finding in vanishing]
    assert all(finding.evidence["gradient"] < finding.evidence["gradient_of_last"] / 1000 for finding in vanishing)
    loud = [DENSE | {"weights": {"type": "normal", "std": 40.0}}, {"type": "expression", "expression": "sin(x)"}]
    found = treated(rings(), 5 * loud, epochs=1, optimizer={"type": "sgd", "learning_rate": 1e-30})
    assert 0 in [finding.layer for finding in found if finding.kind == "exploding_gradient"]


@pytest.mark.parametrize(("rate", "kind"), [(50.0, "large_update"), (1e-9, "small_update")])
def test_steps_out_of_range_are_measured(rate, kind):
    found = treated(rings(), [DENSE, {"type": "tanh"}], epochs=2, optimizer={"type": "sgd", "learning_rate": rate})
    steps = [finding for finding in found if finding.kind == kind]
    assert {finding.layer for finding in steps} <= {0, 2}
    assert steps
    for finding in steps:
        assert finding.evidence["ratio"] == pytest.approx(finding.evidence["update"] / finding.evidence["weights"])
        rates = {"large_update": "Use a smaller learning rate", "small_update": "Use a larger learning rate"}
        assert rates[kind] in finding.advice


def test_no_larger_learning_rate_is_advised_beside_a_smaller_one():
    dead = DENSE | {"biases": {"type": "constant", "value": -50.0}}
    found = treated(rings(), [DENSE, {"type": "tanh"}, dead, {"type": "relu"}], epochs=4)
    assert "smaller learning rate" in next(finding.advice for finding in found if finding.kind == "dead_relu")
    still = [finding for finding in found if finding.kind == "small_update"]
    assert {0, 2} <= {finding.layer for finding in still}
    for finding in still:
        assert "larger" not in finding.advice
    unmoved = f"One step leaves the weights of layer {still[0].layer} as they were. Look for what stops the gradient."
    assert still[0].advice == unmoved


def test_the_onset_of_overfitting_is_told_once():
    draw = np.random.default_rng(0)
    data = rings(24, wrong=draw.choice(24, 8, replace=False))
    wide = [{"type": "dense", "units": 64}, {"type": "relu"}]
    spec = {
        "validation": {"dataset": "ds_2"},
        "epochs": 150,
        "batch_size": 8,
        "optimizer": {"type": "adam", "learning_rate": 0.01},
    }
    found = [f for f in treated(data, wide, rings(100), **spec) if f.kind == "overfitting"]
    assert len(found) == 1
    evidence = found[0].evidence
    assert evidence["validation_loss"][1] > 1.02 * evidence["validation_loss"][0]
    assert evidence["train_loss"][1] < evidence["train_loss"][0]
    assert evidence["best_epoch"] <= found[0].epoch - 5


def test_a_learning_rate_that_bounces_is_told():
    doctor, bouncing = Doctor(_spec(30), rings()), []
    for epoch in range(1, 31):
        bouncing += doctor.look(epoch, {"train_loss": 1.0 + 0.3 * (epoch % 2)}, None)
    assert [finding.kind for finding in bouncing] == ["bouncing"]
    assert bouncing[0].epoch == 9
    still = Doctor(_spec(30), rings())
    assert [f for e in range(1, 31) for f in still.look(e, {"train_loss": 1.0 + 0.001 * (e % 2)}, None)] == []


def test_labels_that_look_wrong_are_named_by_their_rows():
    draw, y = np.random.default_rng(1), np.arange(300, dtype=np.int32) % 2
    x, wrong = (6 * y - 3)[:, None] + draw.normal(0, 0.3, (300, 1)), {17, 120}
    y[list(wrong)] = 1 - y[list(wrong)]
    schema = DataSchema(rows=300, input_shape=(1,), input_dtype="float64", target=ClassTarget(classes=("in", "out")))
    whole = Dataset(schema, x, y)
    part = whole.view(np.arange(10, 266))  # what a run trains on may be a part of what was uploaded
    (labels,) = treated(part, [], epochs=30)
    assert labels.kind == "labels"
    assert {row["row"] for row in labels.evidence["rows"]} == wrong
    for row in labels.evidence["rows"]:
        assert {row["label"], row["prediction"]} == {"in", "out"}
    assert labels.evidence["looked_at"] == 256


def test_numbers_out_of_bounds_are_left_to_the_run_itself():
    doctor = Doctor(_spec(5), rings())
    assert doctor.look(1, {"train_loss": float("nan"), "validation_loss": None}, None) == []


def test_looks_are_few_and_fixed():
    looks = sorted(Doctor(_spec(5000), rings()).looks)
    assert looks[:4] == [1, 2, 4, 8]
    assert looks[-1] == 5000
    assert len(looks) <= LOOKS + 15
    assert Doctor(_spec(20), rings()).looks == set(range(1, 21))
    assert len(Doctor(_spec(1_000_000), rings()).looks) <= LOOKS + 21


def _spec(epochs):
    return TrainingSpec.model_validate(
        {"dataset": "ds_1", "network": {"layers": [{"type": "dense", "units": 2}]}, "loss": {"type": "cross_entropy"},
         "epochs": epochs}
    )  # fmt: skip
