"""Long short-term memory."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from core.layers.layer import Array, Context, Scratch, Shape
from core.layers.recurrence import Recurrent, carry, hold, panels, read_dy, steps_first, write_states
from core.layers.sigmoid import sigmoid


class LSTM(Recurrent):
    """Gates a_t = x_t W + h_(t-1) U + b, in four blocks of `units` columns; h_0 = c_0 = 0:

        i, f, g, o = sigmoid(a_i), sigmoid(a_f), tanh(a_g), sigmoid(a_o)
        c_t = f c_(t-1) + i g,  h_t = o tanh(c_t)

    with x (n, time, inputs), W (inputs, 4 units), U (units, 4 units), b (4 units). y is the last h (n, units), or with
    `sequence` all of them (n, time, units). S. Hochreiter, J. Schmidhuber, Neural Computation 9 (1997), with the forget
    gate of F. Gers et al. (2000); order of the gates and one h for output and recurrence as in cuDNN. Backward, with
    dh_t, dc_t the sums of what y and the step behind want of h_t, c_t, and s = tanh(c_t):

        da_o = dh_t s o (1 - o),  dc_t += dh_t o (1 - s^2),  da_i = dc_t g i (1 - i),  da_f = dc_t c_(t-1) f (1 - f),
        da_g = dc_t i (1 - g^2),  dc_(t-1) = dc_t f,  dh_(t-1) = da_t U^T, and the sums of the simple recurrent layer.
    """

    type: Literal["lstm"] = "lstm"
    name: ClassVar[str] = "An LSTM"
    blocks: ClassVar[int] = 4

    def forward(self, x: Array, ctx: Context) -> Array:
        W, U, b = ctx.parameters
        steps, gates, h, c, room, *_ = ctx.scratch
        u = self.units
        np.matmul(steps_first(x, steps), W, out=gates.reshape(-1, 4 * u))
        gates += b
        h[0] = c[0] = 0
        for t in range(len(gates)):
            a = gates[t]
            a += np.matmul(h[t], U, out=room[t])
            sigmoid(a[:, : 2 * u], out=a[:, : 2 * u])
            np.tanh(a[:, 2 * u : 3 * u], out=a[:, 2 * u : 3 * u])
            sigmoid(a[:, 3 * u :], out=a[:, 3 * u :])
            i, f, g, o = _four(a)
            np.multiply(f, c[t], out=c[t + 1])
            c[t + 1] += np.multiply(i, g, out=h[t + 1])
            np.multiply(o, np.tanh(c[t + 1], out=h[t + 1]), out=h[t + 1])
            carry(ctx.mask, t, c[t], c[t + 1])
            carry(ctx.mask, t, h[t], h[t + 1])
        return write_states(h, ctx.y)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        W, U, _ = ctx.parameters
        dW, dU, db = ctx.gradients
        steps, gates, h, c, da, dh, dc, _ = ctx.scratch
        dh[...] = dc[...] = 0
        for t in reversed(range(len(steps))):
            read_dy(dy, t, len(steps), dh)
            dh_around, dc_around = hold(ctx.mask, t, dh), hold(ctx.mask, t, dc)
            i, f, g, o = _four(gates[t])
            di, df, dg, do = _four(da[t])
            s = np.tanh(c[t + 1])
            do[...] = dh * s * o * (1 - o)
            dc += dh * o * (1 - s * s)
            di[...] = dc * g * i * (1 - i)
            df[...] = dc * c[t] * f * (1 - f)
            dg[...] = dc * i * (1 - g * g)
            dc *= f
            dc += dc_around
            np.matmul(da[t], U.T, out=dh)
            dh += dh_around
        das = da.reshape(-1, 4 * self.units)
        np.matmul(steps.reshape(len(das), -1).T, das, out=dW)
        np.matmul(h[:-1].reshape(len(das), -1).T, das, out=dU)
        np.sum(das, axis=0, out=db)
        if ctx.dx is not None:
            np.matmul(da, W.T, out=ctx.dx.swapaxes(0, 1))
        return ctx.dx

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        (time, inputs), units = shape, self.units
        return {
            "steps": Scratch((time, rows, inputs)),
            "gates": Scratch((time, rows, 4 * units)),
            "h": Scratch((time + 1, rows, units)),
            "c": Scratch((time + 1, rows, units)),
            "da": Scratch((time, rows, 4 * units)),
            "dh": Scratch((rows, units)),
            "dc": Scratch((rows, units)),
            "panels": panels(4, units),
        }

    def flops(self, shape: Shape) -> int:
        time, inputs = shape
        return time * self.units * (8 * (inputs + self.units) + 30)


def _four(a: Array) -> tuple[Array, Array, Array, Array]:
    """The blocks of the four gates, as views."""
    u = a.shape[-1] // 4
    return a[:, :u], a[:, u : 2 * u], a[:, 2 * u : 3 * u], a[:, 3 * u :]
