"""`nudge datasets`."""

import json
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from client.commands.listing import limit_option, listed
from client.guesses import drawn, is_picture
from client.schemas import Dataset
from client.terminal import Terminal, connected

FILES = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(invoke_without_command=True)
@click.pass_context
def datasets(context: click.Context) -> None:
    """Upload data and look at it. Alone, it lists them."""
    if context.invoked_subcommand is None:
        context.invoke(list_)


@datasets.command()
@click.argument("files", type=FILES, nargs=-1, required=True)
@click.option("--name", help="Its name; default: from the file.")
@click.option("--format", help="csv, jsonl, npz, npy, idx or parquet; default: from the bytes.")
@click.option("--target", help="The column that holds the target.")
@click.option("--options", help='How to read, as JSON, such as {"delimiter": ";"}.')
@connected
def upload(
    terminal: Terminal,
    files: tuple[Path, ...],
    name: str | None,
    format: str | None,  # noqa: A002
    target: str | None,
    options: str | None,
) -> None:
    """Upload one dataset: one file (CSV, JSON Lines, NPZ, Parquet), or two (IDX images and labels, in any order; NPY
    inputs and targets)."""
    dataset = uploaded(terminal, files, name=name, format=format, options=reading_options(options, target))
    if terminal.json:
        terminal.document(dataset.to_json())


def reading_options(options: str | None, target: str | None) -> dict[str, Any]:
    """How to read files, from `--options` and `--target`."""
    try:
        reading = json.loads(options) if options else {}
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"this is no JSON: {error}", param_hint="--options") from error
    if not isinstance(reading, dict):
        raise click.BadParameter("this is no JSON object.", param_hint="--options")
    if target is not None:
        reading["target"] = {"column": target, **reading.get("target", {})}
    return reading


def uploaded(
    terminal: Terminal,
    files: tuple[Path, ...],
    *,
    name: str | None = None,
    format: str | None = None,  # noqa: A002
    options: dict[str, object] | None = None,
) -> Dataset:
    """Upload files and say so."""
    with terminal.talk.status(f"Uploading {', '.join(path.name for path in files)} ..."):
        try:
            dataset = terminal.client().datasets.upload(*files, name=name, format=format, options=options)
        except (ValueError, OSError) as error:
            raise click.UsageError(str(error)) from error
    terminal.talk.print(f"Uploaded [bold]{dataset.name}[/]  [dim]{dataset.id}[/]\n  {described(dataset)}")
    return dataset


@datasets.command("list")
@limit_option
@connected
def list_(terminal: Terminal, limit: int) -> None:
    """List datasets, newest first."""
    found = listed(terminal, terminal.client().datasets.list, limit)
    if terminal.json:
        terminal.document([dataset.to_json() for dataset in found])
    else:
        terminal.table(
            ("id", "name", "what", "bytes"),
            ((item.id, item.name, described(item), f"{item.bytes:,}") for item in found),
        )


@datasets.command()
@click.argument("dataset")
@connected
def show(terminal: Terminal, dataset: str) -> None:
    """Show what a dataset is."""
    found = terminal.client().datasets.get(dataset)
    if terminal.json:
        terminal.document(found.to_json())
        return
    classes = found.target.classes
    terminal.facts(
        {
            "id": found.id,
            "name": found.name,
            "version": found.version,
            "what": described(found),
            "classes": ", ".join(map(str, classes)) if classes is not None else None,
            "bytes": f"{found.bytes:,}",
            "digest": found.digest,
            "created": f"{found.created_at:%Y-%m-%d %H:%M:%S} UTC",
        }
    )


@datasets.command()
@click.argument("dataset")
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True)
@click.option("--limit", type=click.IntRange(1, 200), default=5, show_default=True)
@connected
def rows(terminal: Terminal, dataset: str, offset: int, limit: int) -> None:
    """Show some rows; small pictures are drawn."""
    found = terminal.client().datasets.rows(dataset, offset, limit)
    if terminal.json:
        terminal.document([row.to_json() for row in found])
        return
    for number, x, y in ((row.row, row.x, row.y) for row in found):
        if is_picture(x):
            terminal.out.print(f"row {number}: [bold]{escape(str(y))}[/]")
            terminal.out.print(drawn(x, colour=terminal.out.color_system is not None), end="\n\n")
        else:
            terminal.out.print(f"row {number}: {escape(str(x))} [bold]{escape(str(y))}[/]", soft_wrap=True)


@datasets.command()
@click.argument("dataset")
@connected
def delete(terminal: Terminal, dataset: str) -> None:
    """Delete a dataset that no job uses."""
    terminal.client().datasets.delete(dataset)
    terminal.deleted(dataset)


def described(dataset: Dataset) -> str:
    """A dataset in a few words."""
    shape = " × ".join(map(str, dataset.input_shape))
    if dataset.target.classes is not None:
        target = f"{len(dataset.target.classes)} classes"
    else:
        target = f"targets of {' × '.join(map(str, dataset.target.shape or (1,)))}"
    return f"{dataset.rows:,} rows of {shape} {dataset.input_dtype}, {target}"
