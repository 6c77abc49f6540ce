"""`nudge jobs export` and `nudge models export`."""

import sys
from pathlib import Path

import click
from rich.markup import escape

from client.terminal import Terminal, connected
from client.tracking_server import check_address, shown

FORMATS = {"onnx": "onnx", "safetensors": "safetensors", "npz": "npz", "card": "md"}  # and the files' endings


@click.command()
@click.argument("job")
@click.option("--tensorboard", type=click.Path(file_okay=False, path_type=Path), help="Write event files into this.")
@click.option("--mlflow", metavar="URI", help="Make a run there, such as sqlite:///mlflow.db or http://host:5000.")
@click.option("--experiment", default="nudge", show_default=True, help="Of MLflow, for the run.")
@connected
def export_job(terminal: Terminal, job: str, tensorboard: Path | None, mlflow: str | None, experiment: str) -> None:
    """Give a job's metrics so far to TensorBoard or MLflow. What an earlier export of the job made is replaced."""
    if tensorboard is None and mlflow is None:
        raise click.UsageError("Say where to: --tensorboard DIRECTORY, --mlflow URI, or both.")
    if mlflow is not None:
        check_address(mlflow)
    found = terminal.client().jobs.get(job)
    made: dict[str, str] = {}
    try:
        if tensorboard is not None:
            made["tensorboard"] = str(found.to_tensorboard(tensorboard))
        if mlflow is not None:
            terminal.talk.print(f"Asking the tracking server at {escape(shown(mlflow))} ...", soft_wrap=True)
            made["mlflow"] = found.to_mlflow(mlflow, experiment)
    except OSError as error:
        raise click.BadParameter(f"{error.filename}: {error.strerror}", param_hint="--tensorboard") from error
    if terminal.json:
        terminal.document({"job": found.id, **made})
    else:
        terminal.facts(made)


@click.command()
@click.argument("model")
@click.option("--format", "form", type=click.Choice(FORMATS), default="onnx", show_default=True)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="The file to write; - is stdout.")
@connected
def export_model(terminal: Terminal, model: str, form: str, output: Path | None) -> None:
    """Write a model as a file for other programs, or as a card in Markdown.

    MODEL is an id, a name, or name@version or name@alias.
    """
    found = terminal.client().models.get(model)
    content = found.export(form)
    if str(output) == "-":
        sys.stdout.buffer.write(content)
        return
    path = output or Path(f"{found.name}-{found.record.version}.{FORMATS[form]}")
    try:
        path.write_bytes(content)
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}", param_hint="--output") from error
    if terminal.json:
        terminal.document({"model": found.id, "format": form, "file": str(path), "bytes": len(content)})
    else:
        terminal.out.print(f"Wrote [bold]{escape(str(path))}[/], {len(content):,} bytes.", soft_wrap=True)
