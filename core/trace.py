"""Where the weights of a traced job are recorded, and what it takes to look at them when training is over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from core.network import Network
from core.spec import Finding
from core.training_spec import Trace, TrainingSpec

MOST_POINTS, LEAST_POINTS = 200, 20
MOST_NUMBERS = 2**25  # of one path
MOST_FLOPS = 10**12  # of the path of the full gradient
LEAST_SLOPES, MOST_SLOPE_FLOPS = 5, 2 * 10**11  # full gradients beside those of mini-batches, which NumPy computes
MOST_COST_FLOPS = 2 * 10**11
GRID = 25  # points of the grid along each axis
BATCH_BYTES = 32 * 2**20  # of rows that are gone through together
VECTORS = 10  # as long as theta, in float64, at a time


def recorded_updates(spec: TrainingSpec, network: Network, rows: int) -> tuple[int, ...]:
    """After how many updates the weights are recorded, evenly, from 0 to the last one, in a run on so many rows."""
    total = spec.epochs * -(-rows // spec.batch_size)
    points = max(2, min(total + 1, _affordable(network, rows)))
    return tuple(place * total // (points - 1) for place in range(points))


def cost_rows(network: Network, rows: int, points: int) -> int:
    """How many of the training rows the cost is taken over, at every point of the grid and of two paths."""
    each = (GRID**2 + 2 * points) * max(1, network.flops)
    return min(rows, max(1, MOST_COST_FLOPS // each))


def compared_updates(network: Network, rows: int, recorded: Sequence[int]) -> list[int]:
    """Before which of the recorded updates gradients are compared, evenly; there is none behind the last."""
    most = max(LEAST_SLOPES, MOST_SLOPE_FLOPS // (3 * max(1, network.flops) * rows))
    places, slopes = len(recorded) - 1, min(len(recorded) - 1, most)
    return [recorded[number * places // slopes] for number in range(slopes)]


def survey_work(network: Network, rows: int, points: int) -> float:
    """What it takes to look back at so many points, in full gradients, each of which takes thrice what forward does:
    one for each step with all rows, one for each comparison, and all the costs."""
    slopes = len(compared_updates(network, rows, range(points)))
    return (points - 1) + slopes + (GRID**2 + 2 * points) * cost_rows(network, rows, points) / (3 * rows)


def in_one_batch(spec: TrainingSpec, rows: int, updates: int) -> TrainingSpec:
    """The same run with the full gradient: all rows in each batch, so that an epoch is one update."""
    changes = {"batch_size": rows, "epochs": updates, "trace": Trace()}
    # What is only measured, or may end a run before its time, is left out.
    return spec.model_copy(update=changes | {"validation": None, "metrics": (), "early_stopping": None})


def path_bytes(spec: TrainingSpec, network: Network, rows: int) -> int:
    """Memory of one recorded path."""
    width = (network.size + network.state_size) * np.dtype(spec.dtype).itemsize
    return len(recorded_updates(spec, network, rows)) * width


def looking_bytes(network: Network) -> int:
    """Memory for batches of rows and for vectors while the paths are looked at."""
    return 2 * BATCH_BYTES + VECTORS * 8 * network.size


def trace_findings(spec: TrainingSpec, network: Network, rows: int) -> Iterator[Finding]:
    """Why the surface of a run on so many rows cannot be traced."""
    at = "/trace/surface"
    if not spec.trace.surface:
        return
    if network.size < 2:
        yield Finding(at, "A surface is drawn over a plane of weights, and this network has but one: leave it out.")
    elif _affordable(network, rows) < LEAST_POINTS:
        detail = (
            f"With {network.size:,} weights and {rows:,} training rows fewer than {LEAST_POINTS} points of its path "
            f"could be looked at: a path takes {MOST_NUMBERS:,} numbers at most, and its full gradients "
            f"{MOST_FLOPS:.0e} operations. Trace a smaller network or fewer rows, or leave it out."
        )
        yield Finding(at, detail)


def _affordable(network: Network, rows: int) -> int:
    """Most points of a path: each is as long as the weights, and takes a full gradient."""
    gradient = 3 * max(1, network.flops) * max(1, rows)
    width = max(1, network.size + network.state_size)
    return min(MOST_POINTS, MOST_NUMBERS // width, MOST_FLOPS // gradient)
