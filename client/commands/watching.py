"""Watch a job until it is over; interrupting the watcher leaves the job alone."""

from rich.markup import escape

from client.display import TrainingDisplay, percent
from client.jobs import Job
from client.progress import PredictionsDisplay
from client.terminal import FAILED, INTERRUPTED, OK, Terminal


def watch(terminal: Terminal, job: Job) -> int:
    """Show the job's life, then how it ended; gives the exit code."""
    try:
        with _display(terminal, job) as display:
            for event in job:
                display.show(event)
    except KeyboardInterrupt:
        terminal.err.print(
            f"\nStopped watching; {job.id} goes on. Watch again: [bold]nudge jobs watch {job.id}[/]   "
            f"End it: [bold]nudge jobs cancel {job.id}[/]",
            soft_wrap=True,
        )
        return INTERRUPTED
    job.wait()
    if terminal.json:
        terminal.document(job.record.to_json())
    terminal.talk.print(f"\n{ended(job)}", soft_wrap=True)
    return OK if job.status == "succeeded" else FAILED


def _display(terminal: Terminal, job: Job) -> TrainingDisplay | PredictionsDisplay:
    progress = job.record.progress
    if progress.rows is not None:
        return PredictionsDisplay(terminal.talk, job.name, progress.rows)
    return TrainingDisplay(terminal.talk, job.name, progress.epochs)


def ended(job: Job) -> str:
    """How the job ended, in a sentence or two."""
    record = job.record
    took = ""
    if record.started_at is not None and record.finished_at is not None:
        took = f" after {(record.finished_at - record.started_at).total_seconds():.1f} s"
    if record.status != "succeeded":
        reason = f": {record.status_reason.rstrip('.')}" if record.status_reason else ""
        return f"[bold red]{record.name} {record.status}[/]{took}{escape(reason)}."
    if record.kind == "predict":
        return f"[bold green]{record.name} succeeded[/]{took}, {record.progress.rows:,} rows predicted."
    said = ""
    if record.metrics is not None:
        metrics = record.metrics
        for value, what in (
            (metrics.validation_accuracy, "of the validation data right"),
            (metrics.train_accuracy, "of the training data right"),
        ):
            if value is not None:
                said = f", {percent(value)} {what}"
                break
    return f"[bold green]{record.name} succeeded[/]{took}{said}.\nIts model: [bold]{record.model}[/]"
