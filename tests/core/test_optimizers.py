"""Optimizers and schedules against their definitions, and what holds for all of them."""

from typing import get_args

import numpy as np
import pytest
from pydantic import TypeAdapter

from core.optimizers import SGD, Adam, AnyOptimizer, Optimizer
from core.schedules import AnySchedule, Constant, Exponential, Schedule, Step, rate_at

OPTIMIZERS = [SGD(), SGD(momentum=0.9), Adam(), Adam(beta1=0.0, epsilon=1e-3)]
SCHEDULES = [
    Constant(learning_rate=0.5),
    Step(learning_rate=1.0, factor=0.5, every_epochs=2),
    Exponential(learning_rate=1.0, factor=0.5),
]
over_optimizers = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
over_schedules = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.type)


def follow(optimizer, theta, steps, dtype="float64"):
    """Steps down C = sum(k theta^2) / 2."""
    theta = np.array(theta, dtype)
    k = np.arange(1, len(theta) + 1, dtype=dtype)
    memory = tuple(np.zeros_like(theta) for _ in optimizer.memory())
    for count in range(1, steps + 1):
        optimizer.step(theta, k * theta, memory, np.empty_like(theta), rate=0.1, count=count)
    return theta


def test_unions_are_complete():
    assert set(Optimizer.__subclasses__()) == set(get_args(get_args(AnyOptimizer)[0]))
    assert set(Schedule.__subclasses__()) == set(get_args(get_args(AnySchedule)[0]))
    assert {type(o) for o in OPTIMIZERS} == set(Optimizer.__subclasses__())
    assert {type(s) for s in SCHEDULES} == set(Schedule.__subclasses__())


@over_optimizers
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_optimizer_finds_the_minimum_and_keeps_the_type(optimizer, dtype):
    theta = follow(optimizer, [3.0, -2.0, 1.0], 400, dtype)
    assert theta.dtype == dtype
    assert np.abs(theta).max() < 1e-2


@over_optimizers
def test_json_brings_the_optimizer_back(optimizer):
    adapter = TypeAdapter(AnyOptimizer)
    assert adapter.validate_json(adapter.dump_json(optimizer)) == optimizer


@over_schedules
def test_json_brings_the_schedule_back_inside_an_optimizer(schedule):
    optimizer = SGD(learning_rate=schedule)
    assert SGD.model_validate_json(optimizer.model_dump_json()) == optimizer
    assert rate_at(optimizer.learning_rate, 0, 10, 5) == schedule.learning_rate


def test_momentum_by_hand():
    theta, v = 3.0, 0.0
    for _ in range(5):
        v = 0.9 * v + theta
        theta -= 0.1 * v
    assert np.allclose(follow(SGD(momentum=0.9), [3.0], 5), theta, rtol=1e-14)


def test_adam_by_hand():
    theta, m, v = 3.0, 0.0, 0.0
    for t in range(1, 6):
        m, v = 0.9 * m + 0.1 * theta, 0.999 * v + 0.001 * theta**2
        theta -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    assert np.allclose(follow(Adam(), [3.0], 5), theta, rtol=1e-13)


def test_schedules_move_at_the_ends_of_epochs():
    def rates(schedule):
        return [schedule.rate(step, 10, 6) for step in (0, 9, 10, 19, 20, 45)]

    assert rates(SCHEDULES[0]) == [0.5] * 6
    assert rates(SCHEDULES[1]) == [1, 1, 1, 1, 0.5, 0.25]
    assert rates(SCHEDULES[2]) == [1, 1, 0.5, 0.5, 0.25, 0.0625]
    assert rate_at(0.3, 45, 10, 6) == 0.3
