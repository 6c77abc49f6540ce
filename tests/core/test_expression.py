"""The expression layer: what it learns, what it refuses when a job is submitted, and that it equals layers we have."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from core.checkpoint import Checkpoint
from core.estimate import check
from core.layers import GELU, Expression, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from core.layers.expression import BLOCK
from core.network import Network
from core.predictor import Predictor
from core.spec import SpecError, findings
from core.training import fit
from core.training_spec import TrainingSpec
from core.workspace import Workspace


def expression(written, **parameters):
    return Expression(expression=written, parameters=parameters)


def around(written, **parameters):
    """The layers of a network with one expression in the middle."""
    layer = {"type": "expression", "expression": written, "parameters": parameters}
    return [{"type": "flatten"}, {"type": "dense", "units": 6}, layer, {"type": "dense", "units": 3}]


def both_ways(layer, x, dy):
    """y, dx and the gradient."""
    network = Network.trace([layer], x.shape[1:])
    theta, state = network.allocate(x.dtype.name)
    network.draw(0, theta, state)
    gradient = np.full_like(theta, np.nan)
    workspace = Workspace(network, len(x), theta=theta, state=state, gradient=gradient, input_gradient=True)
    y = workspace.forward(x).copy()
    return y, workspace.backward(dy).copy(), gradient


@pytest.mark.parametrize(
    ("written", "layer"),
    [
        ("max(0, x)", ReLU()),
        ("where(x > 0, x, 0.01 * x)", LeakyReLU()),
        ("sigmoid(x)", Sigmoid()),
        ("tanh(x)", Tanh()),
        ("x * sigmoid(x)", SiLU()),
        ("max(x, 0) + log(1 + exp(-abs(x)))", Softplus()),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_equals_the_layer_of_that_formula(written, layer, dtype):
    random = np.random.default_rng(0)
    x, dy = random.normal(size=(2, 7, 5)).astype(dtype)
    ours, theirs = both_ways(expression(written), x, dy), both_ways(layer, x, dy)
    bound = 2e-6 if dtype == "float32" else 1e-14
    for a, b in zip(ours[:2], theirs[:2], strict=True):
        assert np.allclose(a, b, rtol=bound, atol=bound)


def test_gelu_by_its_tanh_form_is_near_the_exact_one():
    x = np.linspace(-4, 4, 100)[:, None]
    near = expression("0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3)))")
    assert np.allclose(both_ways(near, x, x)[0], both_ways(GELU(), x, x)[0], atol=1e-3)


def test_gradients_of_parameters_are_sums_over_everything():
    x, dy = np.random.default_rng(0).normal(size=(2, 4, 3))
    _, dx, gradient = both_ways(expression("b * x + a", b=3.0, a=1.0), x, dy)
    assert np.allclose(gradient, [dy.sum(), (dy * x).sum()])  # in the order of the names
    assert np.allclose(dx, 3 * dy)


def test_many_blocks_are_as_one():
    x, dy = np.random.default_rng(0).normal(size=(2, 3, BLOCK))
    layer = expression("x * sigmoid(beta * x)", beta=1.5)
    y, dx, gradient = both_ways(layer, x, dy)
    each = [both_ways(layer, x[i : i + 1, :100], dy[i : i + 1, :100]) for i in range(3)]
    assert np.allclose(y[:, :100], np.concatenate([row[0] for row in each]), rtol=1e-14)
    assert np.allclose(dx[:, :100], np.concatenate([row[1] for row in each]), rtol=1e-14)
    s = 1 / (1 + np.exp(-1.5 * x))
    assert np.allclose(gradient, (dy * x * x * s * (1 - s)).sum())


def test_room_does_not_grow_with_the_batch():
    layer = expression("x * sigmoid(beta * x)", beta=1.0)
    few, many = (layer.scratch((784,), rows)["slots"].shape for rows in (100, 10_000))
    assert few == many == (3, BLOCK)


def test_the_order_of_parameters_does_not_matter():
    a = Expression.model_validate_json('{"expression": "a * x + b", "parameters": {"a": 1, "b": 2}}')
    b = Expression.model_validate_json('{"expression": "a * x + b", "parameters": {"b": 2, "a": 1}}')
    assert a == b
    assert list(a.parameters((3,))) == list(b.parameters((3,))) == ["a", "b"]


def test_a_network_learns_its_parameters_and_a_model_carries_them(classes, make_spec):
    data = classes()
    spec = make_spec(layers=around("x * sigmoid(beta * x)", beta=1.0), epochs=5)
    assert TrainingSpec.model_validate_json(spec.model_dump_json()) == spec
    *_, last = fit(spec, data)
    bytes_ = last.checkpoint().to_bytes()
    checkpoint = Checkpoint.from_bytes(bytes_)
    beta = checkpoint.tensors["layers.2.beta"]
    assert beta.shape == (1,)
    assert beta != 1.0
    assert checkpoint.spec["network"]["layers"][2]["parameters"] == {"beta": 1.0}
    assert Predictor.from_checkpoint(checkpoint).predict(data.x).shape == (50, 3)
    resumed = list(fit(spec.model_copy(), data, resume=checkpoint))
    assert resumed == []


def test_a_resumed_run_ends_with_the_same_bits(classes, make_spec):
    data = classes()
    spec = make_spec(layers=around("tanh(a * x + b)", a=1.0, b=0.0))
    *_, undisturbed = fit(spec, data)
    expected = undisturbed.checkpoint().digest
    events = fit(spec, data, chunk_s=0)
    checkpoint = [next(events) for _ in range(6)][-1].checkpoint()
    events.close()
    *_, last = fit(spec, data, resume=Checkpoint.from_bytes(checkpoint.to_bytes()))
    assert last.checkpoint().digest == expected


# What is refused


def refused(layer):
    spec = {"dataset": "ds_1", "network": {"layers": [{"type": "flatten"}, layer]}, "loss": {"type": "quadratic"}}
    with pytest.raises(ValidationError) as caught:
        TrainingSpec.model_validate_json(json.dumps(spec))
    (finding,) = findings(caught.value)
    return finding


@pytest.mark.parametrize(
    ("fields", "at", "says"),
    [
        ({"expression": "x * foo(x)"}, "expression", "Column 5: there is no function 'foo'; known are abs,"),
        ({"expression": "x * beta"}, "expression", "Column 5: there is no name 'beta': declare it under parameters"),
        ({"expression": "x", "parameters": {"beta": 1}}, "expression", "The parameter 'beta' does not occur"),
        ({"expression": "2 * pi"}, "expression", "does not contain x"),
        ({"expression": ""}, "expression", "must not be empty"),
        ({"expression": "x + " * 500 + "x"}, "expression", "at most 1000 characters"),
        ({"expression": 3}, "expression", "a text in quotes"),
        ({}, "expression", "required"),
        ({"expression": "x", "parameters": {"e": 1}}, "parameters", "'e' has a meaning of its own"),
        ({"expression": "x", "parameters": {"2b": 1}}, "parameters", "ASCII letters, digits and _, no digit first"),
        ({"expression": "x", "parameters": {"ä": 1}}, "parameters", "up to 32 ASCII letters"),
        ({"expression": "x", "parameters": {f"p{i}": 1 for i in range(17)}}, "parameters", "16"),
        ({"expression": "b * x", "parameters": {"b": "1"}}, "parameters/b", "number"),
        ({"expression": "b * x", "parameters": {"b": 1e31}}, "parameters/b", "1e30"),
        ({"expression": "b * x", "parameters": [1]}, "parameters", "object"),
        ({"expression": "x", "begin": {}}, "begin", 'There is no field "begin"'),
    ],
)
def test_what_is_no_expression_is_refused_at_its_place(fields, at, says):
    finding = refused({"type": "expression"} | fields)
    assert finding.pointer == f"/network/layers/1/{at}"
    assert says in finding.detail


@pytest.mark.parametrize("inside", [False, True])
def test_what_cannot_be_trained_is_refused_at_submission(classes, make_spec, inside):
    layers = around("log(x)")
    at = "/network/layers/2/expression"
    if inside:
        layers[2] = {"type": "residual", "layers": [{"type": "tanh"}, layers[2]]}
        at = "/network/layers/2/layers/1/expression"
    with pytest.raises(SpecError) as caught:
        check(make_spec(layers=layers), classes().schema, None)
    (error,) = caught.value.errors
    assert error.pointer == at
    assert "of the x between -3 and 3 the value of this expression is no finite number" in error.detail


def test_what_can_be_trained_is_estimated(classes, make_spec):
    spec = make_spec(layers=around("x * sigmoid(beta * x)", beta=1.0))
    plain = make_spec(layers=around("x"))
    found, less = (check(s, classes().schema, None) for s in (spec, plain))
    assert found.parameters == less.parameters + 1
    assert found.flops_per_epoch > less.flops_per_epoch
