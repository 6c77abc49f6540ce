"""What a change of one weight would do, as the server tells it."""

from client.schemas import Record


class UnitChange(Record):
    """How one number of a layer changes: `unit` is its place."""

    unit: tuple[int, ...]
    first_order: float | None
    actual: float | None


class LayerRipple(Record):
    """How a layer changes, and those of its units that change most."""

    index: int
    type: str
    first_order_norm: float | None
    actual_norm: float | None
    kinks_crossed: int
    units: tuple[UnitChange, ...]


class Path(Record):
    """One way from a weight to the cost: `units` are (layer, unit) wherever there is a choice."""

    units: tuple[tuple[int, int], ...]
    factors: tuple[float | None, ...]
    contribution: float | None


class Paths(Record):
    """All ways from a weight to the cost, and those that carry most."""

    count: int
    total: float | None
    absolute: float | None
    enumerated: float | None
    top: tuple[Path, ...]


class WhatIf(Record):
    """What a change of one weight would do."""

    cost: float | None
    value: float | None
    gradient: float | None
    predicted: float | None
    measured: float | None
    ripple: tuple[LayerRipple, ...]
    paths: Paths | None
    no_paths: str | None
