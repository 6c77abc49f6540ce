"""`nudge models rows`: the rows that teach a model most."""

from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from client.bars import bar
from client.client import Client
from client.explanations import TeachingRow
from client.guesses import is_picture
from client.picture import picture
from client.terminal import Terminal, connected

DRAWN = 8  # pictures
BAR = 16


@click.command()
@click.argument("model")
@click.option("--data", metavar="DATASET", help="Its id; default: the one that the model learned from.")
@click.option(
    "--order",
    type=click.Choice(["loss", "gradient_norm"]),
    default="loss",
    show_default=True,
    help="By what a row costs, or by how hard it pushes the weights.",
)
@click.option(
    "--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many are shown, the hardest first."
)
@click.option("--offset", type=click.IntRange(0), help="The first row that is looked at, from 0.")
@click.option("--count", type=click.IntRange(1), help="How many rows are looked at; all if left out.")
@connected
def rows(
    terminal: Terminal,
    model: str,
    data: str | None,
    order: str,
    limit: int,
    offset: int | None,
    count: int | None,
) -> None:
    """Show the rows that teach MODEL most: the hard ones, and those whose label may be wrong.

    Of a dataset that is too large for one request, look at a part: --offset and --count. MODEL is an id, a name, or
    name@version or name@alias.
    """
    client = terminal.client()
    asked = client.models.get(model)
    dataset = client.datasets.get(data).id if data is not None else asked.record.dataset
    if dataset is None:
        raise click.UsageError("The server does not know which dataset this model learned from: name one with --data.")
    found = asked.rows(dataset, order, offset=offset, count=count, limit=limit).data
    if terminal.json:
        terminal.document([row.to_json() for row in found])
        return
    if terminal.out.is_terminal:
        colour = terminal.out.color_system is not None
        pictures = _pictures(client, dataset, found, terminal.out.width, colour=colour)
        if pictures is not None:
            terminal.out.print(pictures)
            terminal.out.print()
    terminal.out.print(_table(found, BAR if terminal.out.width >= 100 else BAR // 2))


def _table(found: Sequence[TeachingRow], width: int) -> Table:
    """A bar for what each costs and one for how hard it pushes."""
    columns = [[row.loss for row in found], [row.gradient_norm for row in found]]
    loss, norm = (max((value for value in column if value is not None), default=0.0) for column in columns)
    heads = ("row", "loss", "", "gradient norm", "", "target", "prediction")
    grid = Table(*heads, box=None, header_style="bold", pad_edge=False)
    for row in found:
        grid.add_row(
            str(row.row),
            _number(row.loss),
            bar(row.loss, loss, width, "red"),
            _number(row.gradient_norm),
            bar(row.gradient_norm, norm, width),
            _said(row.target),
            _said(row.prediction),
        )
    return grid


def _pictures(client: Client, dataset: str, found: Sequence[TeachingRow], width: int, *, colour: bool) -> Table | None:
    """Side by side the first rows, as many as fit, what each is and what it is taken for; None where they are no
    pictures."""
    shown: list[tuple[Text, Text]] = []
    taken = 0
    for row in found[:DRAWN]:
        pixels = client.datasets.rows(dataset, offset=row.row, limit=1)[0].x
        if not is_picture(pixels):
            return None
        drawn = picture(pixels, colour=colour, scale=2 if len(pixels[0]) <= 14 else 1)
        said = "rightly" if row.target == row.prediction else f"taken for {_said(row.prediction)}"
        label = Text(f"{_said(row.target)}, {said}", no_wrap=True)
        taken += max(len(drawn.plain.partition("\n")[0]), len(label)) + 2
        if taken - 2 > width:
            break
        shown.append((drawn, label))
    if not shown:
        return None
    grid = Table.grid(padding=(0, 2, 0, 0))
    for line in zip(*shown, strict=True):
        grid.add_row(*line)
    return grid


def _said(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.4g}"
