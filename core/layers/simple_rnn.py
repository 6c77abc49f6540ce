"""The simple recurrent layer."""

from __future__ import annotations

from typing import Literal

import numpy as np

from core.layers.layer import Array, Context, Scratch, Shape
from core.layers.recurrence import Recurrent, carry, hold, panels, read_dy, steps_first, write_states


class SimpleRNN(Recurrent):
    """h_t = tanh(x_t W + h_(t-1) U + b), h_0 = 0, with x (n, time, inputs) and h_t (n, units).

    y is the last state (n, units), or with `sequence` all of them (n, time, units). J. Elman, Cognitive Science 14
    (1990). Backward through time, with dh_t the sum of what y and the step behind want of h_t:

        da_t = dh_t (1 - h_t^2),  dh_(t-1) += da_t U^T,  dx_t = da_t W^T,
        dW = sum x_t^T da_t,  dU = sum h_(t-1)^T da_t,  db = sum da_t.
    """

    type: Literal["simple_rnn"] = "simple_rnn"

    def forward(self, x: Array, ctx: Context) -> Array:
        W, U, b = ctx.parameters
        steps, h, a, *_ = ctx.scratch
        np.matmul(steps_first(x, steps), W, out=h[1:].reshape(-1, self.units))
        h[1:] += b
        h[0] = 0
        for t in range(len(steps)):
            h[t + 1] += np.matmul(h[t], U, out=a[t])
            np.tanh(h[t + 1], out=h[t + 1])
            carry(ctx.mask, t, h[t], h[t + 1])
        return write_states(h, ctx.y)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        W, U, _ = ctx.parameters
        dW, dU, db = ctx.gradients
        steps, h, da, dh, _ = ctx.scratch
        dh[...] = 0
        for t in reversed(range(len(steps))):
            read_dy(dy, t, len(steps), dh)
            around = hold(ctx.mask, t, dh)
            np.multiply(h[t + 1], h[t + 1], out=da[t])
            np.subtract(1, da[t], out=da[t])
            da[t] *= dh
            np.matmul(da[t], U.T, out=dh)
            dh += around
        das = da.reshape(-1, self.units)
        np.matmul(steps.reshape(len(das), -1).T, das, out=dW)
        np.matmul(h[:-1].reshape(das.shape).T, das, out=dU)
        np.sum(das, axis=0, out=db)
        if ctx.dx is not None:
            np.matmul(da, W.T, out=ctx.dx.swapaxes(0, 1))
        return ctx.dx

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        time, inputs = shape
        return {
            "steps": Scratch((time, rows, inputs)),
            "h": Scratch((time + 1, rows, self.units)),
            "da": Scratch((time, rows, self.units)),
            "dh": Scratch((rows, self.units)),
            "panels": panels(1, self.units),
        }

    def flops(self, shape: Shape) -> int:
        time, inputs = shape
        return time * self.units * (2 * (inputs + self.units) + 5)
