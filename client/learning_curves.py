"""The learning curves of a run, side by side: loss and, for classes, accuracy."""

from collections.abc import Collection, Sequence
from math import log10

from rich.table import Table
from rich.text import Text

from client.curve import Axis, Series, chart
from client.schemas import Epoch

TRAINING = "cyan"
VALIDATION = "bright_magenta"
HEIGHT = 7
WIDEST = 60


def learning_curves(history: Sequence[Epoch], epochs: int, width: int, marks: Collection[int] = ()) -> list[Table]:
    """The curves so far over an axis of all `epochs`, within `width` columns; nothing before the second epoch. The
    epochs in `marks` are marked on it.

    Losses stand on a logarithmic scale, where steady progress is a straight line.
    """
    if len(history) < 2:
        return []
    charts = []
    losses = _series([_log(row.train_loss) for row in history], [_log(row.validation_loss) for row in history])
    accuracies = _series([row.train_accuracy for row in history], [row.validation_accuracy for row in history])
    has_accuracy = _known(accuracies) != []
    room = min((width - 4) // 2 if has_accuracy else width, WIDEST)
    if known := _known(losses):
        low, high = min(known), max(known)
        axis = Axis(low, high, (f"{10**low:.2g}", f"{10**high:.2g}"))
        charts.append(("loss", chart(losses, axis, epochs, width=room, height=HEIGHT, marks=marks)))
    if known := _known(accuracies):
        low = min(known) // 0.1 / 10
        axis = Axis(low, 1.0, (f"{low:.0%}", "100%"))
        charts.append(("accuracy", chart(accuracies, axis, epochs, width=room, height=HEIGHT, marks=marks)))
    grid = Table.grid(padding=(0, 4, 0, 0))
    grid.add_row(*(Text(f"\n{title}", style="bold") for title, _ in charts))
    grid.add_row(*(lines for _, lines in charts))
    return [grid]


def _series(training: list[float | None], validation: list[float | None]) -> list[Series]:
    return [Series(training, TRAINING), Series(validation, VALIDATION)]


def _known(series: list[Series]) -> list[float]:
    return [value for line in series for value in line.values if value is not None]


def _log(value: float | None) -> float | None:
    return None if value is None else log10(max(value, 1e-12))
