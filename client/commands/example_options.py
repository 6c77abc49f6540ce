"""The example that a command is about: an input with its target, or rows of a dataset."""

import json
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from client.inputs import picture_file, read, read_mask
from client.models import Model
from client.pixels import pixels

Command = TypeVar("Command", bound=Callable[..., Any])


def example_options(command: Command) -> Command:
    """Give a command `--input`, `--target`, `--mask`, `--resize`, `--data` and `--row`; `chosen_example` reads them."""
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
        click.option("--resize", is_flag=True, help="Stretch a picture to the model's size."),
        click.option("--mask", metavar="JSON", help="Of a sequence: [1, 1, 0], 1 for each step that counts."),
        click.option("--target", metavar="JSON", help="What would be right: a class, or the number or numbers."),
        click.option(
            "--input",
            "source",
            metavar="FILE|JSON",
            help="One example's input: JSON of the model's shape or flat, alone or as a list of one, or as "
            '{"inputs": [...], "mask": [[...]]}; or a file (JSON, CSV, IDX, PNG, JPEG).',
        ),
    ):
        command = option(command)
    return command


def chosen_example(
    source: str | None,
    target: str | None,
    mask: str | None,
    resize: bool,
    dataset: str | None,
    rows: tuple[str, ...],
) -> dict[str, Any]:
    """The fields of the request before the model is known: `dataset` None where none is named, and as `input` whatever
    was given, or a Picture; raises click's errors for what is no example."""
    if source is not None:
        if target is None or rows or dataset is not None:
            raise click.UsageError("An --input needs its --target, and neither --data nor --row.")
        return _given(source, mask, resize) | {"target": _scalar(target)}
    if target is not None or mask is not None or resize:
        raise click.UsageError("--target, --mask and --resize belong to an --input; rows of a dataset bring theirs.")
    numbers = [number for row in rows for number in _span(row)]
    if not numbers:
        raise click.UsageError(
            "Name the example: --row, with --data if it is another dataset, or --input with --target."
        )
    return {"dataset": dataset} | ({"row": numbers[0]} if len(numbers) == 1 else {"rows": numbers})


def of_model(example: dict[str, Any], model: Model) -> dict[str, Any]:
    """The same example; rows of no named dataset are those of the one that the model learned from, an input is one of
    the model's shape."""
    if "input" not in example:
        return example | {"dataset": example["dataset"] or model.record.dataset}
    given, shape = example["input"], model.input_shape
    if isinstance(given, Picture):
        return example | {"input": pixels(given.path, shape, resize=given.resize)}
    return example | {"input": _one(given, shape)}


class Picture(NamedTuple):
    """A file that is read once the model's shape is known."""

    path: Path
    resize: bool


def _given(source: str, mask: str | None, resize: bool) -> dict[str, Any]:
    try:
        path = picture_file(source)
        inputs, masks = (Picture(path, resize), None) if path else read(source)
    except (ValueError, OSError) as error:
        raise click.BadParameter(str(error), param_hint="--input") from error
    if mask is not None:
        if masks is not None:
            raise click.UsageError("There are two masks: one in --input, and --mask.")
        try:
            masks = read_mask(mask)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--mask") from error
    if masks is None:
        return {"input": inputs}
    return {"input": inputs, "mask": masks[0] if len(masks) == 1 and isinstance(masks[0], list) else masks}


def _one(inputs: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """The one input that is meant: these lists themselves, or what a list of one holds."""
    if _shape(inputs) == shape or not inputs or not isinstance(inputs[0], list):
        return inputs
    if len(inputs) == 1:
        return inputs[0]
    if _shape(inputs[0]) in (shape, (prod(shape),)):
        raise click.BadParameter(f"There are {len(inputs)} inputs: give one.", param_hint="--input")
    return inputs


def _shape(value: Any) -> tuple[int, ...]:
    return (len(value), *(_shape(value[0]) if value else ())) if isinstance(value, list) else ()


def _span(rows: str) -> range:
    start, colon, end = rows.partition(":")
    if start.isdecimal() and (not colon or end.isdecimal()):
        found = range(int(start), int(end) if colon else int(start) + 1)
        if found:
            return found
    raise click.BadParameter(f"{rows!r} names no rows; write 7, or FROM:TO, such as 0:5.", param_hint="--row")


def _scalar(text: str) -> Any:
    """JSON where it is some; a plain word is a class."""
    try:
        return json.loads(text)
    except ValueError:
        return text
