"""`nudge models` and `nudge predict`."""

import sys
from collections.abc import Iterable
from typing import Any

import click
from rich.markup import escape

from client.chances import are_chances, told
from client.commands.listing import limit_option, listed
from client.commands.row_choice import chosen_rows
from client.commands.teaching import rows
from client.guesses import beside, guesses, is_picture
from client.inputs import Given, picture_file, read, read_mask
from client.models import Model
from client.schemas import Prediction, Predictions
from client.terminal import Terminal, connected

VALUES_IN_A_REQUEST = 200_000
ROWS_IN_A_REQUEST = 1000


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """See the trained networks. Alone, it lists them."""
    if context.invoked_subcommand is None:
        context.invoke(list_)


@models.command("list")
@click.option("--name", help="Only models of this name.")
@limit_option
@connected
def list_(terminal: Terminal, name: str | None, limit: int) -> None:
    """List models, newest first."""
    models = terminal.client().models
    found = listed(terminal, lambda count, cursor: models.list(name=name, limit=count, cursor=cursor), limit)
    if terminal.json:
        terminal.document([record.to_json() for record in found])
    else:
        terminal.table(
            ("id", "name", "version", "aliases", "created (UTC)"),
            (
                (item.id, item.name, item.version, ", ".join(item.aliases), f"{item.created_at:%Y-%m-%d %H:%M}")
                for item in found
            ),
        )


@models.command()
@click.argument("model")
@connected
def show(terminal: Terminal, model: str) -> None:
    """Show a model and where it came from; MODEL is an id, a name, or name@version or name@alias."""
    found = terminal.client().models.get(model)
    etag = found.etag()
    record = found.record
    if terminal.json:
        terminal.document(record.to_json() | {"etag": etag})
    else:
        facts = record.to_json() | {"etag": etag}
        facts["aliases"] = ", ".join(record.aliases)
        terminal.facts({name: value for name, value in facts.items() if isinstance(value, str | int) and value != ""})


@click.command()
@click.argument("model")
@click.option(
    "--input",
    "source",
    metavar="FILE|JSON",
    help="Inputs: a file (JSON, CSV, IDX, PNG, JPEG), - for JSON on stdin, or JSON itself: a list of inputs, or "
    '{"inputs": [...], "mask": [...]}.',
)
@click.option("--dataset", help="Ask about rows of this dataset instead.")
@click.option("--mask", metavar="JSON", help="Of sequences: a list for each, 1 for each step that counts.")
@click.option("--rows", metavar="FROM:TO", help="Only these inputs, counted from 0, such as 0:5 or 7.")
@click.option("--resize", is_flag=True, help="Stretch a picture to the model's size.")
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="How many guesses for each.")
@connected
def predict(
    terminal: Terminal,
    model: str,
    source: str | None,
    dataset: str | None,
    mask: str | None,
    rows: str | None,
    resize: bool,
    top: int,
) -> None:
    """Ask a model; MODEL is its id, its name, name@version, name@alias, or the id of its job."""
    if (source is None) == (dataset is None):
        raise click.UsageError("Give --input or --dataset, one of them.")
    if mask is not None and dataset is not None:
        raise click.UsageError("A --mask belongs to an --input; rows of a dataset bring theirs.")
    client = terminal.client()
    try:
        picture = source is not None and picture_file(source)
        if source is not None and not picture:
            given = _masked(read(sys.stdin.read() if source == "-" else source), mask)
            wanted = chosen_rows(rows, len(given.inputs))
            given = _cut(given, wanted)
        found = client.jobs.get(model).model() if model.startswith("job_") else client.models.get(model)
        if dataset is not None:
            wanted = chosen_rows(rows, client.datasets.get(dataset).rows)
            inputs, answer = None, _of_dataset(found, dataset, wanted, top)
        elif picture:
            wanted, inputs, answer = range(1), None, found.predict_pictures(picture, resize=resize, top=top)
        else:
            inputs, answer = given.inputs, _predict(found, given, top)
    except (ValueError, OSError) as error:
        raise click.BadParameter(str(error), param_hint="--input" if dataset is None else "--rows") from error
    if terminal.json:
        shown = None if answer.predictions is None else [prediction.to_json() for prediction in answer.predictions]
        terminal.document({"model": found.id, "outputs": answer.outputs, "predictions": shown})
        return
    for place, (number, output) in enumerate(zip(wanted, answer.outputs, strict=True)):
        if answer.predictions is None:
            terminal.out.print(f"{number}: {', '.join(f'{value:.6g}' for value in output)}")
        elif inputs and is_picture(inputs[place]) and terminal.out.is_terminal and len(inputs) <= 10:
            colour = terminal.out.color_system is not None
            right = guesses(answer.predictions[place], chances=are_chances(output))
            drawn = beside(inputs[place], right, colour=colour)
            terminal.out.print(drawn, end="\n\n")
        else:
            line = _line(answer.predictions[place], chances=are_chances(output))
            terminal.out.print(f"{number}: {line}", soft_wrap=True)


def _of_dataset(model: Model, dataset: str, wanted: range, top: int) -> Predictions:
    """Predict rows of a dataset in requests of a bounded size."""
    starts = range(wanted.start, wanted.stop, ROWS_IN_A_REQUEST)
    return _joined(
        model.predict_rows(dataset, start, min(ROWS_IN_A_REQUEST, wanted.stop - start), top) for start in starts
    )


def _predict(model: Model, given: Given, top: int) -> Predictions:
    """Predict in requests of a bounded size."""
    inputs, mask = given
    size = max(1, VALUES_IN_A_REQUEST // max(1, _values(inputs[0]) if inputs else 1))
    parts = (slice(start, start + size) for start in range(0, max(len(inputs), 1), size))
    return _joined(model.predict(inputs[part], top, mask=None if mask is None else mask[part]) for part in parts)


def _joined(answers: Iterable[Predictions]) -> Predictions:
    outputs: list[list[float | None]] = []
    predictions: list[Prediction] = []
    for answer in answers:
        outputs += answer.outputs
        predictions += answer.predictions or []
    return Predictions(outputs=outputs, predictions=predictions or None)


def _values(value: Any) -> int:
    return sum(map(_values, value)) if isinstance(value, list) else 1


def _masked(given: Given, mask: str | None) -> Given:
    if mask is None:
        return given
    if given.mask is not None:
        raise click.UsageError("There are two masks: one in --input, and --mask.")
    return given._replace(mask=read_mask(mask))


def _cut(given: Given, rows: range) -> Given:
    part = slice(rows.start, rows.stop)
    return Given(given.inputs[part], None if given.mask is None else given.mask[part])


def _line(prediction: Prediction, *, chances: bool) -> str:
    best, *rest = (
        f"{guess.label} {told(guess.probability, chances=chances)}" for guess in prediction.top or (prediction,)
    )
    return f"[bold]{escape(best)}[/]   [dim]{escape('   '.join(rest))}[/]"


models.add_command(rows)
