"""Whether backward is right, and what is wrong with gradients that were sent, as the server tells it."""

from client.schemas import Record


class Compared(Record):
    """One derivative, by one entry or (None) along a random direction."""

    entry: tuple[int, ...] | None
    backward: float | None
    measured: float | None
    error: float | None


class Checked(Record):
    """One parameter's gradient, beside differences of the cost."""

    layer: int
    type: str
    parameter: str
    right: bool | None
    compared: int
    size: int
    worst: Compared | None
    smaller_steps: int
    left_out: int


class Off(Record):
    """An entry that is off."""

    entry: tuple[int, ...]
    yours: float | None
    right: float | None
    difference: float | None


class Slip(Record):
    """What probably went wrong, and what to do."""

    name: str
    advice: str


class Mark(Record):
    """The mark of one gradient that was sent."""

    layer: int
    parameter: str
    right: bool
    off: int | None
    entries: tuple[Off, ...]
    slips: tuple[Slip, ...]
    factor: float | None


class GradientCheck(Record):
    """Whether backward is right, and the marks."""

    cost: float | None
    right: bool | None
    tolerance: float
    floor: float
    parameters: tuple[Checked, ...]
    marks: tuple[Mark, ...]
