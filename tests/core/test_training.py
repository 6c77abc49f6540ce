"""fit: against a naive loop, exact under resumption, honest about what it reports."""

import weakref
from math import ceil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.checkpoint import Checkpoint, CheckpointMismatch
from core.data import split
from core.losses import AnyLoss
from core.optimizers import AnyOptimizer
from core.predictor import Predictor
from core.random import Purpose, Random
from core.spec import SpecError
from core.training import Chunk, Diverged, Epoch, fit
from tests.core.unions import members

CLOCKS = {"seconds", "examples_per_s"}
STACK = [{"type": "flatten"}, {"type": "dense", "units": 6}, {"type": "sigmoid"}, {"type": "dense", "units": 3}]
DROPOUT = [*STACK[:3], {"type": "dropout", "rate": 0.3}, *STACK[3:]]


def epochs(events):
    return [event for event in events if isinstance(event, Epoch)]


def weights(checkpoint, places=(1, 3)):
    return [checkpoint.tensors[f"layers.{i}.{name}"] for i in places for name in ("weights", "biases")]


def exact(metrics):
    return {name: value for name, value in metrics.items() if name not in CLOCKS}


def outcome(events):
    """What may never change: metrics, flags and the last checkpoint's bytes."""
    told = [(e.epoch, exact(e.metrics), e.best, e.stop) for e in epochs(events)]
    return told, events[-1].checkpoint().to_bytes()


# --- the naive loop: textbook expressions, nothing shared but the first weights and the order of the rows


def naive_cost(loss, a, y):
    if loss == "quadratic":
        return ((a - y) ** 2).sum(axis=1), 2 * (a - y)
    if loss == "mean_squared_error":
        return ((a - y) ** 2).mean(axis=1), 2 * (a - y) / y.shape[1]
    if loss == "cross_entropy":
        p = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
        return -(y * np.log(p)).sum(axis=1), p - y
    p = 1 / (1 + np.exp(-a))
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum(axis=1), p - y


def naive_update(optimizer, w, g, m, v, t):
    rate = optimizer.learning_rate
    if optimizer.type == "sgd":
        m = optimizer.momentum * m + g
        return w - rate * m, m, v
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    return w - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8), m, v


