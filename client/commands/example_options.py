"""The example that a command is about: an input with its target, or rows of a dataset."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from client.inputs import read

Command = TypeVar("Command", bound=Callable[..., Any])


def example_options(command: Command) -> Command:
    """Give a command `--input`, `--target`, `--data` and `--row`; `chosen_example` reads them."""
    for option in (
        click.option("--row", "rows", type=click.IntRange(0), multiple=True, help="Which row; may be repeated."),
        click.option("--data", "dataset", metavar="DATASET", help="The id of the dataset that holds the example."),
        click.option("--target", metavar="JSON", help="What would be right: a class, or the number or numbers."),
        click.option("--input", "source", metavar="FILE|JSON", help="One example's input: a file, or JSON itself."),
    ):
        command = option(command)
    return command


def chosen_example(
    source: str | None, target: str | None, dataset: str | None, rows: tuple[int, ...]
) -> dict[str, Any]:
    """The fields of the request; raises click's errors for what is no example."""
    if (source is None) == (dataset is None):
        raise click.UsageError("Name the example: --input with --target, or --data with --row.")
    if source is None:
        if not rows or target is not None:
            raise click.UsageError("Rows of a dataset are named with --row; they bring their targets.")
        return {"dataset": dataset, "row": rows[0]} if len(rows) == 1 else {"dataset": dataset, "rows": [*rows]}
    if target is None or rows:
        raise click.UsageError("An --input needs its --target, and no --row.")
    return {"input": _one(source), "target": _scalar(target)}


def _one(source: str) -> Any:
    try:
        inputs = read(source)
    except (ValueError, OSError) as error:
        raise click.BadParameter(str(error), param_hint="--input") from error
    if inputs and not isinstance(inputs[0], list):
        return inputs
    if len(inputs) != 1:
        raise click.BadParameter(f"There are {len(inputs)} inputs: give one.", param_hint="--input")
    return inputs[0]


def _scalar(text: str) -> Any:
    """JSON where it is some; a plain word is a class."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
