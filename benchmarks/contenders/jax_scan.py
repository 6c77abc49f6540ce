"""JAX with a whole epoch in one compiled scan, its weights donated from epoch to epoch."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array, lax
from jax import numpy as jnp
from numpy.typing import NDArray

from benchmarks.workloads import Workload, order
from core.preprocessing import Preprocessing

Tree = Any


class JaxScan:
    """The faster of two forms: the scan, or one compiled step called in a loop (which convolutions may like better)."""

    def __init__(self, workload: Workload, threads: int) -> None:
        self.workload = workload

    def weights(self, dtype: str = "float32") -> NDArray[np.floating]:
        """After the steps that are compared."""
        rows = self.workload.checked_rows
        training = _Training(self.workload, rows, scan=True)
        training.epoch(order(rows))
        network = self.workload.network_of(self.workload.dataset(rows))
        theta, _ = network.allocate("float64")
        for piece, array in zip(network.parameters(), training.parameters, strict=True):
            piece.of(theta)[...] = np.asarray(array)
        return theta

    def epochs(self) -> Iterator[int]:
        """Train for ever; gives the rows of each epoch when it is over."""
        rows = self.workload.rows
        images = any("conv" in layer["type"] for layer in self.workload.layers)
        forms = [_Training(self.workload, rows, scan=scan) for scan in ((True, False) if images else (True,))]
        training = min(forms, key=_Training.seconds) if len(forms) > 1 else forms[0]
        random = np.random.default_rng(0)
        while True:
            training.epoch(random.permutation(rows))
            yield rows


class _Training:
    def __init__(self, workload: Workload, rows: int, *, scan: bool) -> None:
        data = workload.dataset(rows)
        preprocessing = Preprocessing.fit(workload.spec(threads=1, epochs=1).preprocessing, data)
        self.x = jnp.asarray(preprocessing.apply(data.x, np.empty(data.x.shape, np.float32)))
        self.y = jnp.asarray(data.y)
        self.batch = workload.batch
        network = workload.network_of(data)
        theta, _ = workload.start(network)
        self.parameters = [jnp.asarray(piece.of(theta).copy()) for piece in network.parameters()]
        self.memory = _memory(workload.optimizer, self.parameters)
        self.scan = scan
        step = partial(_step, layers=workload.layers, loss=workload.loss, optimizer=workload.optimizer)
        self._epoch = jax.jit(partial(_epoch, step), donate_argnums=(0, 1))
        self._step = jax.jit(step, donate_argnums=0)

    def epoch(self, rows: NDArray[np.int64]) -> None:
        """All batches in the given order."""
        batches = rows.astype(np.int32).reshape(-1, self.batch)
        if self.scan:
            self.parameters, self.memory = self._epoch(self.parameters, self.memory, self.x, self.y, batches)
        else:
            for batch in batches:
                carry = self.parameters, self.memory
                self.parameters, self.memory = self._step(carry, self.x, self.y, batch)
        jax.block_until_ready(self.parameters)

    def seconds(self) -> float:
        """Of an epoch, once it is compiled; part of warming up."""
        rows = np.arange(len(self.x))
        self.epoch(rows)
        began = time.perf_counter()
        self.epoch(rows)
        return time.perf_counter() - began


def _epoch(step: Callable[..., Tree], parameters: Tree, memory: Tree, x: Array, y: Array, batches: Array) -> Tree:
    carry, _ = lax.scan(lambda carry, batch: (step(carry, x, y, batch), None), (parameters, memory), batches)
    return carry


def _step(carry: Tree, x: Array, y: Array, batch: Array, *, layers: Any, loss: str, optimizer: dict[str, Any]) -> Tree:
    parameters, memory = carry
    rows = x.at[batch].get(mode="promise_in_bounds")
    targets = y.at[batch].get(mode="promise_in_bounds")
    gradient = jax.grad(_cost)(parameters, rows, targets, layers, loss)
    return _update(parameters, gradient, memory, optimizer)


def _cost(parameters: Sequence[Array], x: Array, y: Array, layers: Sequence[dict[str, Any]], loss: str) -> Array:
    a = _forward(parameters, x, layers)
    target = jax.nn.one_hot(y, 10)
    if loss == "quadratic":
        return jnp.sum((a - target) ** 2) / len(a)
    return -jnp.sum(jax.nn.log_softmax(a) * target) / len(a)


def _forward(parameters: Sequence[Array], x: Array, layers: Sequence[dict[str, Any]]) -> Array:
    left = iter(parameters)
    for layer in layers:
        match layer["type"]:
            case "flatten":
                x = x.reshape(len(x), -1)
            case "dense":
                x = x @ next(left) + next(left)
            case "sigmoid":
                x = jax.nn.sigmoid(x)
            case "relu":
                x = jax.nn.relu(x)
            case "conv2d":
                x = x[..., None] if x.ndim == 3 else x
                x = lax.conv_general_dilated(
                    x, next(left), (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
                ) + next(left)
            case "max_pool2d":
                window = (1, layer["size"], layer["size"], 1)
                x = lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
            case other:
                raise ValueError(f"no {other} here")
    return x


def _memory(optimizer: dict[str, Any], parameters: Sequence[Array]) -> Tree:
    zeros = [jnp.zeros_like(p) for p in parameters]
    if optimizer["type"] == "adam":
        return zeros, [jnp.zeros_like(p) for p in parameters], jnp.zeros(())
    return zeros if optimizer["momentum"] else ()


def _update(parameters: Sequence[Array], gradient: Sequence[Array], memory: Tree, optimizer: dict[str, Any]) -> Tree:
    rate = optimizer["learning_rate"]
    if optimizer["type"] == "adam":
        m, v, count = memory
        count = count + 1
        m = [0.9 * m_ + 0.1 * g for m_, g in zip(m, gradient, strict=True)]
        v = [0.999 * v_ + 0.001 * g * g for v_, g in zip(v, gradient, strict=True)]
        step, scale = rate / (1 - 0.9**count), 1 / jnp.sqrt(1 - 0.999**count)
        moved = [p - step * m_ / (jnp.sqrt(v_) * scale + 1e-8) for p, m_, v_ in zip(parameters, m, v, strict=True)]
        return moved, (m, v, count)
    if optimizer["momentum"]:
        memory = [optimizer["momentum"] * v + g for v, g in zip(memory, gradient, strict=True)]
        gradient = memory
    return [p - rate * g for p, g in zip(parameters, gradient, strict=True)], memory