def naive_fit(spec, data, *w, rate=0.0, past=None):
    """`past` is what the optimizer remembers of its gradients, their squares, and how many there were.

    Gives the weights, (cost, accuracy, norm) of each epoch, and the past.
    """
    x = data.x.reshape(len(data.x), -1) / 255
    y = np.eye(3)[data.y]
    m, v, t = past or ([0 * a for a in w], [0 * a for a in w], 0)
    rows, size = len(x), spec.batch_size
    told = []
    for epoch in range(spec.epochs):
        order = Random(spec.seed, Purpose.SHUFFLE, epoch=epoch).permutation(rows)
        cost, hits, norms = 0.0, 0, []
        for start in range(0, rows, size):
            batch = order[start : start + size]
            W1, b1, W2, b2 = w
            h = 1 / (1 + np.exp(-(x[batch] @ W1 + b1)))
            mask = 1.0
            if rate:
                stream = Random(spec.seed, Purpose.LAYER, epoch=epoch, step=start // size, layer=3)
                mask = stream.keep(rate, np.empty(h.shape)) / (1 - rate)
            a = (h * mask) @ W2 + b2
            costs, da = naive_cost(spec.loss.type, a, y[batch])
            da = da / len(batch)
            dz = (da @ W2.T) * mask * h * (1 - h)
            g = [x[batch].T @ dz, dz.sum(axis=0), (h * mask).T @ da, da.sum(axis=0)]
            cost += costs.sum()
            hits += (a.argmax(axis=1) == data.y[batch]).sum()
            norms.append(np.sqrt(sum((d**2).sum() for d in g)))
            t += 1
            w, m, v = map(
                list,
                zip(*(naive_update(spec.optimizer, *args, t) for args in zip(w, g, m, v, strict=True)), strict=True),
            )
        told.append((cost / rows, hits / rows, np.mean(norms)))
    return w, told, (m, v, t)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", ["quadratic", "mean_squared_error", "cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize(
    "optimizer",
    [
        {"type": "sgd", "learning_rate": 0.5},
        {"type": "sgd", "learning_rate": 0.1, "momentum": 0.9},
        {"type": "adam", "learning_rate": 0.01},
    ],
    ids=["sgd", "momentum", "adam"],
)
def test_fit_equals_the_naive_loop(classes, make_spec, loss, optimizer, dtype):
    data = classes(rows=50)
    spec = make_spec(layers=STACK, loss={"type": loss}, optimizer=optimizer, epochs=6, dtype=dtype)
    first = next(iter(fit(spec, data, chunk_s=0)))
    assert isinstance(first, Chunk)
    begin = weights(start_of(spec, data))
    events = list(fit(spec, data))
    expected, told, _ = naive_fit(spec, data, *(w.astype(np.float64) for w in begin))
    assert sum(ceil(50 / 16) for _ in range(6)) >= 20
    scale = 1e-12 if dtype == "float64" else (2e-3 if optimizer["type"] == "adam" else 1e-5)
    for ours, theirs, start in zip(weights(events[-1].checkpoint()), expected, begin, strict=True):
        assert np.abs(ours - theirs).max() <= scale * np.abs(theirs - start).max()
    for epoch, (cost, accuracy, norm) in zip(epochs(events), told, strict=True):
        assert np.isclose(epoch.metrics["train_loss"], cost, rtol=1e-12 if dtype == "float64" else 1e-4)
        assert np.isclose(epoch.metrics["train_accuracy"], accuracy, atol=0 if dtype == "float64" else 0.021)
        assert np.isclose(epoch.metrics["gradient_norm"], norm, rtol=1e-12 if dtype == "float64" else 1e-3)


def test_every_step_draws_its_own_masks(classes, make_spec):
    data, spec = classes(), make_spec(layers=DROPOUT, epochs=6)
    begin = weights(start_of(spec, data), (1, 4))
    (*_, last) = fit(spec, data)
    expected, *_ = naive_fit(spec, data, *begin, rate=0.3)
    for ours, theirs in zip(weights(last.checkpoint(), (1, 4)), expected, strict=True):
        assert np.allclose(ours, theirs, rtol=1e-11)


def start_of(spec, data):
    """The checkpoint before the first step: what a learning rate of almost nothing leaves."""
    still = spec.model_copy(update={"optimizer": type(spec.optimizer)(learning_rate=1e-30), "epochs": 1})
    return next(iter(fit(still, data, chunk_s=0))).checkpoint()


FULL = {
    "layers": DROPOUT,
    "optimizer": {"type": "adam", "learning_rate": {"type": "step", "learning_rate": 0.02, "every_epochs": 1}},
    "validation": {"fraction": 0.3},
    "early_stopping": {"metric": "validation_loss", "patience": 2},
    "preprocessing": {"scale": "standard"},
    "epochs": 4,
    "dtype": "float32",
    "batch_size": 8,
}


def test_chunks_do_not_change_a_bit(classes, make_spec):
    data, spec = classes(), make_spec(**FULL)
    chunked = list(fit(spec, data, chunk_s=0))
    assert outcome(chunked) == outcome(list(fit(spec, data)))
    assert sum(isinstance(event, Chunk) for event in chunked) >= 4 * 4


def test_stops_are_made_exactly_where_asked_and_change_no_bit(classes, make_spec):
    data, apart = classes(), classes(rows=600)
    spec = make_spec(**FULL | {"validation": {"dataset": "ds_2"}})  # 7 steps an epoch
    every = [event for event in fit(spec, data, apart, chunk_s=0) if isinstance(event, Chunk)]
    digests = {}
    for event in fit(spec, data, apart, chunk_s=0):
        if isinstance(event, Chunk):
            digests[event.epoch - 1, event.step] = event.checkpoint().digest
    stops = [(0, 1), (0, 6), (2, 3), (1, 7), (2, 2), (3, 7)]
    stopped, seen = [], {}
    for event in fit(spec, data, apart, chunk_s=1e6, stops=[*stops, (1, 0), (1, 8), (9, 1)]):
        stopped.append(event)
        if isinstance(event, Chunk):
            seen[event.epoch - 1, event.step] = event.checkpoint().digest
    assert len(every) > len(stops)
    assert list(seen) == sorted(stops)
    assert seen == {place: digests[place] for place in stops}
    assert outcome(stopped) == outcome(list(fit(spec, data, apart)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 21), max_size=5))
def test_interrupted_anywhere_and_resumed_it_is_the_same_run(classes, make_spec, cuts):
    data, spec = classes(), make_spec(**FULL)
    undisturbed = list(fit(spec, data, chunk_s=0))
    told, checkpoint = [], None
    for cut in cuts:
        for number, event in enumerate(fit(spec, data, resume=checkpoint, chunk_s=0)):
            told.append(event)
            if number == cut:
                break
        if told:
            checkpoint = Checkpoint.from_bytes(told[-1].checkpoint().to_bytes())
    told += fit(spec, data, resume=checkpoint, chunk_s=0)
    assert outcome(told) == outcome(undisturbed)


