"""`nudge batch-predict`, and `nudge jobs predictions`, which fetches what it made."""

from pathlib import Path

import click

from client.commands.row_choice import chosen_rows
from client.commands.watching import watch
from client.jobs import Job
from client.terminal import OK, Terminal, connected

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("batch-predict")
@click.argument("model")
@click.option("--data", "dataset", required=True, metavar="DATASET", help="Predict this dataset: its id.")
@click.option("--format", "form", type=click.Choice(["csv", "npz", "parquet"]), default="csv", show_default=True)
@click.option("-o", "--output", type=FILE, help="Where to write it; default: predictions.csv, .npz or .parquet.")
@click.option("--top", type=click.IntRange(1), help="How many classes for each row; default 1.")
@click.option("--outputs", is_flag=True, help="All outputs of the network too.")
@click.option("--rows", metavar="FROM:TO", help="Only these rows, counted from 0, such as 0:1000 or 7.")
@click.option("--name", help="The job's name.")
@click.option("--priority", type=click.IntRange(-10, 10), help="Jobs of a higher one are taken first; default 0.")
@connected
def batch_predict(
    terminal: Terminal,
    model: str,
    dataset: str,
    form: str,
    output: Path | None,
    top: int | None,
    outputs: bool,
    rows: str | None,
    name: str | None,
    priority: int | None,
) -> int:
    """Predict a whole dataset, as a job, and write the file.

    MODEL is an id, a name, or name@version or name@alias.
    """
    client = terminal.client()
    chosen = None if rows is None else chosen_rows(rows, client.datasets.get(dataset).rows)
    job = client.batch_predict(
        model, dataset, format=form, top=top, outputs=outputs, rows=chosen, name=name, priority=priority
    )
    terminal.talk.print(f"Predicting [bold]{job.name}[/]  [dim]{job.id}[/]", soft_wrap=True)
    code = watch(terminal, job)
    if code == OK:
        save(terminal, job, output or Path(f"predictions.{form}"))
    return code


@click.command()
@click.argument("job")
@click.option("-o", "--output", type=FILE, required=True, help="Where to write it.")
@connected
def predictions(terminal: Terminal, job: str, output: Path) -> None:
    """Fetch the file of a job that has predicted a whole dataset."""
    found = terminal.client().jobs.get(job)
    save(terminal, found, output)
    if terminal.json:
        terminal.document(found.record.to_json())


def save(terminal: Terminal, job: Job, path: Path) -> None:
    """Write the job's file, and say so."""
    try:
        size = job.save_predictions(path).stat().st_size
    except OSError as error:
        raise click.BadParameter(str(error), param_hint="--output") from error
    terminal.talk.print(f"Wrote [bold]{path}[/], {size:,} bytes.", soft_wrap=True)
