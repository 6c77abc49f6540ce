"""Recurrent layers, as a Scan over the steps of the sequences.

ONNX has RNN, LSTM and GRU too, but runtimes know them in float32 alone, and for masks only numbers of steps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.layers.gru import GRU
from core.layers.lstm import LSTM
from core.layers.recurrence import Recurrent
from core.layers.simple_rnn import SimpleRNN
from core.onnx import messages
from core.onnx.graph import At, Graph

Step = Callable[[Graph, str, list[str]], list[str]]  # the states behind a step, from x_t W + b and those before it


def simple_rnn(layer: SimpleRNN, at: At) -> str:
    """h_t = tanh(a_t + h_(t-1) U)."""

    def step(g: Graph, a: str, states: list[str]) -> list[str]:
        return [g.node("Tanh", g.node("Add", a, g.node("MatMul", states[0], recurrent)))]

    recurrent = at.learned("recurrent_weights")
    return _scan(layer, at, 1, step)


def lstm(layer: LSTM, at: At) -> str:
    """c_t = f c_(t-1) + i g, h_t = o tanh(c_t)."""

    def step(g: Graph, a: str, states: list[str]) -> list[str]:
        h, c = states
        i, f, update, o = _blocks(g, g.node("Add", a, g.node("MatMul", h, recurrent)), 4)
        kept = g.node("Mul", g.node("Sigmoid", f), c)
        cell = g.node("Add", kept, g.node("Mul", g.node("Sigmoid", i), g.node("Tanh", update)))
        return [g.node("Mul", g.node("Sigmoid", o), g.node("Tanh", cell)), cell]

    recurrent = at.learned("recurrent_weights")
    return _scan(layer, at, 2, step)


def gru(layer: GRU, at: At) -> str:
    """h_t = (1 - z) n + z h_(t-1), as n + z (h_(t-1) - n)."""

    def step(g: Graph, a: str, states: list[str]) -> list[str]:
        [h] = states
        a_r, a_z, a_n = _blocks(g, a, 3)
        q_r, q_z, q_n = _blocks(g, g.node("MatMul", h, recurrent), 3)
        r = g.node("Sigmoid", g.node("Add", a_r, q_r))
        z = g.node("Sigmoid", g.node("Add", a_z, q_z))
        n = g.node("Tanh", g.node("Add", a_n, g.node("Mul", r, g.node("Add", q_n, biases))))
        return [g.node("Add", n, g.node("Mul", z, g.node("Sub", h, n)))]

    recurrent, biases = at.learned("recurrent_weights"), at.learned("recurrent_biases")
    return _scan(layer, at, 1, step)


def _blocks(g: Graph, a: str, count: int) -> list[str]:
    return g.nodes_of("Split", [a], count, {"axis": -1, "num_outputs": count})


def _scan(layer: Recurrent, at: At, states: int, step: Step) -> str:
    """y of a layer with so many states, the first of which is h; all begin with zeros."""
    g, kind = at.graph, at.graph.dtype.name
    a = g.node("Add", g.node("MatMul", at.x, at.learned("weights")), at.learned("biases"))
    batch = g.node("Shape", at.x, start=0, end=1)
    room = g.node("Concat", batch, g.whole(layer.units), axis=0)
    zeros = g.node("ConstantOfShape", room, value=np.zeros(1, g.dtype))
    sequences = [a] if at.mask is None else [a, at.mask]

    body = Graph(kind, around=g)
    before = [body.fresh("before") for _ in range(states)]
    a_t, mask_t = body.fresh("a_t"), body.fresh("mask_t")
    behind = step(body, a_t, before)
    if at.mask is not None:
        valid = body.node("Unsqueeze", mask_t, body.whole(-1))
        behind = [body.node("Where", valid, new, old) for new, old in zip(behind, before, strict=True)]
    made = [*behind, body.node("Identity", behind[0])] if layer.sequence else behind
    rows = ("batch", layer.units)
    inputs = [messages.described(name, kind, rows) for name in before]
    inputs.append(messages.described(a_t, kind, ("batch", layer.blocks * layer.units)))
    if at.mask is not None:
        inputs.append(messages.described(mask_t, "bool", ("batch",)))
    outputs = [messages.described(name, kind, rows) for name in made]

    attributes: dict[str, messages.Attribute] = {
        "body": messages.graph(f"{g.place}step", body.nodes, inputs, outputs),
        "num_scan_inputs": len(sequences),
        "scan_input_axes": (1,) * len(sequences),
    }
    if layer.sequence:
        attributes["scan_output_axes"] = (1,)
    results = g.nodes_of("Scan", [*([zeros] * states), *sequences], len(made), attributes)
    return results[-1] if layer.sequence else results[0]
