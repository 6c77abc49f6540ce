"""Look back at the way of a traced job: beside it that of the full gradient, and the hill that both went down."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from core.checkpoint import Checkpoint
from core.descent import Descent, Grid, LayerSlopes, Point, Slopes
from core.engine import DEFAULT
from core.explanations.angles import Angle, angle, layer_angles
from core.explanations.plane import Plane, plane_of
from core.explanations.slope import Slope
from core.layers.layer import Array
from core.model import Model
from core.preprocessing import Preprocessing
from core.trace import BATCH_BYTES, GRID, compared_updates, cost_rows, in_one_batch, survey_work
from core.trail import Trail
from core.training import Diverged, Epoch, fit
from core.weights import Weights
from core.workspace import evaluation_rows

MARGIN = 0.15  # around both paths, of the longer side
LOST = 1000.0  # a full path that comes so many times farther from the start than the other ever did has diverged


class Survey:
    """Iterate over it: it yields the share that is done, and when it ends, `descent` is there."""

    descent: Descent

    def __init__(self, trail: Trail, start: Checkpoint | Weights | None = None) -> None:
        """`trail` of a run that is over; `start` as in `fit`."""
        spec, self._data, self._network = trail.spec, trail.data, trail.network
        self._trail, self._start = trail, start
        self._points = trail.points
        self._rows, self._steps = len(self._data), len(self._points) - 1
        self._sample = cost_rows(self._network, self._rows, len(self._points))
        self._fitted = Preprocessing.fit(spec.preprocessing, self._data)

    def __iter__(self) -> Iterator[float]:
        total, done = survey_work(self._network, self._rows, len(self._points)), 0.0
        for work in self._work():
            done += work
            yield min(1.0, done / total)

    def _work(self) -> Iterator[float]:
        """Yields what was done of late, in full gradients."""
        slopes = yield from self._slopes()
        full, diverged = yield from self._full_path()
        size = self._network.size
        paths = [point[:size] for point in (*self._points.values(), *full)]
        plane = plane_of(paths)
        xs, ys = _around(plane)
        grid = [partial(plane.weights, x, y) for y in ys.tolist() for x in xs.tolist()]
        costs = yield from self._costs(
            [*(partial(np.asarray, path) for path in paths), *grid], self._points[max(self._points)][size:]
        )
        steps = [*self._points, *range(len(full))]
        points = [
            Point(step=step, x=x, y=y, off=off, cost=cost)
            for step, (x, y), off, cost in zip(steps, plane.places.tolist(), plane.off.tolist(), costs, strict=False)
        ]
        heights = costs[len(paths) :]
        self.descent = Descent(
            parameters=size,
            updates=self._trail.end,
            rows=self._rows,
            cost_rows=self._sample,
            share=(float(plane.share[0]), float(plane.share[1])),
            minibatch=tuple(points[: len(self._points)]),
            full=tuple(points[len(self._points) :]),
            full_diverged=diverged,
            grid=Grid(
                x=tuple(xs.tolist()),
                y=tuple(ys.tolist()),
                cost=tuple(tuple(heights[row * GRID : (row + 1) * GRID]) for row in range(GRID)),
            ),
            slopes=tuple(slopes),
        )

    def _full_path(self) -> Generator[float, None, tuple[list[Array], bool]]:
        """The weights after each update with the full gradient, and whether it went astray."""
        spec = in_one_batch(self._trail.spec, self._rows, self._steps)
        trail = Trail(spec, self._data, start=self._start)
        try:
            for moment in fit(spec, self._data, start=self._start):
                trail.see(moment)
                yield float(isinstance(moment, Epoch))
        except Diverged:
            pass
        path = [*trail.points.values()]
        reach = max(_distance(point, path[0]) for point in self._points.values())
        lost = (place for place, point in enumerate(path) if not _distance(point, path[0]) <= LOST * reach)
        kept = path[: next(lost, len(path))]
        return kept, len(kept) <= self._steps

    def _slopes(self) -> Generator[float, None, list[Slopes]]:
        """The gradients of the mini-batch and of all rows, wherever there is another update."""
        spec, found = self._trail.spec, []
        slope, batch = Slope(self._network, spec.loss, self._fitted, self._data, BATCH_BYTES), spec.batch_size
        for update in compared_updates(self._network, self._rows, [*self._points]):
            epoch, step = divmod(update, self._trail.steps)
            slope.theta[...], slope.state[...] = np.split(self._points[update], [self._network.size])
            rows = DEFAULT.shuffled(spec, epoch, self._rows)[step * batch : (step + 1) * batch]
            minibatch = yield from self._gradient(slope, rows)
            full = yield from self._gradient(slope, np.arange(self._rows))
            layers = layer_angles(self._network, minibatch, full)
            found.append(
                Slopes(
                    step=update,
                    epoch=epoch + 1,
                    batch=step + 1,
                    batch_rows=len(rows),
                    **_told(angle(minibatch, full)),
                    layers=tuple(
                        LayerSlopes(index=index, type=self._network.layers[index].layer.type, **_told(between))
                        for index, between in layers.items()
                    ),
                )
            )
        return found

    def _gradient(self, slope: Slope, rows: NDArray[np.int64]) -> Generator[float, None, Array]:
        total = np.zeros(self._network.size)
        for n in slope.visit(rows):
            total += slope.gradient()
            yield n / self._rows if len(rows) == self._rows else 0.0
        return total / len(rows)

    def _costs(self, thetas: Sequence[Callable[[], Array]], state: Array) -> Generator[float, None, list[float | None]]:
        """The cost at each of many weights, over the same rows: the first ones in the order of the first epoch."""
        spec = self._trail.spec.model_copy(update={"dtype": "float64"})
        theta, own_state = self._network.allocate("float64")
        own_state[...] = state
        model = Model(spec, self._network, self._fitted, theta, own_state)
        size = min(self._sample, evaluation_rows(self._network, "float64"))
        forward = DEFAULT.forward(model, self._data, size)
        places = np.sort(DEFAULT.shuffled(spec, 0, self._rows)[: self._sample])
        order, costs = self._data.indices()[places], []
        with np.errstate(all="ignore"):
            for weights in thetas:
                theta[...] = weights()
                forward.sums.fill(0)
                finite = True
                for done in range(0, len(order), size):
                    finite = forward.advance(order, done=done) and finite
                    yield min(size, len(order) - done) / (3 * self._rows)
                costs.append(_finite(float(forward.sums[0]) / self._sample) if finite else None)
        return costs


def _around(plane: Plane) -> tuple[Array, Array]:
    """The grid's places (GRID,) along both axes, around all points of the plane."""
    low, high = plane.places.min(axis=0), plane.places.max(axis=0)
    margin = MARGIN * float((high - low).max()) or 1.0
    xs, ys = np.linspace(low - margin, high + margin, GRID, axis=1)
    return xs, ys


def _distance(point: Array, start: Array) -> float:
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(point.astype(np.float64) - start))


def _told(found: Angle) -> dict[str, float | None]:
    return {
        "cosine": found.cosine,
        "angle": found.degrees,
        "minibatch_norm": _finite(found.minibatch_norm),
        "full_norm": _finite(found.full_norm),
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
