"""`nudge explain`."""

from typing import Any

import click

from client.commands.example_options import chosen_example, example_options, of_model
from client.terminal import Terminal, connected
from client.wishes import drawing


@click.command()
@click.argument("model")
@example_options
@click.option("--layer", "layers", type=click.IntRange(0), multiple=True, help="Only this layer, from 0; repeatable.")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="How many of the strongest to name.")
@click.option("--whole/--no-whole", default=True, help="With --json: all nudges, or the strongest alone.")
@connected
def explain(terminal: Terminal, /, model: str, layers: tuple[int, ...], top: int, whole: bool, **example: Any) -> None:
    """Show what each layer of MODEL gives and wishes, for rows of a dataset or for an input and what would be right.

    A wish is minus the derivative of the cost: the way to go to make this example cost less. MODEL is an id, a name,
    name@version, name@alias, or the id of its job.
    """
    chosen = chosen_example(**example)
    client = terminal.client()
    found = client.jobs.get(model).model() if model.startswith("job_") else client.models.get(model)
    explanation = found.explain(
        **of_model(chosen, found), top=top, layers=layers or None, whole=whole if terminal.json else None
    )
    if terminal.json:
        terminal.document(explanation.to_json())
    else:
        colour = terminal.out.is_terminal and terminal.out.color_system is not None
        terminal.out.print(drawing(explanation, colour=colour, width=terminal.out.width, to_the_end=not layers))
