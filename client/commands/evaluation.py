"""`nudge models evaluate`."""

import click

from client.chances import gives_chances, told
from client.commands.row_choice import chosen_rows
from client.display import number, percent
from client.schemas import Confusion, CostlyRow, Evaluation
from client.terminal import Terminal, connected

SHOWN = 20  # classes of a confusion matrix that a table shows


@click.command()
@click.argument("model")
@click.argument("dataset")
@click.option("--rows", metavar="FROM:TO", help="Only these rows, counted from 0, such as 0:1000.")
@click.option(
    "--top", type=click.IntRange(0, 1000), default=10, show_default=True, help="How many costly rows to name."
)
@connected
def evaluate(terminal: Terminal, model: str, dataset: str, rows: str | None, top: int) -> None:
    """How well a MODEL (an id, a name, name@version or name@alias) does on a DATASET (its id)."""
    client = terminal.client()
    chosen = None if rows is None else chosen_rows(rows, client.datasets.get(dataset).rows)
    asked = client.models.get(model)
    found = asked.evaluate(dataset, rows=chosen, top=top)
    if terminal.json:
        terminal.document(found.to_json())
    else:
        _show(terminal, found, gives_chances(asked.record.spec))


def _show(terminal: Terminal, found: Evaluation, chances: bool) -> None:
    last = found.first_row + found.rows - 1
    facts = {"rows": f"{found.rows:,} ({found.first_row} to {last})"}
    for name, value in found.metrics.items():
        facts[name] = percent(value) if name == "accuracy" or name.startswith("top_") else number(value)
    terminal.facts(facts)
    if found.confusion_matrix is not None:
        terminal.out.print()
        _confusion(terminal, found.confusion_matrix)
    if found.costliest:
        terminal.out.print()
        terminal.table(("row", "cost", "target", "says"), (_costly(row, chances) for row in found.costliest))


def _confusion(terminal: Terminal, matrix: Confusion) -> None:
    if len(matrix.classes) > SHOWN:
        terminal.out.print(f"The confusion matrix has {len(matrix.classes)} classes; --json shows it.")
        return
    lines = zip(matrix.classes, matrix.counts, strict=True)
    terminal.table(("is \\ said", *map(str, matrix.classes)), ((label, *counts) for label, counts in lines))


def _costly(row: CostlyRow, chances: bool) -> tuple[object, ...]:
    says = row.prediction if row.probability is None else f"{row.prediction} {told(row.probability, chances=chances)}"
    return row.row, number(row.cost), row.target, says
