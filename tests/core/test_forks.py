"""Runs that begin with the weights and the optimizer state of another run: what goes on, and what begins anew."""

from dataclasses import replace

import numpy as np
import pytest

from core.checkpoint import Checkpoint, CheckpointDamaged, CheckpointMismatch
from core.engine import Engine
from core.optimizers import AnyOptimizer
from core.spec import SpecError
from core.training import Chunk, fit
from tests.core.test_training import STACK, epochs, naive_fit, outcome, start_of, weights
from tests.core.unions import members

FORK = {"from_checkpoint": "ckpt_1", "from_optimizer_state": True}
ADAM = {"type": "adam", "learning_rate": 0.01}


@pytest.mark.parametrize("engine", [Engine(), Engine(compiled=False)], ids=["compiled", "plain"])
@pytest.mark.parametrize("optimizer", [ADAM, {"type": "sgd", "learning_rate": 0.1, "momentum": 0.9}], ids=str)
def test_the_optimizer_goes_on_as_defined_and_the_order_begins_anew(classes, make_spec, optimizer, engine):
    """Against the naive loop, over both runs: its own memory and its own count go on."""
    data = classes(rows=50)
    spec = make_spec(layers=STACK, optimizer=optimizer, epochs=3)
    forked = make_spec(layers=STACK, optimizer=optimizer, epochs=5, seed=9, **FORK)
    (*_, last) = fit(spec, data, engine=engine)
    events = list(fit(forked, data, start=last.checkpoint(), engine=engine))
    begin = weights(start_of(spec, data))
    w, _, past = naive_fit(spec, data, *begin)
    expected, told, (_, _, count) = naive_fit(forked, data, *w, past=past)
    assert count == events[-1].checkpoint().updates == 8 * 4
    for ours, theirs, start in zip(weights(events[-1].checkpoint()), expected, begin, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-12 * np.abs(theirs - start).max()
    assert [epoch.epoch for epoch in epochs(events)] == [1, 2, 3, 4, 5]
    assert np.allclose([epoch.metrics["train_loss"] for epoch in epochs(events)], [cost for cost, *_ in told])


def test_without_being_asked_the_optimizer_begins_anew(classes, make_spec):
    data = classes(rows=50)
    (*_, last) = fit(make_spec(layers=STACK, optimizer=ADAM), data)
    start = last.checkpoint()
    spec = make_spec(layers=STACK, optimizer=ADAM, seed=9, from_checkpoint="ckpt_1")
    (*_, plain) = fit(spec, data, start=start)
    expected, *_ = naive_fit(spec, data, *weights(start))
    assert plain.checkpoint().updates == 3 * 4
    for ours, theirs in zip(weights(plain.checkpoint()), expected, strict=True):
        assert np.allclose(ours, theirs, rtol=1e-11)


def test_schedule_and_early_stopping_begin_anew(classes, make_spec):
    data = classes(rows=50)
    changes = {
        "optimizer": ADAM | {"learning_rate": {"type": "cosine", "learning_rate": 0.05}},
        "early_stopping": {"metric": "validation_loss", "patience": 4},
        "validation": {"fraction": 0.2},
        "epochs": 4,
    }
    (*first, last) = fit(make_spec(**changes), data)
    forked = epochs(fit(make_spec(**changes, **FORK), data, start=last.checkpoint()))
    rates = [[epoch.metrics["learning_rate"] for epoch in run] for run in (epochs([*first, last]), forked)]
    assert rates[0] == rates[1]
    assert forked[0].best


def test_where_nothing_is_remembered_nothing_is_different(classes, make_spec):
    """The rates of a schedule are those of the run's own steps, however many the optimizer had made before."""
    data, plain = classes(rows=50), {"type": "sgd", "learning_rate": {"type": "cosine", "learning_rate": 0.5}}
    (*_, last) = fit(make_spec(layers=STACK, optimizer=plain), data)
    start = last.checkpoint()
    specs = [make_spec(layers=STACK, optimizer=plain, **changes) for changes in (FORK, {"from_checkpoint": "ckpt_1"})]
    forks = [list(fit(spec, data, start=start))[-1].checkpoint() for spec in specs]
    for ours, theirs in zip(*map(weights, forks), strict=True):
        assert np.array_equal(ours, theirs)


def test_updates_add_up_over_forks_of_forks(classes, make_spec):
    data = classes(rows=50)  # 4 steps an epoch, or 3 without those set aside
    checkpoint, spec = None, make_spec(optimizer=ADAM)
    for epochs_done, stop, changes, updates in (
        (1, 2, {}, 6),
        (0, 3, FORK, 9),
        (2, 1, FORK | {"validation": {"fraction": 0.2}}, 16),
    ):
        spec = make_spec(optimizer=ADAM, **changes)
        events = fit(spec, data, start=checkpoint, chunk_s=1e6, stops=[(epochs_done, stop)])
        checkpoint = next(event for event in events if isinstance(event, Chunk)).checkpoint()
        assert checkpoint.updates == updates
    assert checkpoint.updates_before == 9


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", [cls() for cls in members(AnyOptimizer)], ids=lambda o: o.type)
def test_a_fork_resumes_exactly_at_every_step(classes, make_spec, optimizer, dtype):
    data = classes(rows=48)
    changes = {"optimizer": optimizer.model_dump(), "dtype": dtype}
    (*_, last) = fit(make_spec(**changes), data)
    start, spec = last.checkpoint(), make_spec(**changes, seed=8, **FORK)
    undisturbed = list(fit(spec, data, start=start, chunk_s=0))
    checkpoint, events = None, []
    while (event := next(fit(spec, data, resume=checkpoint, start=start, chunk_s=0), None)) is not None:
        checkpoint = Checkpoint.from_bytes(event.checkpoint().to_bytes())
        assert checkpoint.updates_before == 3 * 3
        events.append(event)
    assert outcome(events) == outcome(undisturbed)


def test_the_count_is_kept_and_digested_where_there_is_one(classes, make_spec, tmp_path):
    data = classes()
    (*_, last) = fit(make_spec(optimizer=ADAM), data)
    plain = last.checkpoint()
    assert b"updates_before" not in plain.to_bytes()
    (*_, last) = fit(make_spec(optimizer=ADAM, **FORK), data, start=plain)
    forked = last.checkpoint()
    file = tmp_path / "checkpoint"
    file.write_bytes(forked.to_bytes())
    assert Checkpoint.open(file).updates_before == forked.updates_before == plain.updates
    assert replace(forked, updates_before=1).digest != forked.digest
    with pytest.raises(CheckpointDamaged):
        Checkpoint.from_bytes(forked.to_bytes().replace(b'updates_before\\":12', b'updates_before\\":13'))


def test_a_run_with_the_optimizer_state_is_another_run_than_one_without(classes, make_spec):
    data = classes()
    (*_, last) = fit(make_spec(optimizer=ADAM), data)
    start = last.checkpoint()
    with_state, without = make_spec(optimizer=ADAM, **FORK), make_spec(optimizer=ADAM, from_checkpoint="ckpt_1")
    for ours, theirs in (with_state, without), (without, with_state):
        checkpoint = next(fit(ours, data, start=start, chunk_s=0)).checkpoint()
        with pytest.raises(CheckpointMismatch, match=": /from_optimizer_state differs"):
            next(fit(theirs, data, resume=checkpoint))


@pytest.mark.parametrize(
    ("first", "second", "pointer", "says"),
    [
        ({"optimizer": ADAM}, {"optimizer": {"type": "adamw"}}, "/optimizer/type", "the checkpoint's adam: take that"),
        ({}, {"optimizer": {"type": "sgd", "momentum": 0.5}}, "/optimizer/momentum", "no momentum"),
        ({"optimizer": {"type": "sgd", "momentum": 0.5}}, {}, "/optimizer/momentum", "no momentum"),
        (
            {"layers": [*STACK[:2], {"type": "dense", "units": 3}, {"type": "dense", "units": 3}]},
            {"layers": [*STACK[:2], {"type": "dense", "units": 3}]},
            "/from_optimizer_state",
            "other layers",
        ),
    ],
)
def test_a_state_of_another_optimizer_or_of_other_layers_is_refused(classes, make_spec, first, second, pointer, says):
    data = classes()
    (*_, last) = fit(make_spec(**first), data)
    run = fit(make_spec(**second, **FORK), data, start=last.checkpoint())
    with pytest.raises(SpecError) as caught:
        next(run)
    (error,) = caught.value.errors
    assert error.pointer == pointer
    assert says in error.detail


def test_a_state_to_begin_with_must_be_passed(classes, make_spec):
    with pytest.raises(ValueError, match="pass it as `start`"):
        next(fit(make_spec(**FORK), classes()))
