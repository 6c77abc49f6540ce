"""Penalties, decay, the bound on norms and clipping: against their formulas, and inside a run."""

import numpy as np
import pytest

from core.initializers import Normal
from core.layers import Dense, Flatten, Tanh
from core.network import Network
from core.random import Purpose, Random
from core.regularization import BLOCK, GradientClipping, Regularization, Restraint, l2_norm
from core.training import fit

LAYERS = [Flatten(), Dense(units=6, biases=Normal(std=1)), Tanh(), Dense(units=3, biases=Normal(std=1))]
NETWORK = Network.trace(LAYERS, (4, 3))


def vectors(dtype="float64", network=NETWORK):
    theta, state = network.allocate(dtype)
    network.draw(1, theta, state)
    return theta, np.random.default_rng(0).normal(size=theta.shape).astype(dtype)


def restrained(theta, g, regularization=None, clipping=None, *, rate=0.1, rows=50, decay=0.0, network=NETWORK):
    """Theta and g after what stands around the optimizer, with no optimizer between."""
    theta, g = theta.copy(), g.copy()
    restraint = Restraint(
        Regularization(**regularization or {}),
        GradientClipping(**clipping or {}),
        network,
        theta,
        g,
        rows=rows,
        decay=decay,
    )
    restraint.before(l2_norm(g), rate)
    restraint.after()
    return theta, g


def is_weight(network=NETWORK):
    mask = np.zeros(network.size, bool)
    for piece in network.parameters():
        piece.of(mask)[...] = piece.name.endswith("weights")
    return mask


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("regularization", "penalty"),
    [
        ({"l1": 0.1}, lambda w: 0.1 * np.abs(w).sum()),
        ({"l2": 0.1}, lambda w: 0.05 * (w**2).sum()),
        ({"nielsen_lambda": 5.0}, lambda w: 5 / (2 * 50) * (w**2).sum()),
        ({"l1": 0.3, "l2": 0.2, "nielsen_lambda": 2.0}, lambda w: 0.3 * np.abs(w).sum() + (0.1 + 0.02) * (w**2).sum()),
    ],
    ids=["l1", "l2", "nielsen_lambda", "all of them"],
)
def test_a_penalty_adds_its_derivative_to_the_gradient_of_weights_alone(regularization, penalty, dtype):
    theta, g = vectors(dtype)
    after, penalised = restrained(theta, g, regularization)
    assert penalised.dtype == dtype
    assert np.array_equal(after, theta)
    weights, h = is_weight(), 1e-6
    assert np.array_equal(penalised[~weights], g[~weights])
    added = (penalised - g)[weights]
    w = theta[weights].astype(np.float64)
    slopes = [(penalty(w + h * e) - penalty(w - h * e)) / (2 * h) for e in np.eye(len(w))]
    assert np.allclose(added, slopes, rtol=1e-6, atol=1e-7 if dtype == "float64" else 1e-6)


def test_decay_shrinks_weights_beside_the_gradient():
    theta, g = vectors()
    after, same = restrained(theta, g, {"weight_decay": 0.2}, rate=0.5, decay=0.1)
    assert np.array_equal(same, g)
    assert np.allclose(after, np.where(is_weight(), theta * (1 - 0.5 * 0.3), theta), rtol=1e-15)


def test_max_norm_bounds_what_comes_into_each_unit():
    theta, g = vectors()
    after, _ = restrained(theta, g, {"max_norm": 1.0})
    assert np.array_equal(after[~is_weight()], theta[~is_weight()])
    shorter = 0
    for piece in NETWORK.parameters():
        if piece.name.endswith("weights"):
            before, now = piece.of(theta), piece.of(after)
            for unit in range(before.shape[1]):
                norm = np.linalg.norm(before[:, unit])
                shorter += norm < 1
                assert np.allclose(now[:, unit], before[:, unit] * min(1, 1 / norm), rtol=1e-14)
    assert 0 < shorter < 9


def test_clipping_by_value_and_by_norm():
    theta, g = vectors()
    norm = np.linalg.norm(g)
    _, by_value = restrained(theta, g, clipping={"value": 0.5})
    assert np.array_equal(by_value, np.clip(g, -0.5, 0.5))
    _, by_norm = restrained(theta, g, clipping={"norm": norm / 4})
    assert np.allclose(by_norm, g / 4, rtol=1e-14)
    _, untouched = restrained(theta, g, clipping={"norm": norm * 1.01})
    assert np.array_equal(untouched, g)
    _, both = restrained(theta, g, clipping={"value": 0.5, "norm": 1.0})
    assert np.allclose(both, by_value / np.linalg.norm(by_value), rtol=1e-14)


