"""The descent of a traced job: PyTorch goes the careful path, surveys the hill, and compares the slopes."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.data import Dataset
from core.descent import Descent
from core.explanations.backpropagation import Examples
from core.explanations.subject import Subject
from core.layers import GRU, LSTM, BatchNorm, Conv2D, Dense, Embedding, Flatten, MaxPool2D, ReLU, Tanh
from core.layers.layer import Array
from core.random import Purpose, Random
from core.survey import Survey
from core.trail import Trail
from core.training import Epoch, fit
from core.training_spec import TrainingSpec
from peers.autograd import Autograd
from peers.comparison import dataset
from peers.conftest import Near
from peers.losses import COSTS
from peers.twins import TwinNetwork

RATE, EPOCHS, BATCH = 0.2, 3, 32
APART = 1e-7  # distances from the plane are roots of differences, where half the digits go
# Layers, the shape of the inputs, and what is special about the data.
RUNS: dict[str, tuple[list[Any], tuple[int, ...], dict[str, Any]]] = {
    "dense": ([Dense(units=6), Tanh(), Dense(units=3)], (4,), {}),
    "conv2d": (
        [Conv2D(filters=3, kernel=3), BatchNorm(), ReLU(), MaxPool2D(size=2), Flatten(), Dense(units=3)],
        (8, 6, 2),
        {},
    ),
    "lstm": ([LSTM(units=4), Dense(units=3)], (5, 3), {"lengths": True}),
    "embedding": ([Embedding(size=5, dimension=3), GRU(units=4), Dense(units=3)], (6,), {"categories": 5}),
}


@dataclass
class Run:
    """A traced job that is over, and what PyTorch needs to go the same way."""

    spec: TrainingSpec
    data: Dataset
    trail: Trail
    descent: Descent
    end: Subject

    @cached_property
    def examples(self) -> Examples:
        """All rows, by our own hands: inputs by their mean and deviation, masks from lengths, classes as ones."""
        data, x = self.data, self.data.x
        if self.spec.preprocessing.scale == "standard":
            x = (x - x.mean(axis=0)) / x.std(axis=0)
        mask = data.mask(np.arange(len(data))).astype(np.float64) if data.masks else None
        return Examples(x, np.eye(3)[data.y], mask)

    @cached_property
    def peer(self) -> Autograd:
        """At the end's running statistics."""
        return Autograd(self.end, self.examples)

    @cached_property
    def careful(self) -> list[Array]:
        """The weights after each update with the gradient of all rows: in training mode, by PyTorch's own SGD."""
        size, start = self.trail.network.size, self.trail.points[0]
        twin = TwinNetwork(self.trail.network, "float64")
        twin.load(start[:size], start[size:])
        twin.train()
        twin.mask(None if self.examples.mask is None else torch.from_numpy(self.examples.mask != 0))
        x, y = torch.from_numpy(self.examples.x), torch.from_numpy(self.data.y.astype(np.int64))
        optimizer = torch.optim.SGD(twin.parameters(), RATE)
        path = [twin.theta()]
        for _ in range(len(self.trail.points) - 1):
            optimizer.zero_grad()
            cost: Tensor = COSTS["cross_entropy"](self.spec.loss, twin(x), y).mean()
            cost.backward()
            optimizer.step()
            path.append(twin.theta())
        return path

    @cached_property
    def thetas(self) -> Tensor:
        """The weights of both paths, (points, size)."""
        size = self.trail.network.size
        return torch.from_numpy(np.stack([*(at[:size] for at in self.trail.points.values()), *self.careful]))

    @cached_property
    def axes(self) -> tuple[Tensor, Tensor, Tensor]:
        """The mean of all points, their two main directions (2, size), and the variance along every one."""
        origin = self.thetas.mean(dim=0)
        _, sizes, rows = torch.linalg.svd(self.thetas - origin, full_matrices=False)
        u, v = (axis * axis[axis.abs().argmax()].sign() for axis in rows[:2])
        return origin, torch.stack([u, v]), sizes.square()

    def slope(self, step: int, rows: Array) -> Array:
        """The gradient of some rows at the weights, and the running statistics, after so many updates."""
        theta, state = np.split(self.trail.points[step], [self.trail.network.size])
        x, y, mask = self.examples
        then = replace(self.end, theta=theta, state=state)
        return Autograd(then, Examples(x[rows], y[rows], None if mask is None else mask[rows])).gradient()


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest) -> Run:
    layers, shape, special = RUNS[request.param]
    data = dataset(shape, **special)
    scale = "none" if "categories" in special or "lengths" in special else "standard"
    spec = TrainingSpec.model_validate(
        {
            "dataset": "random",
            "network": {"layers": [layer.model_dump(mode="json") for layer in layers]},
            "loss": {"type": "cross_entropy", "class_weights": [1.0, 2.0, 0.5]},
            "optimizer": {"type": "sgd", "learning_rate": RATE},
            "preprocessing": {"scale": scale},
            "batch_size": BATCH,
            "epochs": EPOCHS,
            "seed": 11,
            "dtype": "float64",
            "trace": {"surface": True},
        }
    )
    trail = Trail(spec, data)
    for moment in fit(spec, data, stops=trail.stops):
        trail.see(moment)
    assert isinstance(moment, Epoch)
    survey = Survey(trail)
    for _ in survey:
        pass
    return Run(spec, data, trail, survey.descent, Subject.from_checkpoint(moment.checkpoint()))


