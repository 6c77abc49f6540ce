"""Every optimizer against its published formula, written apart for a single number, and what holds for all of them."""

from math import sqrt

import numpy as np
import pytest
from pydantic import TypeAdapter

from core.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    AnyOptimizer,
    Momentum,
    NAdam,
    Nesterov,
    Optimizer,
    RMSprop,
)
from tests.core.unions import concrete, members

OPTIMIZERS = [
    SGD(),
    SGD(momentum=0.8),
    Momentum(),
    Nesterov(),
    Nesterov(momentum=0.5),
    RMSprop(),
    RMSprop(alpha=0.9, epsilon=1e-3),
    Adagrad(),
    Adadelta(),
    Adadelta(rho=0.5, epsilon=1e-2),
    Adam(),
    Adam(beta1=0.0, epsilon=1e-3),
    AdamW(),
    NAdam(),
    NAdam(beta1=0.5, momentum_decay=1.0),
    NAdam(beta1=0.0),
]
over_optimizers = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
RATE = 0.1


def gradients(steps=20, width=7):
    """Gradients that differ in scale, change sign and are sometimes 0."""
    random = np.random.default_rng(5)
    drawn = random.normal(size=(steps, width)) * 10.0 ** np.arange(-3, 4)[:width]
    drawn[random.random(drawn.shape) < 0.1] = 0
    return drawn


def follow(optimizer, theta, g, dtype="float64", memory=None, first=1):
    """Theta after the gradients g (steps, width), and what is remembered."""
    theta = np.array(theta, dtype)
    memory = tuple(np.zeros_like(theta) for _ in optimizer.memory()) if memory is None else memory
    for count, row in enumerate(g.astype(dtype), start=first):
        optimizer.step(theta, row.copy(), memory, np.empty_like(theta), rate=RATE, count=count)
    return theta, memory


# --- the published formulas for a single parameter, with names as in the papers; each yields its steps


def sgd(o, g):
    v = 0.0
    for x in g:
        v = o.momentum * v + x
        yield -RATE * v


def nesterov(o, g):
    """I. Sutskever et al., ICML 2013, eq. 3 and 4, at the look-ahead point phi = theta + mu v."""
    theta = v = phi = 0.0
    for x in g:
        v = o.momentum * v - RATE * x
        theta += v
        before, phi = phi, theta + o.momentum * v
        yield phi - before


def rmsprop(o, g):
    s = 0.0
    for x in g:
        s = o.alpha * s + (1 - o.alpha) * x * x
        yield -RATE * x / (sqrt(s) + o.epsilon)


def adagrad(o, g):
    return (-RATE * x / (sqrt(sum(y * y for y in g[: t + 1])) + o.epsilon) for t, x in enumerate(g))


def adadelta(o, g):
    squares = moves = 0.0
    for x in g:
        squares = o.rho * squares + (1 - o.rho) * x**2
        move = -sqrt(moves + o.epsilon) / sqrt(squares + o.epsilon) * x
        moves = o.rho * moves + (1 - o.rho) * move**2
        yield RATE * move


def adam(o, g):
    m = v = 0.0
    for t, x in enumerate(g, start=1):
        m, v = o.beta1 * m + (1 - o.beta1) * x, o.beta2 * v + (1 - o.beta2) * x * x
        yield -RATE * (m / (1 - o.beta1**t)) / (sqrt(v / (1 - o.beta2**t)) + o.epsilon)


def nadam(o, g):
    m = v = 0.0
    product = 1.0
    for t, x in enumerate(g, start=1):
        mu, following = (o.beta1 * (1 - 0.5 * 0.96 ** (i * o.momentum_decay)) for i in (t, t + 1))
        product *= mu
        m, v = o.beta1 * m + (1 - o.beta1) * x, o.beta2 * v + (1 - o.beta2) * x * x
        hat = following * m / (1 - product * following) + (1 - mu) * x / (1 - product)
        yield -RATE * hat / (sqrt(v / (1 - o.beta2**t)) + o.epsilon)


PUBLISHED = {
    "sgd": sgd,
    "momentum": sgd,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "adam": adam,
    "adamw": adam,  # its decay stands beside the step
    "nadam": nadam,
}


def test_every_optimizer_is_in_the_union_and_has_a_case_and_a_formula():
    assert concrete(Optimizer) == set(members(AnyOptimizer)) == {type(o) for o in OPTIMIZERS}
    assert set(PUBLISHED) == {o.type for o in OPTIMIZERS}


