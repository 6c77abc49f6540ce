"""`nudge jobs surface` and `nudge jobs gradients`: a traced job's way down."""

import click
from rich.table import Table

from client.bars import bar
from client.display import number
from client.hill import hill, legend
from client.terminal import Terminal, connected

HALF_A_TURN = 18  # columns


@click.command()
@click.argument("job")
@connected
def surface(terminal: Terminal, job: str) -> None:
    """Draw the hill that a traced job went down, with its path and that of the full gradient."""
    found = terminal.client().jobs.get(job).surface()
    if terminal.json:
        terminal.document(found.to_json())
        return
    colour = terminal.out.is_terminal and terminal.out.color_system is not None
    terminal.out.print(hill(found, colour=colour), soft_wrap=True)
    terminal.out.print(legend(found, colour=colour))


@click.command()
@click.argument("job")
@click.option("--step", type=click.IntRange(0), default=0, show_default=True, help="The update, counted from 0.")
@connected
def gradients(terminal: Terminal, job: str, step: int) -> None:
    """Compare the gradient of one mini-batch of a traced job with that of all rows, layer by layer."""
    found = terminal.client().jobs.get(job).gradients(step)
    if terminal.json:
        terminal.document(found.to_json())
        return
    terminal.out.print(
        f"Before update {found.step}: batch {found.batch} of epoch {found.epoch}, {found.batch_rows} of "
        f"{found.rows} rows",
        soft_wrap=True,
    )
    heads = ("layer", "angle", "", "cosine", "|mini-batch|", "|full|")
    grid = Table(*heads, box=None, header_style="bold", pad_edge=False)
    for name, slopes in [*((f"{layer.index} {layer.type}", layer) for layer in found.layers), ("all", found)]:
        angle = "" if slopes.angle is None else f"{slopes.angle:.1f}°"
        norms = number(slopes.minibatch_norm), number(slopes.full_norm)
        grid.add_row(name, angle, bar(slopes.angle, 180.0, HALF_A_TURN), number(slopes.cosine), *norms)
    terminal.out.print(grid)
