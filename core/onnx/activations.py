"""Activations: the operators that ONNX has, put together where runtimes have them in float32 alone."""

from __future__ import annotations

from math import sqrt

from core.layers.elu import ELU
from core.layers.erf import FAR, NEAR
from core.layers.gelu import GELU
from core.layers.leaky_relu import LeakyReLU
from core.layers.relu import ReLU
from core.layers.sigmoid import Sigmoid
from core.layers.silu import SiLU
from core.layers.softmax import Softmax
from core.layers.softplus import Softplus
from core.layers.tanh import Tanh
from core.onnx.graph import At, Graph


def relu(_: ReLU, at: At) -> str:
    """max(0, x)."""
    return at.graph.node("Relu", at.x)


def sigmoid(_: Sigmoid, at: At) -> str:
    """1 / (1 + e^-x)."""
    return at.graph.node("Sigmoid", at.x)


def tanh(_: Tanh, at: At) -> str:
    """tanh x."""
    return at.graph.node("Tanh", at.x)


def softmax(_: Softmax, at: At) -> str:
    """Over the last axis."""
    return at.graph.node("Softmax", at.x, axis=-1)


def silu(_: SiLU, at: At) -> str:
    """x sigmoid(x)."""
    return at.graph.node("Mul", at.x, at.graph.node("Sigmoid", at.x))


def leaky_relu(layer: LeakyReLU, at: At) -> str:
    """x where it is positive, else slope x."""
    g, x = at.graph, at.x
    if g.single:
        return g.node("LeakyRelu", x, alpha=layer.slope)
    return g.node("Where", _positive(g, x), x, g.node("Mul", x, g.numbers(layer.slope)))


def elu(layer: ELU, at: At) -> str:
    """x where it is positive, else alpha (e^x - 1)."""
    g, x = at.graph, at.x
    if g.single:
        return g.node("Elu", x, alpha=layer.alpha)
    below = g.node("Sub", g.node("Exp", g.node("Min", x, g.numbers(0))), g.numbers(1))
    return g.node("Where", _positive(g, x), x, g.node("Mul", below, g.numbers(layer.alpha)))


def softplus(_: Softplus, at: At) -> str:
    """log(1 + e^x), as max(0, x) + log(1 + e^-|x|)."""
    g, x = at.graph, at.x
    if g.single:
        return g.node("Softplus", x)
    small = g.node("Exp", g.node("Neg", g.node("Abs", x)))
    return g.node("Add", g.node("Relu", x), g.node("Log", g.node("Add", small, g.numbers(1))))


def gelu(_: GELU, at: At) -> str:
    """x (1 + erf(x / sqrt 2)) / 2."""
    g, x = at.graph, at.x
    if g.single:
        return g.node("Gelu", x)
    distribution = g.node("Add", _erf(g, g.node("Mul", x, g.numbers(sqrt(0.5)))), g.numbers(1))
    return g.node("Mul", g.node("Mul", x, distribution), g.numbers(0.5))


def _positive(g: Graph, x: str) -> str:
    return g.node("Greater", x, g.numbers(0))


def _erf(g: Graph, x: str) -> str:
    """As `core.layers.erf` has it."""
    size = g.node("Min", g.node("Abs", x), g.numbers(6))
    square = g.node("Mul", size, size)
    near = g.node("Mul", size, _ratio(g, NEAR, square))
    decay = g.node("Exp", g.node("Neg", square))
    far = g.node("Sub", g.numbers(1), g.node("Mul", decay, _ratio(g, FAR, size)))
    erf = g.node("Where", g.node("LessOrEqual", size, g.numbers(0.46875)), near, far)
    return g.node("Mul", g.node("Sign", x), erf)


def _ratio(g: Graph, polynomials: tuple[tuple[float, ...], tuple[float, ...]], x: str) -> str:
    """Of two polynomials, by Horner's rule."""
    over, under = (_polynomial(g, coefficients, x) for coefficients in polynomials)
    return g.node("Div", over, under)


def _polynomial(g: Graph, coefficients: tuple[float, ...], x: str) -> str:
    y = g.numbers(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        y = g.node("Add", g.node("Mul", y, x), g.numbers(c))
    return y