@over_optimizers
@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-13), ("float32", 2e-6)])
def test_twenty_steps_are_as_published(optimizer, dtype, bound):
    g = gradients()
    theta, _ = follow(optimizer, np.zeros(7), g, dtype)
    expected = [sum(PUBLISHED[optimizer.type](optimizer, column.tolist())) for column in g.T]
    walked = [sum(map(abs, PUBLISHED[optimizer.type](optimizer, column.tolist()))) for column in g.T]
    assert theta.dtype == dtype
    assert np.all(np.abs(theta - expected) <= bound * np.array(walked))


@over_optimizers
def test_blocks_of_any_length_move_alike(optimizer):
    g, start = gradients(), np.linspace(-1, 1, 7)
    whole, _ = follow(optimizer, start, g, "float32")
    parts = [
        follow(optimizer, start[part], g[:, part], "float32")[0] for part in (slice(0, 1), slice(1, 6), slice(6, 7))
    ]
    assert np.array_equal(np.concatenate(parts), whole)


@over_optimizers
def test_its_memory_and_the_count_are_all_it_remembers(optimizer):
    g, start = gradients(), np.linspace(-1, 1, 7)
    whole, remembered = follow(optimizer, start, g)
    half, memory = follow(optimizer, start, g[:9])
    again = TypeAdapter(AnyOptimizer).validate_json(optimizer.model_dump_json())
    rest, memory = follow(again, half, g[9:], memory=tuple(m.copy() for m in memory), first=10)
    assert np.array_equal(rest, whole)
    for ours, theirs in zip(memory, remembered, strict=True):
        assert np.array_equal(ours, theirs)


@over_optimizers
def test_memory_has_names_of_its_own(optimizer):
    assert len(set(optimizer.memory())) == len(optimizer.memory())
    assert all(name.isidentifier() for name in optimizer.memory())


@over_optimizers
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_optimizer_goes_downhill(optimizer, dtype):
    theta, k = np.array([1.0, -0.6, 0.3], dtype), np.array([1, 2, 3], dtype)
    memory = tuple(np.zeros_like(theta) for _ in optimizer.memory())
    costs = [float(k @ theta**2)]
    for count in range(1, 21):
        optimizer.step(theta, k * theta, memory, np.empty_like(theta), rate=0.01, count=count)
        costs.append(float(k @ theta**2))
    assert theta.dtype == dtype
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < costs[0]


@over_optimizers
def test_nan_is_never_hidden(optimizer):
    theta, _ = follow(optimizer, np.zeros(2), np.array([[np.nan, 1.0]]))
    assert np.isnan(theta).tolist() == [True, False]


@over_optimizers
def test_json_brings_the_optimizer_back(optimizer):
    adapter = TypeAdapter(AnyOptimizer)
    assert adapter.validate_json(adapter.dump_json(optimizer)) == optimizer


def test_the_defaults_are_those_of_pytorch_but_for_the_rates_of_plain_descent():
    told = {cls().type: cls().model_dump(exclude={"type"}) for cls in members(AnyOptimizer)}
    moments = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    assert told == {
        "sgd": {"learning_rate": 0.1, "momentum": 0.0},
        "momentum": {"learning_rate": 0.01, "momentum": 0.9},
        "nesterov": {"learning_rate": 0.01, "momentum": 0.9},
        "rmsprop": {"learning_rate": 0.01, "alpha": 0.99, "epsilon": 1e-8},
        "adagrad": {"learning_rate": 0.01, "epsilon": 1e-10},
        "adadelta": {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-6},
        "adam": {"learning_rate": 0.001, **moments},
        "adamw": {"learning_rate": 0.001, **moments, "weight_decay": 0.01},
        "nadam": {"learning_rate": 0.002, **moments, "momentum_decay": 0.004},
    }


@pytest.mark.parametrize("optimizer", [NAdam(), NAdam(beta1=0.0), NAdam(beta1=0.99, momentum_decay=0.0)], ids=str)
def test_the_product_of_momenta_may_be_cut_where_it_no_longer_counts(optimizer):
    product = 1.0
    for t in range(1, 6001):
        mu, following = (optimizer.beta1 * (1 - 0.5 * 0.96 ** (i * optimizer.momentum_decay)) for i in (t, t + 1))
        product *= mu
        expected = (1 - mu) / (1 - product), following / (1 - product * following)
        assert np.allclose(optimizer.shares(1.0, t), expected, rtol=1e-15, atol=0)
