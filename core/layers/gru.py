"""The gated recurrent unit."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from core.layers.layer import Array, Context, Scratch, Shape, Variable
from core.layers.recurrence import Recurrent, carry, hold, panels, read_dy, steps_first, write_states
from core.layers.sigmoid import sigmoid


class GRU(Recurrent):
    """With a_t = x_t W + b and q_t = h_(t-1) U, each in three blocks of `units` columns r, z, n; h_0 = 0:

        r = sigmoid(a_r + q_r),  z = sigmoid(a_z + q_z),  p = q_n + e,  n = tanh(a_n + r p)
        h_t = (1 - z) n + z h_(t-1)

    with x (n, time, inputs), W (inputs, 3 units), U (units, 3 units), b (3 units), e (units). y is the last h
    (n, units), or with `sequence` all of them (n, time, units). K. Cho et al., EMNLP 2014; the reset gate r acts
    behind the recurrent product, which then has a bias e of its own, as in cuDNN. Backward, with dh_t the sum of what
    y and the step behind want of h_t:

        da_n = dh_t (1 - z) (1 - n^2),  da_r = da_n p r (1 - r),  da_z = dh_t (h_(t-1) - n) z (1 - z),
        dq = (da_r, da_z, da_n r),  dh_(t-1) = dh_t z + dq U^T,
        dW = sum x_t^T da_t,  dU = sum h_(t-1)^T dq_t,  db = sum da_t,  de = sum dq_n.
    """

    type: Literal["gru"] = "gru"
    name: ClassVar[str] = "A GRU"
    blocks: ClassVar[int] = 3

    def forward(self, x: Array, ctx: Context) -> Array:
        W, U, b, e = ctx.parameters
        steps, gates, q, h, *_ = ctx.scratch
        u = self.units
        np.matmul(steps_first(x, steps), W, out=gates.reshape(-1, 3 * u))
        gates += b
        h[0] = 0
        for t in range(len(gates)):
            a = gates[t]
            np.matmul(h[t], U, out=q[t])
            p = q[t, :, 2 * u :]  # kept for backward
            p += e
            a[:, : 2 * u] += q[t, :, : 2 * u]
            sigmoid(a[:, : 2 * u], out=a[:, : 2 * u])
            r, z, n = _three(a)
            n += np.multiply(r, p, out=h[t + 1])
            np.tanh(n, out=n)
            np.subtract(h[t], n, out=h[t + 1])
            h[t + 1] *= z
            h[t + 1] += n
            carry(ctx.mask, t, h[t], h[t + 1])
        return write_states(h, ctx.y)

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        W, U, _, _ = ctx.parameters
        dW, dU, db, de = ctx.gradients
        steps, gates, q, h, da, dq, dh, _ = ctx.scratch
        u = self.units
        dh[...] = 0
        for t in reversed(range(len(steps))):
            read_dy(dy, t, len(steps), dh)
            around = hold(ctx.mask, t, dh)
            r, z, n = _three(gates[t])
            dr, dz, dn = _three(da[t])
            dn[...] = dh * (1 - z) * (1 - n * n)
            dr[...] = dn * q[t, :, 2 * u :] * r * (1 - r)
            dz[...] = dh * (h[t] - n) * z * (1 - z)
            dq[t] = da[t]
            dq[t, :, 2 * u :] *= r
            dh *= z
            dh += dq[t] @ U.T
            dh += around
        das, dqs = da.reshape(-1, 3 * u), dq.reshape(-1, 3 * u)
        np.matmul(steps.reshape(len(das), -1).T, das, out=dW)
        np.matmul(h[:-1].reshape(len(das), -1).T, dqs, out=dU)
        np.sum(das, axis=0, out=db)
        np.sum(dqs[:, 2 * u :], axis=0, out=de)
        if ctx.dx is not None:
            np.matmul(da, W.T, out=ctx.dx.swapaxes(0, 1))
        return ctx.dx

    def parameters(self, shape: Shape) -> dict[str, Variable]:
        within = Variable((self.units,), self.biases, self.units, self.units)
        return super().parameters(shape) | {"recurrent_biases": within}

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        (time, inputs), units = shape, self.units
        return {
            "steps": Scratch((time, rows, inputs)),
            "gates": Scratch((time, rows, 3 * units)),
            "q": Scratch((time, rows, 3 * units)),
            "h": Scratch((time + 1, rows, units)),
            "da": Scratch((time, rows, 3 * units)),
            "dq": Scratch((time, rows, 3 * units)),
            "dh": Scratch((rows, units)),
            "panels": panels(3, units),
        }

    def flops(self, shape: Shape) -> int:
        time, inputs = shape
        return time * self.units * (6 * (inputs + self.units) + 25)


def _three(a: Array) -> tuple[Array, Array, Array]:
    """The blocks of r, z and n, as views."""
    u = a.shape[-1] // 3
    return a[:, :u], a[:, u : 2 * u], a[:, 2 * u :]
