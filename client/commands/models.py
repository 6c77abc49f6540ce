"""`nudge models` and `nudge predict`."""

import sys
from typing import Any

import click
from rich.markup import escape

from client.display import percent
from client.guesses import beside, guesses, is_picture
from client.inputs import read
from client.models import Model
from client.schemas import Prediction
from client.terminal import Terminal, connected, pass_terminal

VALUES_IN_A_REQUEST = 200_000


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """See the trained networks. Alone, it lists them."""
    if context.invoked_subcommand is None:
        context.invoke(list_)


@models.command("list")
@click.option("--name", help="Only models of this name.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@connected
@pass_terminal
def list_(terminal: Terminal, name: str | None, limit: int) -> None:
    """List models, newest first."""
    page = terminal.client().models.list(name=name, limit=limit)
    if terminal.json:
        terminal.document([record.to_json() for record in page.data])
    else:
        terminal.table(
            ("id", "name", "version", "aliases", "created (UTC)"),
            (
                (item.id, item.name, item.version, ", ".join(item.aliases), f"{item.created_at:%Y-%m-%d %H:%M}")
                for item in page.data
            ),
        )


@models.command()
@click.argument("model")
@connected
@pass_terminal
def show(terminal: Terminal, model: str) -> None:
    """Show a model and where it came from; MODEL is an id, a name, or name@version or name@alias."""
    record = terminal.client().models.get(model).record
    if terminal.json:
        terminal.document(record.to_json())
    else:
        facts = record.to_json()
        facts["aliases"] = ", ".join(record.aliases)
        terminal.facts({name: value for name, value in facts.items() if isinstance(value, str | int) and value != ""})


@models.command()
@click.argument("model")
@click.option("--data", "dataset", required=True, metavar="DATASET", help="Whose rows: the id of a dataset.")
@click.option(
    "--order",
    type=click.Choice(["loss", "gradient_norm"]),
    default="loss",
    show_default=True,
    help="By what a row costs, or by how hard it pushes the weights.",
)
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@connected
@pass_terminal
def rows(terminal: Terminal, model: str, dataset: str, order: str, limit: int) -> None:
    """Show the rows that teach MODEL most: the hard ones, and those whose label may be wrong."""
    client = terminal.client()
    found = client.models.get(model).rows(client.datasets.get(dataset).id, order, limit=limit)
    if terminal.json:
        terminal.document([row.to_json() for row in found])
        return
    shown = ((row.row, _short(row.loss), _short(row.gradient_norm), row.target, row.prediction) for row in found)
    terminal.table(("row", "loss", "gradient norm", "target", "prediction"), shown)


def _short(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.4g}"


@click.command()
@click.argument("model")
@click.option(
    "--input", "source", required=True, metavar="FILE|JSON", help="Inputs: a file (JSON, CSV, IDX), JSON itself, or -."
)
@click.option("--rows", metavar="FROM:TO", help="Only these inputs, counted from 0, such as 0:5 or 7.")
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="How many guesses for each.")
@connected
@pass_terminal
def predict(terminal: Terminal, model: str, source: str, rows: str | None, top: int) -> None:
    """Ask a model; MODEL is its id, its name, name@version, name@alias, or the id of its job."""
    try:
        inputs = _cut(read(sys.stdin.read() if source == "-" else source), rows)
    except (ValueError, OSError) as error:
        raise click.BadParameter(str(error), param_hint="--input") from error
    client = terminal.client()
    found = client.jobs.get(model).model() if model.startswith("job_") else client.models.get(model)
    outputs, predictions = _predict(found, inputs, top)
    if terminal.json:
        shown = None if predictions is None else [prediction.to_json() for prediction in predictions]
        terminal.document({"model": found.id, "outputs": outputs, "predictions": shown})
        return
    for number, (x, output) in enumerate(zip(inputs, outputs, strict=True)):
        if predictions is None:
            terminal.out.print(f"{number}: {', '.join(f'{value:.6g}' for value in output)}")
        elif is_picture(x) and terminal.out.is_terminal and len(inputs) <= 10:
            colour = terminal.out.color_system is not None
            terminal.out.print(beside(x, guesses(predictions[number]), colour=colour), end="\n\n")
        else:
            terminal.out.print(f"{number}: {_line(predictions[number])}", soft_wrap=True)


def _predict(model: Model, inputs: list[Any], top: int) -> tuple[list[Any], list[Prediction] | None]:
    """Predict in requests of a bounded size."""
    size = max(1, VALUES_IN_A_REQUEST // max(1, _values(inputs[0]) if inputs else 1))
    outputs: list[Any] = []
    predictions: list[Prediction] = []
    for start in range(0, max(len(inputs), 1), size):
        answer = model.predict(inputs[start : start + size], top)
        outputs += answer.outputs
        predictions += answer.predictions or []
    return outputs, predictions or None


def _values(value: Any) -> int:
    return sum(map(_values, value)) if isinstance(value, list) else 1


def _cut(inputs: list[Any], rows: str | None) -> list[Any]:
    if rows is None:
        return inputs
    start, colon, end = rows.partition(":")
    try:
        first = int(start or 0)
        cut = inputs[first : int(end) if end else None] if colon else inputs[first : first + 1]
    except ValueError as error:
        raise ValueError(f"{rows!r} names no rows; write FROM:TO, such as 0:5, or one number.") from error
    if not cut:
        raise ValueError(f"There are no rows {rows}: the input has {len(inputs)}.")
    return cut


def _line(prediction: Prediction) -> str:
    best, *rest = (f"{guess.label} {percent(guess.probability)}" for guess in prediction.top or (prediction,))
    return f"[bold]{escape(best)}[/]   [dim]{escape('   '.join(rest))}[/]"