def test_clipping_comes_before_the_penalties():
    theta, g = vectors()
    _, penalised = restrained(theta, g, {"l2": 100.0}, {"norm": 1.0})
    assert np.allclose(penalised, g / np.linalg.norm(g) + 100 * theta * is_weight(), rtol=1e-13)


def test_layers_larger_than_a_block_are_covered():
    network = Network.trace([Dense(units=301)], (301,))
    assert BLOCK < 301 * 301
    theta, g = vectors(network=network)
    after, penalised = restrained(theta, g, {"l2": 0.1, "weight_decay": 0.1}, network=network)
    weights = is_weight(network)
    assert np.allclose(penalised, g + 0.1 * theta * weights, rtol=1e-13)
    assert np.allclose(after, np.where(weights, 0.99 * theta, theta), rtol=1e-13)


def test_the_norm_of_large_numbers_is_finite():
    with np.errstate(over="ignore"):
        assert np.isclose(l2_norm(np.full(4, 1e30, "float32")), 2e30)


# --- inside a run: the same loop written out for a single layer, every row in every batch


def naive(spec, data, steps, penalty):
    """A dense layer on the quadratic cost; `penalty` gives W and g after what stands before the optimizer."""
    x, y = data.x.astype(float), data.y
    W = spec.network.layers[0].weights.draw(Random(spec.seed, Purpose.PARAMETERS, layer=0), (5, 2), 5, 2)
    b = np.zeros(2)
    m, v, told = np.zeros((6, 2)), np.zeros((6, 2)), []
    for t in range(1, steps + 1):
        d = x @ W + b - y
        g = np.vstack([2 * x.T @ d, 2 * d.sum(axis=0)]) / len(x)
        told.append(((d**2).sum(axis=1).mean(), np.linalg.norm(g)))
        W, g = penalty(W, g)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        move = 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        W, b = W - move[:5], b - move[5]
    return W, b, told


def l2(W, g):
    return W, g + np.vstack([(0.3 + 4 / 40) * W, np.zeros(2)])


def decay(W, g):
    return W * (1 - 0.01 * 0.5), g


def clip(W, g):
    return W, g / max(1, np.linalg.norm(g) / 0.7)


@pytest.mark.parametrize(
    ("changes", "penalty"),
    [
        ({"regularization": {"l2": 0.3, "nielsen_lambda": 4.0}}, l2),
        ({"regularization": {"weight_decay": 0.5}}, decay),
        ({"optimizer": {"type": "adamw", "learning_rate": 0.01, "weight_decay": 0.5}}, decay),
        ({"gradient_clipping": {"norm": 0.7}}, clip),
    ],
    ids=["l2", "decay", "adamw", "clip"],
)
def test_a_run_keeps_the_order_and_tells_of_the_data_alone(reals, make_spec, changes, penalty):
    data = reals(rows=40)
    fields = {
        "layers": [{"type": "dense", "units": 2}],
        "loss": {"type": "quadratic"},
        "optimizer": {"type": "adam", "learning_rate": 0.01},
        "batch_size": 40,
        "epochs": 20,
    }
    spec = make_spec(**fields | changes)
    events = list(fit(spec, data))
    W, b, told = naive(spec, data, 20, penalty)
    tensors = events[-1].checkpoint().tensors
    assert np.allclose(tensors["layers.0.weights"], W, rtol=1e-11)
    assert np.allclose(tensors["layers.0.biases"], b, rtol=1e-11)
    for epoch, (cost, norm) in zip(events, told, strict=True):
        assert np.isclose(epoch.metrics["train_loss"], cost, rtol=1e-11)
        assert np.isclose(epoch.metrics["gradient_norm"], norm, rtol=1e-11)


def test_nielsen_divides_by_the_training_rows_alone(reals, make_spec):
    fields = {"layers": [{"type": "dense", "units": 2}], "loss": {"type": "quadratic"}, "validation": {"fraction": 0.2}}
    data = reals(rows=50)
    ends = [
        list(fit(make_spec(**fields, regularization=regularization), data))[-1].checkpoint().tensors["layers.0.weights"]
        for regularization in ({"nielsen_lambda": 8.0}, {"l2": 0.2}, {})
    ]
    assert np.allclose(ends[0], ends[1], rtol=1e-14)
    assert not np.allclose(ends[0], ends[2])


def test_max_norm_holds_after_every_step(reals, make_spec):
    spec = make_spec(
        layers=[{"type": "dense", "units": 2}],
        loss={"type": "quadratic"},
        regularization={"max_norm": 0.1},
    )
    for event in fit(spec, reals(), chunk_s=0):
        norms = np.linalg.norm(event.checkpoint().tensors["layers.0.weights"], axis=0)
        assert np.all(norms <= 0.1 * (1 + 1e-14))