def test_every_chunk_of_a_run_resumes_exactly(classes, make_spec):
    data, spec = classes(), make_spec(**FULL)
    undisturbed = outcome(list(fit(spec, data, chunk_s=0)))
    for event in fit(spec, data, chunk_s=0):
        rest = list(fit(spec, data, resume=event.checkpoint()))
        told, last = outcome(rest or [event])
        assert last == undisturbed[1]
        assert not rest or told == undisturbed[0][-len(told) :]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", [cls() for cls in members(AnyOptimizer)], ids=lambda o: o.type)
def test_every_optimizer_resumes_exactly_at_every_step(classes, make_spec, optimizer, dtype):
    """Over 24 steps, through the bytes of a checkpoint each time, with all that stands around the optimizer."""
    data = classes(rows=48)
    rate = {"type": "warm_up", "steps": 5, "then": {"type": "cosine", "learning_rate": optimizer.learning_rate}}
    spec = make_spec(
        optimizer=optimizer.model_dump() | {"learning_rate": rate},
        regularization={"l1": 1e-3, "nielsen_lambda": 0.1, "max_norm": 1.5},
        gradient_clipping={"norm": 0.5},
        loss={"type": "cross_entropy", "label_smoothing": 0.1, "class_weights": [1, 2, 0.5]},
        epochs=8,
        dtype=dtype,
    )
    undisturbed = list(fit(spec, data, chunk_s=0))
    checkpoint, events = None, []
    while (event := next(fit(spec, data, resume=checkpoint, chunk_s=0), None)) is not None:
        checkpoint = Checkpoint.from_bytes(event.checkpoint().to_bytes())
        events.append(event)
        assert set(checkpoint.group("optimizer.")) == set(optimizer.memory())
    assert len(events) == len(undisturbed) == 8 * 3
    assert outcome(events) == outcome(undisturbed)


@pytest.mark.parametrize("loss", [cls() for cls in members(AnyLoss)], ids=lambda loss: loss.type)
def test_every_loss_is_made_small(classes, reals, make_spec, loss):
    data = classes(rows=80) if loss.classes_only else reals(rows=80)
    layers = [{"type": "flatten"}, {"type": "dense", "units": 3 if loss.classes_only else 2}]
    spec = make_spec(layers=layers, loss=loss.model_dump(), epochs=30, validation={"fraction": 0.2})
    told = epochs(fit(spec, data))
    assert told[-1].metrics["train_loss"] < 0.7 * told[0].metrics["train_loss"]
    assert told[-1].metrics["validation_loss"] < told[0].metrics["validation_loss"]


@pytest.mark.parametrize("loss", ["quadratic", "mean_squared_error", "binary_cross_entropy", "hinge"])
def test_one_output_tells_two_classes_apart_in_training_and_prediction(classes, make_spec, loss):
    data = classes(rows=200, labels=("no", "yes"))
    layers = [{"type": "flatten"}, {"type": "dense", "units": 1}]
    spec = make_spec(layers=layers, loss={"type": loss}, epochs=20, validation={"dataset": "ds_2"}, metrics=["f1"])
    (*_, last) = fit(spec, data, data)
    predictor = Predictor.from_checkpoint(last.checkpoint())
    said = [prediction["class"] for prediction in predictor.label(predictor.predict(data.x), top=1)]
    right = np.mean([("no", "yes")[label] == name for label, name in zip(data.y, said, strict=True)])
    assert last.metrics["validation_accuracy"] == right > 0.9
    shown = {"hinge": 0.0}.get(loss, 0.5) + np.array([[-0.01], [0.01]])
    assert [prediction["class"] for prediction in predictor.label(shown, top=1)] == ["no", "yes"]
    assert last.metrics["validation_f1"] > 0.9


def test_a_run_may_be_cut_while_it_validates(classes, make_spec):
    data, apart = classes(), classes(rows=600)
    spec = make_spec(**FULL | {"validation": {"dataset": "ds_2"}, "epochs": 2})
    undisturbed = list(fit(spec, data, apart))
    validating = [
        (event, event.checkpoint())
        for event in fit(spec, data, apart, chunk_s=0)
        if isinstance(event, Chunk) and event.step == event.steps
    ]
    assert len(validating) == 2 * 2
    for _, checkpoint in validating:
        told, last = outcome(list(fit(spec, data, apart, resume=checkpoint)))
        assert last == outcome(undisturbed)[1]
        assert told == outcome(undisturbed)[0][-len(told) :]


