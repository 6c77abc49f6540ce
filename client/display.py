"""Training as one sees it: a bar, the numbers of the last epoch, and the curves as they grow."""

from types import TracebackType

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from client.curve import MARK, MARKED
from client.events import Event
from client.learning_curves import TRAINING, VALIDATION, learning_curves
from client.schemas import Epoch, Metrics

STATUS_AFTER = {
    "started": "running",
    "paused": "paused",
    **dict.fromkeys(("queued", "resumed", "rescued", "released", "retried"), "queued"),
}
SILENT = frozenset({"checkpoint", "queued"})


class TrainingDisplay:
    """Show a job's events as they come; use it in a `with` block.

    On a terminal the picture is drawn in place and its last state stays, below what happened to the job; elsewhere each
    epoch is one plain line too.
    """

    def __init__(self, console: Console, name: str, epochs: int) -> None:
        self.console = console
        self.name = name
        self.epochs = epochs
        self.status = "queued"
        self.history: list[Epoch] = []
        self.findings: set[int] = set()  # the epochs behind which the doctor found something
        # What is recorded for a picture must not hold every frame of the animation.
        screen = Console(file=console.file) if console.record else console
        self._live = Live(self, console=screen, refresh_per_second=12, transient=True)

    def __enter__(self) -> "TrainingDisplay":
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._live.stop()
            self.console.print(self)

    def show(self, event: Event) -> None:
        """Take in one event."""
        epoch = event.epoch
        if epoch is not None:
            # A job taken over by another worker repeats what was not yet safe.
            self.history = [known for known in self.history if known.epoch < epoch.epoch]
            self.history.append(epoch)
            self.status = "running"
        elif event.last:
            self.status = event.type
        else:
            self.status = STATUS_AFTER.get(event.type, self.status)
        if event.type == "finding" and "epoch" in event.data:
            self.findings.add(event.data["epoch"])
        if self.console.is_terminal:
            if epoch is None and event.type not in SILENT:
                self._live.console.print(sentence(event), highlight=False)  # above the picture
        elif epoch is not None:
            self.console.print(Text(line_of(epoch, self.epochs)), highlight=False, soft_wrap=True)
        elif event.type not in SILENT:
            self.console.print(Text(event.message), highlight=False, soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Group(
            self._bar(),
            *self._numbers(),
            *learning_curves(self.history, self.epochs, options.max_width, self.findings),
        )

    def _bar(self) -> Table:
        done = self.history[-1].epoch if self.history else 0
        grid = Table.grid(padding=(0, 1))
        for ratio in (None, 1, None):
            grid.add_column(ratio=ratio, no_wrap=True)
        grid.expand = True
        style = {"failed": "red", "cancelled": "yellow"}.get(self.status, "green")
        stopped = self.status == "succeeded"
        bar = ProgressBar(
            total=max(self.epochs, 1),
            completed=self.epochs if stopped else done,
            pulse=self.status == "running" and not done,
            complete_style=style,
            finished_style=style,
        )
        grid.add_row(Text(self.name[:24], style="bold"), bar, Text(f"epoch {done}/{self.epochs}  {self.status}"))
        return grid

    def _numbers(self) -> list[Table]:
        if not self.history:
            return []
        now = self.history[-1]
        grid = Table.grid(padding=(0, 2))
        grid.add_row(
            Text("training", style=TRAINING),
            Text(f"loss {number(now.train_loss)}"),
            Text(f"accuracy {percent(now.train_accuracy)}" if now.train_accuracy is not None else ""),
            Text(f"{speed(now.examples_per_s)}", style="dim"),
        )
        if now.validation_loss is not None:
            accuracy = now.validation_accuracy
            grid.add_row(
                Text("validation", style=VALIDATION),
                Text(f"loss {number(now.validation_loss)}"),
                Text(f"accuracy {percent(accuracy)}" if accuracy is not None else ""),
                "",
            )
        return [grid]


def sentence(event: Event) -> RenderableType:
    """What happened, for a terminal; what the doctor found is marked as on the axis of the curves."""
    if event.type != "finding":
        return Text(event.message)
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(Text(MARK, MARKED), Text(event.message))
    return grid


def line_of(epoch: Epoch, epochs: int) -> str:
    """One epoch in one plain line."""
    return f"epoch {epoch.epoch}/{epochs}  {said(epoch)}"


def said(metrics: Metrics) -> str:
    """What was measured, in one plain line."""
    parts = [f"loss {number(metrics.train_loss)}"]
    if metrics.train_accuracy is not None:
        parts.append(f"accuracy {percent(metrics.train_accuracy)}")
    if metrics.validation_loss is not None:
        parts.append(f"validation loss {number(metrics.validation_loss)}")
    if metrics.validation_accuracy is not None:
        parts.append(f"validation accuracy {percent(metrics.validation_accuracy)}")
    return "  ".join([*parts, speed(metrics.examples_per_s)]).rstrip()


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.2e}"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.1f} %"


def speed(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} examples/s"
