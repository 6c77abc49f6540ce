"""The elementwise layers against their formulas, one number at a time, and at the ends of what numbers can hold."""

import math

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from core.layers import ELU, GELU, AnyLayer, LeakyReLU, SiLU, Softmax, Softplus
from core.layers.erf import erf
from core.network import Network, ShapeError
from core.workspace import Workspace

X = [-30.0, -5.5, -1.0, -0.3, 0.0, 1e-9, 0.2, 1.0, 4.0, 30.0]


def logistic(x):
    return 1 / (1 + math.exp(-x))


def density(x):
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


# (layer, y of x, dy/dx)
FORMULAS = [
    (LeakyReLU(), lambda x: max(x, 0.01 * x), lambda x: 1 if x > 0 else 0.01),
    (LeakyReLU(slope=0.3), lambda x: max(x, 0.3 * x), lambda x: 1 if x > 0 else 0.3),
    (LeakyReLU(slope=0.0), lambda x: max(x, 0), lambda x: float(x > 0)),
    (ELU(), lambda x: x if x > 0 else math.expm1(x), lambda x: 1 if x > 0 else math.exp(x)),
    (ELU(alpha=0.5), lambda x: x if x > 0 else 0.5 * math.expm1(x), lambda x: 1 if x > 0 else 0.5 * math.exp(x)),
    (
        GELU(),
        lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
        lambda x: math.erfc(-x / math.sqrt(2)) / 2 + x * density(x),
    ),
    (SiLU(), lambda x: x * logistic(x), lambda x: logistic(x) * (1 + x * (1 - logistic(x)))),
    (Softplus(), lambda x: math.log1p(math.exp(x)), logistic),
]
NAMES = [str(layer) for layer, *_ in FORMULAS]
over_formulas = pytest.mark.parametrize(("layer", "value", "slope"), FORMULAS, ids=NAMES)


def forward_and_backward(layer, x):
    """y and dy/dx of an array."""
    x = x.reshape(1, -1)
    nothing = np.empty(0, x.dtype)
    workspace = Workspace(
        Network.trace([layer], x.shape[1:]), 1, theta=nothing, state=nothing, gradient=nothing, input_gradient=True
    )
    return workspace.forward(x)[0].copy(), workspace.backward(np.ones_like(x))[0].copy()


@over_formulas
def test_value_and_slope_are_those_of_the_formula(layer, value, slope):
    y, dx = forward_and_backward(layer, np.array(X))
    assert np.allclose(y, [value(x) for x in X], rtol=1e-15, atol=1e-15)
    assert np.allclose(dx, [slope(x) for x in X], rtol=1e-15, atol=1e-15)


@over_formulas
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extremes_are_borne(layer, value, slope, dtype):
    """As far out as numbers reach, each is a straight line; NumPy's warnings of overflow would be errors here."""
    most = float(np.finfo(dtype).max)
    far = np.array([-most, -1e30, -1e4, 1e4, 1e30, most], dtype)
    y, dx = forward_and_backward(layer, far)
    left = layer.slope if isinstance(layer, LeakyReLU) else 0
    floor = -layer.alpha if isinstance(layer, ELU) else 0
    assert np.allclose(y[:3], left * far[:3] + floor, rtol=1e-6, atol=1e-30)
    assert np.array_equal(y[3:], far[3:])
    assert np.allclose(dx, [left] * 3 + [1] * 3, rtol=1e-6, atol=1e-30)


@over_formulas
def test_nan_travels_alone(layer, value, slope):
    y, dx = forward_and_backward(layer, np.array([1.0, math.nan, -1.0]))
    assert np.isnan(y).tolist() == [False, True, False]
    assert np.isfinite(dx[[0, 2]]).all()


@pytest.mark.parametrize(
    "body",
    [
        {"type": "leaky_relu", "slope": -0.1},
        {"type": "leaky_relu", "slope": 1.5},
        {"type": "leaky_relu", "slope": "0.1"},
        {"type": "elu", "alpha": 0},
        {"type": "elu", "alpha": math.inf},
        {"type": "gelu", "approximate": "tanh"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(body):
    with pytest.raises(ValidationError):
        TypeAdapter(AnyLayer).validate_python(body)


@pytest.mark.parametrize(
    "x",
    [
        np.linspace(-7, 7, 100_001),
        np.linspace(0.46, 0.48, 20_001),
        np.linspace(3.99, 6.01, 20_001),
        10.0 ** np.linspace(-307, 2, 10_001),
    ],
    ids=["everywhere", "where the forms meet", "tail", "magnitudes"],
)
def test_erf_is_that_of_the_c_library(x):
    expected = np.array([math.erf(v) for v in x])
    assert np.allclose(erf(x, np.empty_like(x)), expected, rtol=8e-16, atol=0)
    single = x.astype("float32")
    found = erf(single, np.empty_like(single))
    assert found.dtype == np.float32
    assert np.allclose(found, [math.erf(v) for v in single], rtol=5e-7, atol=1e-44)


def test_erf_at_the_ends():
    ends = np.array([0.0, -0.0, math.inf, -math.inf, 1e308, math.nan])
    found = erf(ends, np.empty_like(ends))
    assert found[:5].tolist() == [0, 0, 1, -1, 1]
    assert np.signbit(found[:2]).tolist() == [False, True]
    assert math.isnan(found[5])
    assert ends[4] == 1e308


@pytest.mark.parametrize("shape", [(1,), (4, 1)])
def test_a_softmax_over_a_single_number_is_refused(shape):
    with pytest.raises(ShapeError, match="over a single number always gives 1: use sigmoid"):
        Network.trace([Softmax()], shape)
    Network.trace([Softmax()], (*shape, 2))
