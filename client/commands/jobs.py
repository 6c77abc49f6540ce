"""`nudge jobs`."""

import json
from datetime import UTC, datetime

import click
from rich.table import Table
from rich.text import Text

from client.commands.batch_predict import predictions
from client.commands.checkpoints import checkpoint, checkpoints
from client.commands.descents import gradients, surface
from client.commands.listing import limit_option, listed
from client.commands.watching import watch as watch_job
from client.display import number, percent, sentence
from client.events import Event
from client.jobs import Job
from client.schemas import JobRecord
from client.standing import facts
from client.terminal import Terminal, connected

LATEST = 20  # events of a story that are shown


@click.group(invoke_without_command=True)
@click.pass_context
def jobs(context: click.Context) -> None:
    """See, watch, stop and go on with jobs. Alone, it lists them."""
    if context.invoked_subcommand is None:
        context.invoke(list_)


@jobs.command("list")
@click.option("--status", help="Only jobs of this status.")
@click.option("--name", help="Only jobs of this name.")
@click.option("--kind", type=click.Choice(["train", "predict"]), help="Only trainings, or only predictions.")
@limit_option
@connected
def list_(terminal: Terminal, status: str | None, name: str | None, kind: str | None, limit: int) -> None:
    """List jobs, newest first."""
    jobs = terminal.client().jobs
    found = listed(
        terminal,
        lambda count, cursor: jobs.list(status=status, name=name, kind=kind, limit=count, cursor=cursor),
        limit,
    )
    if terminal.json:
        terminal.document([record.to_json() for record in found])
    else:
        terminal.table(("id", "name", "status", "place", "done", "loss"), (_row(record) for record in found))


@jobs.command()
@click.argument("job")
@connected
def show(terminal: Terminal, job: str) -> None:
    """Show how a job stands, and what happened to it."""
    found = terminal.client().jobs.get(job)
    record = found.record
    if terminal.json:
        terminal.document(record.to_json())
        return
    newest = next((kept for kept in found.checkpoints() if kept.id == record.checkpoint), None)
    terminal.facts(facts(record, newest, datetime.now(UTC)))
    terminal.out.print()
    story = found.story()[-LATEST:]
    if terminal.out.is_terminal:
        grid = Table.grid(padding=(0, 2, 0, 0))
        for event in story:
            grid.add_row(Text(_moment(event), "dim", no_wrap=True), sentence(event))
        terminal.out.print(grid)
        return
    for event in story:
        terminal.out.print(_told(event), soft_wrap=True)


@jobs.command()
@click.argument("job")
@connected
def watch(terminal: Terminal, job: str) -> int:
    """Watch a job until it is over; Ctrl-C stops watching only."""
    return watch_job(terminal, terminal.client().jobs.get(job))


@jobs.command()
@click.argument("job", required=False)
@click.option("--status", help="Stop all jobs of this status.")
@click.option("--name", help="Stop all jobs of this name.")
@connected
def cancel(terminal: Terminal, job: str | None, status: str | None, name: str | None) -> None:
    """Stop a job, or all of a status or a name. What they have learned stays in their checkpoints."""
    filtered = status is not None or name is not None
    if filtered == (job is not None):
        raise click.UsageError("Name one job, or choose many with --status, --name, or both.")
    if job is not None:
        _say(terminal, terminal.client().jobs.get(job).cancel(), "asked to stop")
        return
    done = terminal.client().jobs.cancel_all(status=status, name=name)
    if terminal.json:
        terminal.document(done.to_json())
    else:
        terminal.out.print(f"{done.cancelled} cancelled, {done.requested} asked to stop.")


@jobs.command()
@click.argument("job")
@connected
def delete(terminal: Terminal, job: str) -> None:
    """Delete a job that is over. Its events, metrics and checkpoints go with it, its models stay."""
    found = terminal.client().jobs.get(job)
    found.delete()
    terminal.deleted(found.id)


