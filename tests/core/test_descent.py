"""The descent: where weights are recorded, the plane, the hill and both paths, against computations of their own."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from core.checkpoint import Checkpoint
from core.data import Dataset, split
from core.descent import Descent
from core.estimate import check
from core.explanations.plane import plane_of
from core.explanations.subject import Subject
from core.random import Purpose, Random
from core.schema import ClassTarget, DataSchema
from core.spec import SpecError
from core.survey import Survey
from core.trace import GRID, recorded_updates
from core.trail import Trail
from core.training import Epoch, fit
from core.training_spec import TrainingSpec
from core.weights import Weights

BASE = {
    "dataset": "ds",
    "validation": {"fraction": 0.25},
    "network": {"layers": [{"type": "dense", "units": 5}, {"type": "tanh"}, {"type": "dense", "units": 3}]},
    "loss": {"type": "cross_entropy", "class_weights": [1.0, 2.0, 0.5]},
    "optimizer": {"type": "sgd", "learning_rate": 0.3},
    "preprocessing": {"scale": "standard"},
    "batch_size": 8,
    "epochs": 4,
    "dtype": "float64",
    "trace": {"surface": True},
}


def spec_of(**changes: object) -> TrainingSpec:
    return TrainingSpec.model_validate(BASE | changes)


@pytest.fixture(scope="module")
def data() -> Dataset:
    draw = np.random.default_rng(4)
    y = draw.integers(0, 3, 60).astype(np.int32)
    x = draw.normal(size=(60, 4)) + np.eye(3, 4)[y]
    schema = DataSchema(rows=60, input_shape=(4,), input_dtype="float64", target=ClassTarget(classes=(0, 1, 2)))
    return Dataset(schema, x, y)


def walked(spec: TrainingSpec, data: Dataset, start: Checkpoint | Weights | None = None) -> tuple[Trail, Checkpoint]:
    """The trail of a run, and its last checkpoint."""
    trail = Trail(spec, data, start=start)
    for moment in fit(spec, data, start=start, stops=trail.stops):
        trail.see(moment)
        if isinstance(moment, Epoch):
            last = moment.checkpoint()
    return trail, last


def surveyed(trail: Trail, start: Checkpoint | Weights | None = None) -> Descent:
    survey = Survey(trail, start)
    shares = list(survey)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    return survey.descent


@pytest.fixture(scope="module")
def seen(data: Dataset) -> tuple[Trail, Descent, Subject]:
    trail, last = walked(spec_of(), data)
    return trail, surveyed(trail), Subject.from_checkpoint(last)


def cost_at(subject: Subject, data: Dataset) -> Callable[[np.ndarray], float]:
    examples = subject.rows(data, np.arange(len(data)))
    return lambda theta: subject.backpropagate(examples, theta).cost


def test_the_first_and_the_last_update_are_recorded_and_those_between_evenly(data: Dataset) -> None:
    network = Trail(spec_of(), data).network
    assert recorded_updates(spec_of(), network, 45) == tuple(range(4 * 6 + 1))
    many = recorded_updates(spec_of(epochs=1000), network, 45)
    assert (len(many), many[0], many[-1]) == (200, 0, 6000)
    assert set(np.diff(many)) == {30, 31}
    assert len(recorded_updates(spec_of(), network, 2 * 10**9 // network.flops)) == 166


def test_a_trace_changes_neither_the_run_nor_its_identity(data: Dataset) -> None:
    _, traced = walked(spec_of(epochs=9), data)
    plain = spec_of(epochs=9, trace={"surface": False})
    *_, last = fit(plain, data)
    assert isinstance(last, Epoch)
    assert traced.digest == last.checkpoint().digest
    assert "trace" not in plain.identity()


def test_both_paths_begin_alike_and_the_full_one_is_plain_gradient_descent(
    data: Dataset, seen: tuple[Trail, Descent, Subject]
) -> None:
    trail, found, subject = seen
    part, _ = split(data, 0.25, 0)
    examples = subject.rows(part, np.arange(45))
    theta = trail.points[0].copy()
    path = [theta]
    for _ in range(24):
        theta = theta - 0.3 * subject.backpropagate(examples, theta).gradient
        path.append(theta)
    cost = cost_at(subject, part)
    assert [point.cost for point in found.full] == pytest.approx([cost(theta) for theta in path])
    assert [point.cost for point in found.minibatch] == pytest.approx([cost(at) for at in trail.points.values()])
    ours, theirs = found.minibatch[0], found.full[0]
    assert (ours.x, ours.y, ours.cost) == pytest.approx((theirs.x, theirs.y, theirs.cost))
    assert [point.step for point in found.minibatch] == [*range(25)]
    assert (found.rows, found.cost_rows, found.updates, found.full_diverged) == (45, 45, 24, False)


def test_the_grid_holds_the_cost_at_its_places(data: Dataset, seen: tuple[Trail, Descent, Subject]) -> None:
    trail, found, subject = seen
    part, _ = split(data, 0.25, 0)
    cost, grid, place = cost_at(subject, part), found.grid, weights(trail, found, data)
    assert len(grid.x) == len(grid.y) == len(grid.cost) == len(grid.cost[0]) == GRID
    assert grid.x[0] < min(point.x for point in (*found.minibatch, *found.full)) < grid.x[-1]
    for row, column in ((0, 0), (3, 20), (24, 24)):
        assert grid.cost[row][column] == pytest.approx(cost(place(grid.x[column], grid.y[row])))


def weights(trail: Trail, found: Descent, data: Dataset) -> Callable[[float, float], np.ndarray]:
    """Where a place of the plane is, by a singular value decomposition of all points."""
    part, _ = split(data, 0.25, 0)
    careful = Trail(trail.spec.model_copy(update={"batch_size": 45, "epochs": 24, "validation": None}), part)
    for moment in fit(careful.spec, part):
        careful.see(moment)
    points = np.stack([*trail.points.values(), *careful.points.values()])
    centre = points.mean(axis=0)
    _, sizes, rows = np.linalg.svd(points - centre, full_matrices=False)
    assert found.share == pytest.approx(tuple(sizes[:2] ** 2 / (sizes**2).sum()))
    axes = [axis * np.sign(axis[np.abs(axis).argmax()]) for axis in rows[:2]]
    return lambda x, y: centre + x * axes[0] + y * axes[1]


def test_gradients_are_compared_as_numpy_compares_them(data: Dataset, seen: tuple[Trail, Descent, Subject]) -> None:
    trail, found, subject = seen
    part, _ = split(data, 0.25, 0)
    assert [slopes.step for slopes in found.slopes] == [*range(24)]
    slopes = found.slopes[14]  # the third batch of the third epoch
    assert (slopes.epoch, slopes.batch, slopes.batch_rows) == (3, 3, 8)
    rows = Random(0, Purpose.SHUFFLE, epoch=2).permutation(45)[16:24]
    ours, whole = (
        subject.backpropagate(subject.rows(part, chosen), trail.points[14]).gradient for chosen in (rows, np.arange(45))
    )
    cosine = ours @ whole / np.linalg.norm(ours) / np.linalg.norm(whole)
    assert slopes.cosine == pytest.approx(cosine)
    assert slopes.angle == pytest.approx(np.degrees(np.arccos(cosine)))
    assert (slopes.minibatch_norm, slopes.full_norm) == pytest.approx((np.linalg.norm(ours), np.linalg.norm(whole)))
    first, last = slopes.layers
    assert (first.index, first.type, last.index) == (0, "dense", 2)
    assert first.full_norm == pytest.approx(np.linalg.norm(whole[:25]))
    assert last.minibatch_norm == pytest.approx(np.linalg.norm(ours[25:]))
    assert found.slopes[23].batch_rows == 5  # the rest of the rows


def test_a_trail_that_was_interrupted_is_the_same(data: Dataset, seen: tuple[Trail, Descent, Subject]) -> None:
    first = Trail(spec_of(), data)
    known = {}
    for moment in fit(spec_of(), data, stops=first.stops):
        if marked := first.see(moment):
            known[marked[0]] = marked[1]
        if first.end == 15:
            resume = moment.checkpoint()
            break
    second = Trail(spec_of(), data, resume, known=known)
    for moment in fit(spec_of(), data, resume=resume, stops=second.stops):
        second.see(moment)
    assert [*second.points] == [*range(25)]
    for update, point in second.points.items():
        assert point.tobytes() == seen[0].points[update].tobytes()


@pytest.mark.parametrize("uploaded", [False, True])
def test_a_fork_is_looked_back_at_from_its_own_start(data: Dataset, uploaded: bool) -> None:
    *_, before = fit(spec_of(epochs=3), data)
    kept = before.checkpoint()
    start = Weights({name: array for name, array in kept.tensors.items() if "layers" in name}) if uploaded else kept
    trail, _ = walked(spec_of(epochs=1, seed=9), data, start)
    found = surveyed(trail, start)
    theta = np.concatenate([kept.tensors[piece.name].reshape(-1) for piece in trail.network.parameters()])
    np.testing.assert_array_equal(trail.points[0], theta)
    assert found.full[0].x == pytest.approx(found.minibatch[0].x)


def test_early_stopping_ends_the_path_where_it_ends_the_run(data: Dataset) -> None:
    spec = spec_of(
        epochs=500,
        optimizer={"type": "sgd", "learning_rate": 1e-9},
        early_stopping={"metric": "validation_accuracy", "patience": 2},
    )
    trail, last = walked(spec, data)
    assert last.epoch == 3
    assert max(trail.points) == trail.end == 18
    assert surveyed(trail).minibatch[-1].step == 18


def test_a_full_path_that_goes_astray_ends_there(data: Dataset) -> None:
    layers = [{"type": "dense", "units": 3}]
    wild = {"type": "sgd", "learning_rate": 50.0}
    spec = spec_of(network={"layers": layers}, loss={"type": "quadratic"}, optimizer=wild, batch_size=45, epochs=30)
    trail = Trail(spec, data)
    trail.end = 30  # a run that hardly moved
    for update in range(1, 31):
        trail._points[update] = trail.points[0] + 1e-6 * update
    found = surveyed(trail)
    assert found.full_diverged
    assert 1 <= len(found.full) < 31
    assert all(point.cost is not None for point in found.minibatch)


def test_the_running_statistics_are_those_of_the_end(data: Dataset) -> None:
    layers = [{"type": "dense", "units": 4}, {"type": "batch_norm"}, {"type": "relu"}, {"type": "dense", "units": 3}]
    trail, last = walked(spec_of(network={"layers": layers}, dtype="float32"), data)
    found, subject = surveyed(trail), Subject.from_checkpoint(last)
    part, _ = split(data, 0.25, 0)
    cost = cost_at(subject, part)
    size = trail.network.size
    assert [p.cost for p in found.minibatch] == pytest.approx(
        [cost(at[:size].astype(float)) for at in trail.points.values()]
    )
    # The gradients, however, are those of the network as it was.
    theta, state = np.split(trail.points[3].astype(float), [size])
    early = replace(subject, theta=theta, state=state)
    gradient = early.backpropagate(early.rows(part, np.arange(45))).gradient
    assert found.slopes[3].full_norm == pytest.approx(np.linalg.norm(gradient))


@pytest.mark.parametrize("size", [2, 9000])
def test_a_plane_has_two_axes_whatever_the_points(size: int) -> None:
    draw = np.random.default_rng(size)
    straight = np.outer(np.arange(6.0), draw.normal(size=size))
    for points in (straight, np.zeros((4, size)), draw.normal(size=(7, size)), 1e200 * draw.normal(size=(5, size))):
        plane = plane_of([*points])
        assert plane.axes @ plane.axes.T == pytest.approx(np.eye(2))
        assert all(axis[np.abs(axis).argmax()] > 0 for axis in plane.axes)
        for point, (x, y), off in zip(points, plane.places, plane.off, strict=True):
            scale = max(1.0, np.abs(points).max())
            away = np.linalg.norm((point - plane.weights(x, y)) / scale)
            assert off / scale == pytest.approx(away, abs=1e-5)
    assert plane_of([*straight]).share == pytest.approx([1.0, 0.0])


def test_what_cannot_be_traced_is_refused_with_the_reason(data: Dataset) -> None:
    huge = DataSchema(rows=10**9, input_shape=(4,), input_dtype="float64", target=ClassTarget(classes=(0, 1, 2)))
    with pytest.raises(SpecError) as refused:
        check(spec_of(), huge, None)
    assert [error.pointer for error in refused.value.errors] == ["/trace/surface"]
    check(spec_of(trace={"surface": False}), huge, None)
    one = DataSchema(rows=9, input_shape=(1,), input_dtype="float64", target=ClassTarget(classes=(0, 1)))
    lonely = {"layers": [{"type": "expression", "expression": "w * x", "parameters": {"w": 1.0}}]}
    spec = spec_of(network=lonely, loss={"type": "binary_cross_entropy"}, validation=None)
    with pytest.raises(SpecError, match="has but one"):
        check(spec, one, None)


def test_memory_for_both_paths_is_estimated(data: Dataset) -> None:
    wide = {"layers": [{"type": "dense", "units": 20000}, {"type": "dense", "units": 3}]}
    traced, plain = (
        check(spec_of(network=wide, trace={"surface": traced}), data.schema, None) for traced in (True, False)
    )
    assert traced.memory_bytes > plain.memory_bytes + 25 * 8 * traced.parameters
