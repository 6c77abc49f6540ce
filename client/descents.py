"""What a traced job tells of its descent."""

from client.schemas import Record


class Point(Record):
    """A place on a path: after `step` updates, at (x, y) of the plane, `off` away from it, at this cost."""

    step: int
    x: float
    y: float
    off: float
    cost: float | None


class Grid(Record):
    """The cost around the paths: `cost[i][j]` at `x[j]`, `y[i]`; None where it is not finite."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    cost: tuple[tuple[float | None, ...], ...]


class Surface(Record):
    """Two paths on one hill: that of the job, and that of the full gradient from the same start."""

    job: str
    parameters: int
    updates: int
    rows: int
    cost_rows: int
    share: tuple[float, float]
    minibatch: tuple[Point, ...]
    full: tuple[Point, ...]
    full_diverged: bool
    grid: Grid


class Slopes(Record):
    """Two gradients at the same weights: the angle between them in degrees, and their lengths."""

    cosine: float | None
    angle: float | None
    minibatch_norm: float | None
    full_norm: float | None


class LayerSlopes(Slopes):
    """The same within one layer of the spec."""

    index: int
    type: str


class Gradients(Slopes):
    """The gradient of the mini-batch of an update, beside that of all rows. `steps` can be asked for."""

    job: str
    step: int
    epoch: int
    batch: int
    batch_rows: int
    rows: int
    layers: tuple[LayerSlopes, ...]
    steps: tuple[int, ...]
