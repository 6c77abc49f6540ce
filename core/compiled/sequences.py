"""The operations of recurrent layers, self-attention and embedding."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from core.compiled.library import Operation
from core.compiled.rules import Rule, Site, address
from core.layers.embedding import Embedding
from core.layers.gru import GRU
from core.layers.layer import Array
from core.layers.lstm import LSTM
from core.layers.self_attention import SelfAttention
from core.layers.simple_rnn import SimpleRNN


class _Scratch:
    """The addresses of a layer's scratch by name."""

    def __init__(self, site: Site) -> None:
        names = site.at.layer.scratch(site.at.input_shape, 1)
        self._places = dict(zip(names, site.ctx.scratch, strict=True))

    def __call__(self, *names: str) -> tuple[int, ...]:
        return tuple(address(self._places[name]) for name in names)


def _product(rows: int, x: int, W: Array, b: Array, y: int) -> Operation:
    """y = x W + b, with so many rows for each example."""
    return Operation("dense_forward", (*W.shape, rows), (x, address(W), address(b), y))


def _gradients(rows: int, x: int, dy: int, dW: Array, db: Array | None) -> Operation:
    """dW = x^T dy, and the sums of dy."""
    return Operation("dense_gradients", (*dW.shape, rows), (x, 0, 0, dy, 0, address(dW), address(db)))


def _input_gradient(rows: int, dy: int, W: Array, dx: int) -> Operation:
    """dx = dy W^T"""
    return Operation("dense_backward", (*W.shape, rows), (0, address(W), 0, dy, dx))


def _recurrent(site: Site) -> list[Operation]:
    """The input product of all steps, then the steps."""
    layer, (time, inputs), scratch = site.at.layer, site.at.input_shape, _Scratch(site)
    assert isinstance(layer, SimpleRNN | LSTM | GRU)
    W, U, b, *others = site.ctx.parameters
    steps, panels, gates = scratch("steps", "panels", "da" if isinstance(layer, SimpleRNN) else "gates")
    places: tuple[int, ...]
    match layer:
        case SimpleRNN():
            places = (gates, *scratch("h"), site.y, panels, site.mask)
        case LSTM():
            places = (gates, *scratch("h", "c"), site.y, panels, site.mask)
        case GRU():
            places = (gates, *scratch("q", "h"), site.y, panels, site.mask, address(others[0]))
    return [
        Operation("time_first", (time, inputs), (site.x, steps)),
        _product(time, steps, W, b, gates),
        Operation("lay_out", U.shape, (address(U), panels)),
        Operation(f"{layer.type}_forward", (time, layer.units), places, kind=int(layer.sequence)),
    ]


def _recurrent_back(site: Site, dy: int) -> list[Operation]:
    """The steps in reverse, then what they add up to."""
    layer, (time, inputs), scratch = site.at.layer, site.at.input_shape, _Scratch(site)
    assert isinstance(layer, SimpleRNN | LSTM | GRU)
    W, U, *_ = site.ctx.parameters
    dW, dU, db, *others = site.ctx.gradients
    steps, panels, h, da, dh = scratch("steps", "panels", "h", "da", "dh")
    dq = da
    places: tuple[int, ...]
    match layer:
        case SimpleRNN():
            places = (da, h, dy, panels, site.mask, dh)
        case LSTM():
            places = (*scratch("gates", "c"), dy, da, panels, site.mask, dh, *scratch("dc"))
        case GRU():
            (dq,) = scratch("dq")
            places = (*scratch("gates", "q"), h, dy, panels, site.mask, dh, da, dq)
    made = [
        Operation("lay_out", U.T.shape, (address(U), panels), kind=1),
        Operation(f"{layer.type}_backward", (time, layer.units), places, kind=int(layer.sequence)),
        _gradients(time, steps, da, dW, db),
        _gradients(time, h, dq, dU, None),
    ]
    if others:  # the bias within the reset gate of a GRU
        last = dq + 2 * layer.units * U.itemsize
        made.append(Operation("sum_columns", (layer.units, 3 * layer.units, time), (last, address(others[0]))))
    if site.ctx.dx is not None:
        made.append(_input_gradient(time, da, W, steps))
        made.append(Operation("rows_first", (time, inputs), (steps, address(site.ctx.dx))))
    return made


def _attention(site: Site) -> list[Operation]:
    return list(_attention_parts(site))


def _attention_parts(site: Site) -> Iterator[Operation]:
    layer, (time, d), scratch = site.at.layer, site.at.input_shape, _Scratch(site)
    assert isinstance(layer, SelfAttention)
    W, b, V, c, *positions = site.ctx.parameters
    x, qkv, A, m = site.x, *scratch("qkv", "A", "m")
    if positions:
        (x,) = scratch("placed")
        yield Operation("add_positions", (time * d,), (site.x, address(positions[0]), x))
    yield _product(time, x, W, b, qkv)
    yield Operation("attention_forward", (time, d, layer.heads), (qkv, A, m, site.mask))
    yield _product(time, m, V, c, site.y)


def _attention_back(site: Site, dy: int) -> list[Operation]:
    layer, (time, d), scratch = site.at.layer, site.at.input_shape, _Scratch(site)
    assert isinstance(layer, SelfAttention)
    W, _, V, *_ = site.ctx.parameters
    dW, db, dV, dc, *dpositions = site.ctx.gradients
    x = scratch("placed")[0] if dpositions else site.x
    qkv, A, m, dqkv, dA, dm = scratch("qkv", "A", "m", "dqkv", "dA", "dm")
    made = [
        _gradients(time, m, dy, dV, dc),
        _input_gradient(time, dy, V, dm),
        Operation("attention_backward", (time, d, layer.heads), (qkv, A, dm, dqkv, dA)),
        _gradients(time, x, dqkv, dW, db),
    ]
    dx = address(site.ctx.dx) or (scratch("dplaced")[0] if dpositions else 0)
    if dx:
        made.append(_input_gradient(time, dqkv, W, dx))
    if dpositions:
        made.append(Operation("sum_columns", (time * d, time * d, 1), (dx, address(dpositions[0]))))
    return made


def _embedding(site: Site) -> list[Operation]:
    layer = site.at.layer
    assert isinstance(layer, Embedding)
    size = prod(site.at.input_shape), layer.size, layer.dimension
    places = site.x, address(site.ctx.parameters[0]), site.y, *_Scratch(site)("index", "known")
    return [Operation("embedding_forward", size, places)]


def _embedding_back(site: Site, dy: int) -> list[Operation]:
    layer = site.at.layer
    assert isinstance(layer, Embedding)
    size = prod(site.at.input_shape), layer.size, layer.dimension
    places = dy, address(site.ctx.gradients[0]), address(site.ctx.dx), *_Scratch(site)("index")
    return [Operation("embedding_backward", size, places)]


RULES = {
    **dict.fromkeys(("simple_rnn", "lstm", "gru"), Rule(_recurrent, _recurrent_back)),
    "self_attention": Rule(_attention, _attention_back),
    "embedding": Rule(_embedding, _embedding_back),
}