def test_both_paths_lie_in_the_plane_where_pytorch_puts_them(run: Run, near: Near) -> None:
    """Costs along both, places by a singular value decomposition; the careful path is PyTorch's own."""
    points, (origin, axes, variance) = (*run.descent.minibatch, *run.descent.full), run.axes
    assert len(run.descent.minibatch) == len(run.descent.full) == EPOCHS * -(-len(run.data) // BATCH) + 1
    around = run.thetas - origin
    places = around @ axes.T
    reach = float(places.abs().max())
    near("surface: share", run.descent.share, variance[:2] / variance.sum())
    near("surface: places", [(point.x, point.y) for point in points], places)
    off = (around - places @ axes).norm(dim=1)
    near("surface: distance from the plane", [point.off for point in points], off, scale=reach, bound=APART)
    costs = [run.peer.cost(theta) for theta in run.thetas.numpy()]
    near("surface: costs of both paths", [point.cost for point in points], costs)


def test_the_hill_is_the_cost_at_each_place_of_the_plane(run: Run, near: Near) -> None:
    grid, (origin, (u, v), _) = run.descent.grid, run.axes
    heights = [[run.peer.cost((origin + a * u + b * v).numpy()) for a in grid.x] for b in grid.y]
    near("surface: the grid's costs", grid.cost, heights)


def test_slopes_are_autograds_layer_by_layer(run: Run, near: Near) -> None:
    rows, steps = len(run.data), -(-len(run.data) // BATCH)
    assert [slopes.step for slopes in run.descent.slopes] == [*range(EPOCHS * steps)]
    order = np.arange(run.trail.network.size)
    parts = {
        index: np.concatenate([piece.of(order).reshape(-1) for piece in at.parameters])
        for index, at in enumerate(run.trail.network.layers)
        if at.parameters
    }
    for slopes in run.descent.slopes:
        epoch, step = divmod(slopes.step, steps)
        chosen = Random(run.spec.seed, Purpose.SHUFFLE, epoch=epoch).permutation(rows)[step * BATCH :][:BATCH]
        assert (slopes.epoch, slopes.batch, slopes.batch_rows) == (epoch + 1, step + 1, len(chosen))
        minibatch, full = run.slope(slopes.step, chosen), run.slope(slopes.step, np.arange(rows))
        assert [layer.index for layer in slopes.layers] == [*parts]
        for told, places in ((slopes, slice(None)), *zip(slopes.layers, parts.values(), strict=True)):
            ours, whole = torch.from_numpy(minibatch[places]), torch.from_numpy(full[places])
            near("gradients: norm of the mini-batch's", told.minibatch_norm, ours.norm())
            near("gradients: norm of the full one", told.full_norm, whole.norm())
            near("gradients: cosine", told.cosine, torch.cosine_similarity(ours, whole, dim=0), scale=1.0)
            near("gradients: angle", told.angle, _degrees(ours, whole), scale=180.0)


def _degrees(a: Tensor, b: Tensor) -> Tensor:
    """Between two vectors, without an arc cosine, which loses half the digits of a small angle (W. Kahan, 2006)."""
    a, b = a / a.norm(), b / b.norm()
    return torch.rad2deg(2 * torch.atan2((a - b).norm(), (a + b).norm()))
