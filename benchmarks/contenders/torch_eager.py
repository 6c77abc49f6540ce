"""PyTorch in eager mode: a plain training loop, in the fastest of its usual forms."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from benchmarks.workloads import Workload, order
from core.preprocessing import Preprocessing
from peers.twins import TwinNetwork

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "quadratic": lambda a, y: functional.mse_loss(a, y, reduction="sum") / len(a),
    "mean_squared_error": functional.mse_loss,
    "cross_entropy": functional.cross_entropy,
}


class TorchEager:
    """Inputs lie in memory as float32; batches are gathered by index_select."""

    def __init__(self, workload: Workload, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)
        self.workload = workload

    def weights(self, dtype: str = "float32") -> NDArray[np.floating]:
        """After the steps that are compared."""
        training = _Training(self.workload, self.workload.checked_rows, dtype, fused=True, channels_last=True)
        training.epoch(order(self.workload.checked_rows), ours=True)
        return training.network.theta()

    def epochs(self) -> Iterator[int]:
        """Train for ever; gives the rows of each epoch when it is over."""
        images = any("conv" in layer["type"] for layer in self.workload.layers)
        training = min(
            (
                _Training(self.workload, self.workload.rows, "float32", fused=fused, channels_last=channels_last)
                for fused in (True, False)
                for channels_last in ((True, False) if images else (False,))
            ),
            key=_Training.seconds_per_step,
        )
        random = np.random.default_rng(0)
        while True:
            training.epoch(random.permutation(self.workload.rows))
            yield self.workload.rows


class _Training:
    def __init__(self, workload: Workload, rows: int, dtype: str, *, fused: bool, channels_last: bool) -> None:
        self.workload = workload
        data = workload.dataset(rows)
        preprocessing = Preprocessing.fit(workload.spec(threads=1, epochs=1).preprocessing, data)
        self.x = torch.from_numpy(preprocessing.apply(data.x, np.empty(data.x.shape, dtype)))
        self.y = torch.from_numpy(data.y.astype(np.int64 if data.y.dtype.kind == "i" else dtype))
        if workload.loss == "quadratic":
            self.y = functional.one_hot(self.y).to(self.x.dtype)
        self.network = TwinNetwork(workload.network_of(data), dtype)
        self.network.load(*workload.start(self.network.network, dtype))
        if channels_last:
            self.network.to(memory_format=torch.channels_last)
        self.loss = LOSSES[workload.loss]
        self.optimizer = optimizer(self.network, workload, fused)

    def epoch(self, rows: NDArray[np.int64], *, ours: bool = False) -> None:
        """All batches in the given order; with `ours`, dropout draws what ours draws."""
        x, y, network, loss, update = self.x, self.y, self.network, self.loss, self.optimizer
        for step, batch in enumerate(torch.from_numpy(rows).split(self.workload.batch)):
            if ours:
                network.randomise(1, 0, step)
            cost = loss(network.layers(x.index_select(0, batch)), y.index_select(0, batch))
            update.zero_grad()
            cost.backward()
            update.step()

    def seconds_per_step(self) -> float:
        """Measured over a few steps, from the same start for each form; they are part of warming up."""
        few = np.arange(min(len(self.x), 30 * self.workload.batch))
        self.epoch(few[: 5 * self.workload.batch])
        began = time.perf_counter()
        self.epoch(few)
        return (time.perf_counter() - began) / len(few)


def optimizer(network: TwinNetwork, workload: Workload, fused: bool) -> torch.optim.Optimizer:
    """PyTorch's own; `fused` is one compiled loop over all parameters, for those that have it."""
    options = dict(workload.optimizer)
    match options.pop("type"):
        case "sgd":
            return torch.optim.SGD(
                network.parameters(), options["learning_rate"], options.get("momentum", 0.0), fused=fused
            )
        case "adam":
            return torch.optim.Adam(network.parameters(), options["learning_rate"], fused=fused)
        case "rmsprop":
            return torch.optim.RMSprop(network.parameters(), options["learning_rate"], foreach=fused)
        case other:
            raise ValueError(f"no {other} here")
