"""`nudge train`."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from client.commands.datasets import FILES, uploaded
from client.commands.file_options import FileOptions
from client.commands.watching import watch
from client.errors import NudgeError
from client.schemas import Estimate
from client.specs import complete, load, override
from client.terminal import Terminal, connected


@click.command(cls=FileOptions)
@click.argument("spec", type=FILES)
@click.option("--data", type=FILES, multiple=True, metavar="FILES...", help="Train on this: one file, or a pair.")
@click.option("--validation", multiple=True, metavar="FILES...", help="Validate on this: files, or a fraction.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change the spec: epochs=5.")
@click.option("--name", help="The job's name, and its model's.")
@click.option("--priority", type=click.IntRange(-10, 10), help="Jobs of a higher one are taken first; default 0.")
@click.option(
    "--from",
    "origin",
    metavar="CHECKPOINT|WEIGHTS|FILE",
    help="Begin with its weights; a file is uploaded.",
)
@click.option("--watch/--no-watch", "watching", help="Stay and show how it learns.")
@click.option("--dry-run", is_flag=True, help="Only say what it would cost.")
@connected
def train(
    terminal: Terminal,
    spec: Path,
    data: tuple[Path, ...],
    validation: tuple[str, ...],
    settings: tuple[str, ...],
    name: str | None,
    priority: int | None,
    origin: str | None,
    watching: bool,
    dry_run: bool,
) -> int | None:
    """Train a network as the file SPEC describes it.

    SPEC is the body of POST /v1/jobs as JSON; its dataset may come from --data instead, and its validation from
    --validation. A pair of files is IDX images and labels, in any order, or NPY inputs and targets.
    """
    body = _body(spec, settings)
    given = {"name": name, "priority": priority}
    body |= {field: value for field, value in given.items() if value is not None}
    client = terminal.client()
    with _uploads(terminal) as uploads:
        if origin is not None:
            body |= _beginning(terminal, origin, uploads)
        if data:
            uploads.append(uploaded(terminal, data, name=_name(body)).id)
            body["dataset"] = uploads[-1]
        elif "dataset" not in body:
            raise click.UsageError(
                "The spec names no dataset: upload one with --data FILES, or add --set dataset=ds_..."
            )
        if validation:
            body["validation"] = _validation(terminal, validation, _name(body), uploads)
        if dry_run:
            _say_cost(terminal, client.jobs.estimate(complete(body, {})))
            _take_back(terminal, uploads)
            return None
        job = client.train(body)
    if watching:
        terminal.talk.print(f"Training [bold]{job.name}[/]  [dim]{job.id}[/]\n", soft_wrap=True)
        return watch(terminal, job)
    if terminal.json:
        terminal.document(job.record.to_json())
    else:
        terminal.out.print(
            f"Training [bold]{job.name}[/]  [dim]{job.id}[/]\nWatch it: [bold]nudge jobs watch {job.id}[/]",
            soft_wrap=True,
        )
    return None


@contextmanager
def _uploads(terminal: Terminal) -> Iterator[list[str]]:
    """What this command has uploaded: what is refused leaves none of it behind."""
    uploads: list[str] = []
    try:
        yield uploads
    except (NudgeError, click.ClickException) as error:
        if not isinstance(error, NudgeError) or error.refused:  # else a job may have come of it
            _take_back(terminal, uploads)
        raise


def _take_back(terminal: Terminal, uploads: list[str]) -> None:
    client = terminal.client()
    for uploaded_id in uploads:
        with suppress(NudgeError):  # it stays then; what went wrong before is what counts
            (client.weights if uploaded_id.startswith("wts_") else client.datasets).delete(uploaded_id)
            terminal.talk.print(f"Deleted [dim]{uploaded_id}[/] again: no job uses it.", soft_wrap=True)


def _say_cost(terminal: Terminal, estimate: Estimate) -> None:
    if terminal.json:
        terminal.document(estimate.to_json())
    else:
        terminal.facts({field: f"{value:,}" for field, value in estimate.to_json().items()})


def _body(spec: Path, settings: tuple[str, ...]) -> dict[str, Any]:
    try:
        body = load(spec)
        for setting in settings:
            override(body, setting)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return body


def _beginning(terminal: Terminal, origin: str, uploads: list[str]) -> dict[str, str]:
    """The field of the spec that names where the weights come from."""
    if not Path(origin).is_file():
        if not origin.startswith(("ckpt_", "wts_")):
            detail = f"There is no file {origin!r}, and it is no id of a checkpoint (ckpt_...) or of weights (wts_...)."
            raise click.BadParameter(detail, param_hint="--from")
        return {"from_weights" if origin.startswith("wts_") else "from_checkpoint": origin}
    uploads.append(terminal.client().weights.upload(origin).id)
    return {"from_weights": uploads[-1]}


def _name(body: dict[str, Any]) -> str | None:
    name = body.get("name")
    return name if isinstance(name, str) else None


def _validation(terminal: Terminal, values: tuple[str, ...], name: str | None, uploads: list[str]) -> dict[str, Any]:
    if len(values) == 1 and not Path(values[0]).is_file():
        try:
            return {"fraction": float(values[0])}
        except ValueError:
            pass
    missing = [value for value in values if not Path(value).is_file()]
    if missing:
        raise click.BadParameter(f"{missing[0]!r} is neither a file nor a fraction.", param_hint="--validation")
    files = tuple(Path(value) for value in values)
    uploads.append(uploaded(terminal, files, name=f"{name[:53]}-validation" if name else None).id)
    return {"dataset": uploads[-1]}
