"""The example that a command is about: an input with its target, or rows of a dataset."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from client.inputs import read
from client.models import Model

Command = TypeVar("Command", bound=Callable[..., Any])


def example_options(command: Command) -> Command:
    """Give a command `--input`, `--target`, `--data` and `--row`; `chosen_example` reads them."""
    for option in (
        click.option(
            "--row",
            "rows",
            metavar="N|FROM:TO",
            multiple=True,
            help="A row of a dataset, from 0; several are averaged.",
        ),
        click.option(
            "--data", "dataset", metavar="DATASET", help="Its id; default: the one that the model learned from."
        ),
        click.option("--target", metavar="JSON", help="What would be right: a class, or the number or numbers."),
        click.option("--input", "source", metavar="FILE|JSON", help="One example's input: a file, or JSON itself."),
    ):
        command = option(command)
    return command


def chosen_example(
    source: str | None, target: str | None, dataset: str | None, rows: tuple[str, ...]
) -> dict[str, Any]:
    """The fields of the request, `dataset` None where none is named; raises click's errors for what is no example."""
    if source is not None:
        if target is None or rows or dataset is not None:
            raise click.UsageError("An --input needs its --target, and neither --data nor --row.")
        return {"input": _one(source), "target": _scalar(target)}
    if target is not None:
        raise click.UsageError("A --target belongs to an --input; rows of a dataset bring theirs.")
    numbers = [number for row in rows for number in _span(row)]
    if not numbers:
        raise click.UsageError(
            "Name the example: --row, with --data if it is another dataset, or --input with --target."
        )
    return {"dataset": dataset} | ({"row": numbers[0]} if len(numbers) == 1 else {"rows": numbers})


def of_model(example: dict[str, Any], model: Model) -> dict[str, Any]:
    """The same example; rows of no named dataset are those of the one that the model learned from."""
    rows_of_its_own = "dataset" in example and example["dataset"] is None
    return example | {"dataset": model.record.dataset} if rows_of_its_own else example


def _span(rows: str) -> range:
    start, colon, end = rows.partition(":")
    if start.isdecimal() and (not colon or end.isdecimal()):
        found = range(int(start), int(end) if colon else int(start) + 1)
        if found:
            return found
    raise click.BadParameter(f"{rows!r} names no rows; write 7, or FROM:TO, such as 0:5.", param_hint="--row")


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
    except ValueError:
        return text
