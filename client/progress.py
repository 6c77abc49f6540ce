"""Predictions of a whole dataset as one sees them: a bar, and a line for each thing that happens."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from client.events import Event


class PredictionsDisplay:
    """Show a job's events as they come; use it in a `with` block. Elsewhere than on a terminal each is a line."""

    def __init__(self, console: Console, name: str, rows: int) -> None:
        self.console = console
        columns = (TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._bar = self._progress.add_task(name[:24], total=rows)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Take in one event."""
        if "rows_done" in event.data:
            self._progress.update(self._bar, completed=event.data["rows_done"])
        if not self.console.is_terminal and event.type != "queued":
            self.console.print(event.message, highlight=False, soft_wrap=True)