def test_a_finished_run_has_nothing_left(classes, make_spec):
    data, spec = classes(), make_spec()
    (*_, last) = fit(spec, data)
    assert list(fit(spec, data, resume=last.checkpoint())) == []


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(classes, make_spec):
    data = classes()
    a, b, c = (list(fit(make_spec(layers=DROPOUT, seed=seed), data))[-1].checkpoint() for seed in (1, 1, 2))
    assert a.to_bytes() == b.to_bytes()
    assert a.digest == b.digest != c.digest


def test_names_and_ids_do_not_change_the_digest(classes, make_spec):
    data = classes()
    plain, named = make_spec(), make_spec(dataset="ds_9", name="x", metadata={"a": 1}, priority=3)
    digests = [list(fit(spec, data))[-1].checkpoint().digest for spec in (plain, named)]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"seed": 8}, "/seed"),
        ({"optimizer": {"type": "sgd", "learning_rate": 0.01}}, "/optimizer/learning_rate"),
        ({"layers": [{"type": "flatten"}, {"type": "dense", "units": 3}]}, "/network/layers"),
        ({"validation": {"fraction": 0.5}}, "/validation"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(classes, make_spec, changes, place):
    data = classes()
    (*_, last) = fit(make_spec(epochs=1), data)
    with pytest.raises(CheckpointMismatch, match=f": {place}\\S* differs.*`start`.*from_checkpoint"):
        next(fit(make_spec(epochs=1, **changes), data, resume=last.checkpoint()))


def test_a_checkpoint_is_of_its_moment(classes, make_spec):
    run = fit(make_spec(), classes(), chunk_s=0)
    first = next(run)
    next(run)
    with pytest.raises(RuntimeError, match="gone on"):
        first.checkpoint()


def test_a_run_may_begin_with_the_weights_of_another(classes, make_spec):
    data = classes()
    (*_, last) = fit(make_spec(layers=STACK, epochs=5), data)
    spec = make_spec(layers=STACK, seed=9, optimizer={"type": "sgd", "learning_rate": 1e-30}, epochs=1)
    (*_, again) = fit(spec, data, start=last.checkpoint())
    for ours, theirs in zip(weights(again.checkpoint()), weights(last.checkpoint()), strict=True):
        assert np.array_equal(ours, theirs)
    other = make_spec(layers=[{"type": "flatten"}, {"type": "dense", "units": 3}])
    with pytest.raises(SpecError, match="other layers"):
        next(fit(other, data, start=last.checkpoint()))


@pytest.mark.parametrize("way", ["resume", "start"])
def test_the_checkpoint_to_begin_from_is_let_go(classes, make_spec, way):
    data = classes()
    checkpoint = next(fit(make_spec(), data, chunk_s=0)).checkpoint()
    held = weakref.ref(checkpoint)
    run = fit(make_spec(), data, **{way: checkpoint})
    del checkpoint
    assert held() is not None
    next(run)
    assert held() is None


def test_validation_is_measured_in_evaluation_mode_on_its_own_rows(classes, make_spec):
    data, apart = classes(rows=300), classes(rows=400, seed=5)
    spec = make_spec(layers=DROPOUT, validation={"dataset": "ds_2"}, epochs=2)
    (*_, last) = fit(spec, data, apart)
    W1, b1, W2, b2 = weights(last.checkpoint(), (1, 4))
    a = 1 / (1 + np.exp(-(apart.x.reshape(400, -1) / 255 @ W1 + b1))) @ W2 + b2
    costs, _ = naive_cost("cross_entropy", a, np.eye(3)[apart.y])
    assert np.isclose(last.metrics["validation_loss"], costs.mean(), rtol=1e-12)
    assert last.metrics["validation_accuracy"] == (a.argmax(axis=1) == apart.y).mean()


def test_a_fraction_is_split_off_by_the_seed(classes, make_spec):
    data = classes()
    spec = make_spec(validation={"fraction": 0.2}, epochs=1)
    training, validation = split(data, 0.2, spec.seed)
    (inside,) = epochs(fit(spec, data))
    whole = make_spec(validation={"dataset": "ds_2"}, epochs=1)
    (outside,) = epochs(fit(whole, training, validation))
    assert exact(inside.metrics) == exact(outside.metrics)


def test_validation_classes_are_matched_by_label(classes, make_spec):
    data = classes()
    some = classes(labels=("elm", "oak"))
    renumbered = some.with_classes(data.schema.target)
    spec = make_spec(validation={"dataset": "ds_2"}, epochs=1)
    (a,), (b,) = (epochs(fit(spec, data, v)) for v in (some, renumbered))
    assert exact(a.metrics) == exact(b.metrics)


def test_a_named_validation_dataset_must_be_passed(classes, make_spec):
    with pytest.raises(ValueError, match="validation dataset"):
        next(fit(make_spec(validation={"dataset": "ds_2"}), classes()))


@pytest.mark.parametrize(
    ("metric", "better"),
    [("train_loss", -1), ("validation_loss", -1), ("train_accuracy", 1), ("validation_accuracy", 1)],
)
def test_early_stopping_waits_for_its_patience(classes, make_spec, metric, better):
    spec = make_spec(
        early_stopping={"metric": metric, "patience": 3},
        validation={"fraction": 0.4},
        epochs=400,
        optimizer={"type": "sgd", "learning_rate": 3.0},
    )
    told = epochs(fit(spec, classes()))
    values = [better * e.metrics[metric] for e in told]
    assert len(told) < 400
    assert [e.stop for e in told] == [False] * (len(told) - 1) + [True]
    assert [e.best for e in told] == [v > max(values[:i], default=-np.inf) for i, v in enumerate(values)]
    assert int(np.argmax(values)) == len(told) - 4


def test_real_targets_have_no_accuracy(reals, make_spec):
    spec = make_spec(
        layers=[{"type": "dense", "units": 8}, {"type": "tanh"}, {"type": "dense", "units": 2}],
        loss={"type": "mean_squared_error"},
        optimizer={"type": "adam", "learning_rate": 0.02},
        validation={"fraction": 0.2},
        epochs=60,
    )
    told = epochs(fit(spec, reals(rows=200)))
    assert {e.metrics["train_accuracy"] for e in told} == {e.metrics["validation_accuracy"] for e in told} == {None}
    assert told[-1].metrics["train_loss"] < 0.3 * told[0].metrics["train_loss"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_diverging_run_ends_at_once(reals, make_spec, dtype):
    spec = make_spec(
        layers=[{"type": "dense", "units": 2}],
        loss={"type": "quadratic"},
        optimizer={"type": "sgd", "learning_rate": 1e6},
        epochs=100,
        dtype=dtype,
    )
    with pytest.raises(Diverged) as caught:
        list(fit(spec, reals()))
    assert 1 <= caught.value.epoch < 100
    assert 1 <= caught.value.step <= 4
    assert "learning rate" in str(caught.value)


def test_what_is_beyond_bounds_before_learning_is_not_blamed_on_the_learning_rate(reals, make_spec):
    data = reals()
    data.x[:] = 1e200
    layers = [{"type": "dense", "units": 2}]
    with pytest.raises(Diverged) as caught:
        list(fit(make_spec(layers=layers, loss={"type": "quadratic"}), data))
    assert (caught.value.epoch, caught.value.step) == (1, 1)
    assert "before anything has been learned. Look for very large inputs" in str(caught.value)
    assert "smaller" not in str(caught.value)


def test_weights_that_overflow_in_the_last_step_are_seen(reals, make_spec):
    spec = make_spec(
        layers=[{"type": "dense", "units": 2}],
        loss={"type": "quadratic"},
        optimizer={"type": "sgd", "learning_rate": 1e30},
        epochs=1,
        batch_size=25,
        dtype="float32",
    )
    data = reals()
    data.x[:] *= 1e10
    with pytest.raises(Diverged):
        list(fit(spec, data))


def test_data_are_not_changed_and_steps_are_counted(classes, make_spec):
    data = classes(rows=50)
    x, y = data.x.copy(), data.y.copy()
    chunks = [event for event in fit(make_spec(epochs=2), data, chunk_s=0) if isinstance(event, Chunk)]
    assert [(c.epoch, c.step, c.steps) for c in chunks] == [(e, s, 4) for e in (1, 2) for s in (1, 2, 3)]
    assert all(c.examples_per_s > 0 for c in chunks)
    assert np.array_equal(data.x, x)
    assert np.array_equal(data.y, y)


def test_numpy_keeps_its_warnings_outside(classes, make_spec):
    before = np.geterr()
    for _ in fit(make_spec(), classes(), chunk_s=0):
        assert np.geterr() == before


def test_what_does_not_fit_is_refused(classes, make_spec):
    with pytest.raises(SpecError):
        next(fit(make_spec(batch_size=51), classes()))
