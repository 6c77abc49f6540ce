"""Schedules against their definitions, and what holds for all of them."""

from itertools import pairwise
from math import cos, pi

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from core.optimizers import SGD, AnyOptimizer
from core.schedules import (
    AnySchedule,
    Constant,
    Cosine,
    Exponential,
    InverseTime,
    OneCycle,
    Schedule,
    Step,
    WarmUp,
    rate_at,
)
from tests.core.unions import concrete, members

STEPS, EPOCHS = 50, 20
SCHEDULES = [
    Constant(learning_rate=0.5),
    Step(learning_rate=0.5, factor=0.5, every_epochs=2),
    Exponential(learning_rate=0.5, factor=0.9),
    InverseTime(learning_rate=0.5, decay=0.3),
    Cosine(learning_rate=0.5),
    Cosine(learning_rate=0.5, minimum=0.1),
    OneCycle(learning_rate=0.5),
    OneCycle(learning_rate=0.5, pct_start=0.0),
    OneCycle(learning_rate=0.5, pct_start=1.0),
    WarmUp(epochs=3, then=0.5),
    WarmUp(steps=70, then=Cosine(learning_rate=0.5)),
    WarmUp(epochs=2, then=Exponential(learning_rate=0.5, factor=0.8)),
]
STAIRS = (Step, Exponential)
over_schedules = pytest.mark.parametrize("schedule", SCHEDULES, ids=str)


def rates(schedule, steps=STEPS, epochs=EPOCHS):
    return [rate_at(schedule, step, steps, epochs) for step in range(steps * epochs)]


def test_every_schedule_is_in_the_union_and_has_a_case():
    assert concrete(Schedule) == set(members(AnySchedule)) == {type(s) for s in SCHEDULES}


@over_schedules
def test_json_brings_the_schedule_back_inside_an_optimizer(schedule):
    adapter, optimizer = TypeAdapter(AnyOptimizer), SGD(learning_rate=schedule)
    assert adapter.validate_json(adapter.dump_json(optimizer)) == optimizer


@over_schedules
def test_rates_are_positive_and_never_above_the_highest(schedule):
    values = rates(schedule)
    assert all(isinstance(value, float) for value in values)
    assert min(values) > 0
    assert max(values) <= 0.5 * (1 + 1e-12)


@over_schedules
def test_between_epochs_nothing_jumps(schedule):
    """Within an epoch no rate moves by more than a fiftieth of the highest; only stairs move where an epoch ends."""
    stairs = isinstance(getattr(schedule, "then", schedule), STAIRS)
    for step, (before, after) in enumerate(pairwise(rates(schedule)), start=1):
        assert abs(after - before) < 0.5 / 50 or (stairs and step % STEPS == 0)


@over_schedules
@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (1, 2), (2, 1), (3, 2)])
def test_the_shortest_runs_have_rates_too(schedule, steps, epochs):
    values = rates(schedule, steps, epochs)
    assert all(0 < value <= 0.5 * (1 + 1e-12) for value in values)


def test_a_number_is_constant():
    assert rates(0.3) == rates(Constant(learning_rate=0.3)) == [0.3] * STEPS * EPOCHS


def test_stairs():
    at = [0, 9, 10, 19, 20, 45]
    step, exponential = Step(learning_rate=1, factor=0.5, every_epochs=2), Exponential(learning_rate=1, factor=0.5)
    assert [rate_at(step, i, 10, 6) for i in at] == [1, 1, 1, 1, 0.5, 0.25]
    assert [rate_at(exponential, i, 10, 6) for i in at] == [1, 1, 0.5, 0.5, 0.25, 0.0625]


def test_inverse_time():
    schedule = InverseTime(learning_rate=1, decay=2)
    assert [rate_at(schedule, i, 4, 10) for i in (0, 2, 4, 20)] == [1, 1 / 2, 1 / 3, 1 / 11]


def test_cosine_is_half_way_in_the_middle():
    schedule = Cosine(learning_rate=1, minimum=0.2)
    assert rate_at(schedule, 0, 10, 4) == 1
    assert np.isclose(rate_at(schedule, 20, 10, 4), 0.6)
    assert np.isclose(rate_at(schedule, 39, 10, 4), 0.2 + 0.4 * (1 + cos(pi * 39 / 40)))
    with pytest.raises(ValidationError, match="minimum must not be larger"):
        Cosine(learning_rate=1, minimum=2)


def test_one_cycle_has_its_beginning_top_and_end():
    values = rates(OneCycle(learning_rate=1, pct_start=0.25, div_factor=10, final_div_factor=100), 10, 4)
    assert np.isclose(values[0], 0.1)
    assert int(np.argmax(values)) == 9
    assert values[9] == 1
    assert np.isclose(values[-1], 0.001)
    assert np.isclose(values[24], 0.001 + 0.999 / 2)
    assert values[:10] == sorted(values[:10])
    assert values[9:] == sorted(values[9:], reverse=True)


def test_warm_up_rises_evenly_and_then_what_follows_begins():
    then = Cosine(learning_rate=1)
    values = rates(WarmUp(steps=4, then=then), 5, 2)
    assert np.allclose(values[:4], [0.2, 0.4, 0.6, 0.8])
    assert values[4:] == [then.rate(step, 5, 6) for step in range(6)]
    assert rates(WarmUp(epochs=1, then=then), 4, 2) == rates(WarmUp(steps=4, then=then), 4, 2)
    assert np.allclose(rates(WarmUp(steps=100, then=then), 5, 2), np.arange(1, 11) / 101)


@pytest.mark.parametrize("lengths", [{}, {"epochs": 1, "steps": 2}])
def test_warm_up_has_one_length(lengths):
    with pytest.raises(ValidationError, match="either epochs or steps"):
        WarmUp(then=0.1, **lengths)


def test_warm_up_does_not_wrap_itself():
    inner = {"type": "warm_up", "epochs": 1, "then": 0.1}
    with pytest.raises(ValidationError):
        WarmUp.model_validate({"type": "warm_up", "epochs": 1, "then": inner})
