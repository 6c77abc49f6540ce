"""Is a derivative what it claims to be? Backward against central differences, in float64.

A gradient g of C at v is compared along random directions u of length 1: g·u against (C(v + hu) - C(v - hu)) / 2h. One
number for all inputs and parameters at once finds any wrong component. The error is relative to the larger of the two,
or to FLOOR where both are smaller: there rounding, about 1e-16 |C| / h, would pass for an error. Points where a
derivative jumps are kept away from; dropout draws its masks from the same key each time, so they stand still.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from core.layers.layer import Array, Layer, Shape
from core.losses import Loss
from core.network import Network, pairs
from core.random import Purpose, Random
from core.workspace import Workspace

STEP = 1e-5
FLOOR = 1e-3
MARGIN = 1e-2  # from a kink: far more than STEP


def directional_error(value: Callable[[Array], float], gradient: Array, at: Array, u: Array) -> float:
    """The relative error of `gradient` at the vector `at` along the direction u."""
    claimed = float(gradient @ u)
    measured = (value(at + STEP * u) - value(at - STEP * u)) / (2 * STEP)
    return abs(claimed - measured) / max(abs(claimed), abs(measured), FLOOR)


def directions(random: Random, length: int, count: int = 8, fixed: int = 0) -> list[Array]:
    """Random vectors of length 1, zero in the last `fixed` components."""
    drawn = [random.normal((length,)) for _ in range(count)]
    for u in drawn:
        u[length - fixed :] = 0
    return [u / np.linalg.norm(u) for u in drawn]


def draw_inputs(layer: Layer, shape: Shape, random: Random) -> Array:
    """Random inputs of a shape that the layer takes, and has a derivative at: whole numbers if it wants those."""
    if (categories := layer.categories()) is not None:
        return np.floor(random.uniform(shape) * categories)
    return away_from(layer.kinks, random.normal(shape))


def layer_error(layer: Layer, shape: Shape, *, rows: int = 4, seed: int = 0) -> float:
    """The largest error of a layer's dx and gradients together, at random inputs (rows, *shape) and parameters."""
    random = Random(seed, Purpose.CHECK)
    network = Network.trace([layer], shape)
    theta, state = network.allocate("float64")
    network.draw(seed, theta, state)
    theta += 0.5 * random.normal(theta.shape)
    x = draw_inputs(layer, (rows, *shape), random)
    r = random.normal((rows, *network.output_shape))  # C = r·y, so dC/dy = r
    gradient = np.zeros_like(theta)

    def workspace(v: Array) -> tuple[Workspace, float]:
        made = Workspace(
            network,
            rows,
            theta=v[: theta.size],
            state=state.copy(),
            gradient=gradient,
            training=True,
            input_gradient=True,
        )
        made.randomise(rows, seed, epoch=0, step=0)
        return made, float(np.sum(r * made.forward(v[theta.size :].reshape(x.shape))))

    at = np.concatenate([theta, x.reshape(-1)])
    dx = workspace(at)[0].backward(r)
    assert dx is not None
    claimed = np.concatenate([gradient, dx.reshape(-1)])
    errors = [
        directional_error(lambda v: workspace(v)[1], claimed, at, u)
        for u in directions(random, at.size, fixed=x.size if layer.categories() else 0)
        if _sides(workspace(at + STEP * u)[0], rows) == _sides(workspace(at - STEP * u)[0], rows)
    ]
    # Where every direction crosses a kink, such as two inputs that nearly tie in a pooling window: look elsewhere.
    return max(errors) if errors else layer_error(layer, shape, rows=rows, seed=seed + 2**32)


def loss_error(loss: Loss, targets: Array, *, seed: int = 0) -> float:
    """The largest error of a loss's derivative at random outputs, for target rows (n, width)."""
    random = Random(seed, Purpose.CHECK)
    room = np.empty_like(targets)
    a = 2 * random.normal(targets.shape)

    def cost(v: Array) -> float:
        return float(loss.forward(v.reshape(a.shape), targets, room).sum())

    at = a.reshape(-1)
    cost(at)
    claimed = loss.backward(a, targets, room).reshape(-1).copy()

    def sides(v: Array) -> bytes:
        return loss.sides(v.reshape(a.shape), targets).tobytes()

    return max(
        directional_error(cost, claimed, at, u)
        for u in directions(random, at.size)
        if sides(at + STEP * u) == sides(at - STEP * u)
    )


def network_error(
    network: Network, loss: Loss, theta: Array, state: Array, x: Array, targets: Array, *, seed: int = 0
) -> float | None:
    """The largest error of dC/dtheta (float64) for the mean cost of a batch x (n, *input_shape) in evaluation mode.

    Directions along which some unit crosses a kink within the step are left out; None if none remains.
    """
    rows = len(x)
    gradient, room = np.zeros(network.size), np.empty((rows, prod(network.output_shape)))
    moving = theta.copy()
    workspace = Workspace(network, rows, theta=moving, state=state, gradient=gradient)

    def cost(v: Array) -> float:
        moving[...] = v
        return float(loss.forward(workspace.forward(x), targets, room).mean())

    def sides(v: Array) -> list[bytes]:
        moving[...] = v
        a = workspace.forward(x)
        return [*_sides(workspace, rows), loss.sides(a, targets).tobytes()]

    cost(theta)
    workspace.backward(loss.backward(workspace.forward(x), targets, room) / rows)
    claimed = gradient.copy()
    errors = [
        directional_error(cost, claimed, theta, u)
        for u in directions(Random(seed, Purpose.CHECK), theta.size)
        if sides(theta + STEP * u) == sides(theta - STEP * u)
    ]
    return max(errors, default=None)


def _sides(workspace: Workspace, rows: int) -> list[bytes]:
    """On which side of its kinks each layer was in the last forward, layers inside others too."""
    found = pairs(workspace.network.layers, workspace.contexts(rows))
    return [side.tobytes() for at, ctx in found for side in at.layer.sides(ctx)]


def away_from(kinks: tuple[float, ...], x: Array) -> Array:
    """x with every value that is nearer than MARGIN to a kink moved to that distance."""
    for kink in kinks:
        near = np.abs(x - kink) < MARGIN
        x = np.where(near, kink + np.where(x < kink, -MARGIN, MARGIN), x)
    return x