@jobs.command()
@click.argument("job")
@connected
def pause(terminal: Terminal, job: str) -> None:
    """Stop a job until it is resumed. A running one keeps what it has done first."""
    _say(terminal, terminal.client().jobs.get(job).pause(), "asked to pause")


@jobs.command()
@click.argument("job")
@connected
def resume(terminal: Terminal, job: str) -> None:
    """Let a paused job go on from where it stood, or take back a pause that is still pending."""
    _say(terminal, terminal.client().jobs.get(job).resume(), "running; its pause was taken back")


@jobs.command()
@click.argument("job")
@connected
def retry(terminal: Terminal, job: str) -> None:
    """Let a failed job go on from where it was stored last."""
    found = terminal.client().jobs.get(job)
    diverged = (found.record.status_reason or "").startswith("diverged")
    _say(terminal, found.retry())
    if diverged:
        terminal.err.print(
            "It diverged, and training is repeated exactly: it would diverge again at the same place unless something "
            "else computes it. To go on with another spec, such as a lower learning rate: nudge train --from "
            "CHECKPOINT.",
            soft_wrap=True,
        )


def _say(terminal: Terminal, job: Job, while_running: str = "running") -> None:
    if terminal.json:
        terminal.document(job.record.to_json())
    else:
        terminal.out.print(f"{job.id} is {while_running if job.status == 'running' else job.status}.")


@jobs.command()
@click.argument("job")
@click.option("--max-points", type=click.IntRange(2), help="Thin out to this many epochs.")
@connected
def metrics(terminal: Terminal, job: str, max_points: int | None) -> None:
    """Show the metrics of each epoch."""
    epochs = terminal.client().jobs.get(job).metrics(max_points)
    if terminal.json:
        terminal.document([epoch.to_json() for epoch in epochs])
        return
    terminal.table(
        ("epoch", "loss", "accuracy", "validation loss", "validation accuracy", "seconds"),
        (
            (
                epoch.epoch,
                number(epoch.train_loss),
                percent(epoch.train_accuracy),
                number(epoch.validation_loss),
                percent(epoch.validation_accuracy),
                number(epoch.seconds),
            )
            for epoch in epochs
        ),
    )


@jobs.command()
@click.argument("job")
@click.option("--after", type=click.IntRange(0), default=0, help="Only events after this number.")
@connected
def events(terminal: Terminal, job: str, after: int) -> None:
    """Print the events of a job as they happen. With --json one JSON object in each line."""
    found = terminal.client().jobs.get(job)
    for event in found.events(after):
        if terminal.json:
            click.echo(json.dumps({"id": event.number, "event": event.type, "data": event.data}, ensure_ascii=False))
        else:
            terminal.out.print(
                Text.assemble((f"{event.number:5}  ", "dim"), _told(event)), soft_wrap=not terminal.out.is_terminal
            )


def _told(event: Event) -> Text:
    """When something happened, and what."""
    return Text.assemble((_moment(event), "dim"), "  ", event.message)


def _moment(event: Event) -> str:
    return f"{event.created_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if event.created_at else ""


@jobs.command()
@click.argument("job")
@connected
def receipt(terminal: Terminal, job: str) -> None:
    """Write a job's receipt, as JSON. `nudge verify` repeats the job from it and compares."""
    terminal.document(terminal.client().jobs.get(job).receipt())


def _done(record: JobRecord) -> tuple[str, str]:
    """Epochs, or rows that are predicted: how many of how many."""
    progress = record.progress
    if progress.rows is not None:
        return f"{progress.rows_done:,}", f"{progress.rows:,}"
    return str(progress.epoch), str(progress.epochs)


def _row(record: JobRecord) -> tuple[object, ...]:
    return (
        record.id,
        record.name,
        record.status,
        record.queue_position or "",
        "/".join(_done(record)),
        number(record.metrics.train_loss if record.metrics else None),
    )


for command in (checkpoint, checkpoints, gradients, predictions, surface):
    jobs.add_command(command)
