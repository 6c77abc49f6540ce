"""`nudge gradient-check`: is backward right, and is homework?"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from client.bars import error_bar, signed_bar
from client.commands.example_options import chosen_example, example_options, of_model
from client.gradient_check import GradientCheck, Mark, Off
from client.terminal import FAILED, Terminal, connected


@click.command("gradient-check")
@click.argument("model")
@click.option(
    "--gradients",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='Gradients to be marked, as JSON: [{"layer": 2, "parameter": "weight", "values": [[...]]}, ...].',
)
@click.option("--top", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many entries are shown.")
@click.option("--layer", "layers", type=click.IntRange(0), multiple=True, help="Only this layer, from 0; repeatable.")
@click.option("--entries", type=click.IntRange(0, 1000), help="How many entries of each parameter are compared singly.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws what is compared.")
@example_options
@connected
def gradient_check(
    terminal: Terminal,
    /,
    model: str,
    gradients: Path | None,
    top: int,
    layers: tuple[int, ...],
    entries: int | None,
    seed: int,
    **example: Any,
) -> int | None:
    """Compare MODEL's backpropagation with differences of its cost, and mark gradients that you worked out.

    Gives 1 where something is wrong, or where kinks left nothing to compare. MODEL is an id, a name, or name@version
    or name@alias.
    """
    chosen, own = chosen_example(**example), _own(gradients)
    asked = terminal.client().models.get(model)
    found = asked.gradient_check(
        own, top=top, seed=seed, layers=layers or None, entries=entries, **of_model(chosen, asked)
    )
    right = bool(found.right) and all(mark.right for mark in found.marks)
    if terminal.json:
        terminal.document(found.to_json())
        return None if right else FAILED
    terminal.out.print(_compared(found, terminal.out.width))
    for mark in found.marks:
        terminal.out.print()
        terminal.out.print(*_told(mark), sep="\n")
    return None if right else FAILED


def _own(path: Path | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    try:
        own = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{path} is no JSON: {error}", param_hint="--gradients") from error
    return own if isinstance(own, list) else [own]


def _compared(found: GradientCheck, width: int) -> Table:
    """Each parameter's largest error, as a bar from 1e-16 to 1 with a stroke at the one that is still right."""
    more = {
        "kinks met": [parameter.smaller_steps or "" for parameter in found.parameters],
        "left out": [parameter.left_out or "" for parameter in found.parameters],
    }
    kept = {head: column for head, column in more.items() if any(column)}
    heads = ("layer", "parameter", "", "largest error", "", "compared", *kept)
    grid = Table(*heads, box=None, header_style="bold", pad_edge=False)
    for number, parameter in enumerate(found.parameters):
        worst = parameter.worst
        grid.add_row(
            f"{parameter.layer} {parameter.type}",
            parameter.parameter.rpartition(".")[2] if parameter.parameter.count(".") == 2 else parameter.parameter,
            _verdict(parameter.right),
            "nothing compared" if worst is None else "not a number" if worst.error is None else f"{worst.error:.1e}",
            "" if worst is None else error_bar(worst.error, found.tolerance, 16 if width >= 100 else 8),
            f"{parameter.compared}",
            *(str(column[number]) for column in kept.values()),
        )
    return grid


def _verdict(right: bool | None) -> Text:
    if right is None:
        return Text("not told", "yellow")
    return Text("right", "green") if right else Text("WRONG", "bold red")


def _told(mark: Mark) -> list[RenderableType]:
    where = f"layer {mark.layer}, {mark.parameter}: "
    if mark.right:
        return [Text.assemble(where, ("✓ right", "bold green"))]
    count = "rows and columns are exchanged" if mark.off is None else f"{mark.off} entries are off"
    parts: list[RenderableType] = [Text.assemble(where, (f"✗ {count}", "bold red"))]
    parts += [Text.assemble("  ", (slip.name, "bold"), f": {slip.advice}") for slip in mark.slips]
    if mark.factor is not None:
        parts.append(Text(f"  All entries are off by the same factor, {mark.factor:.6g}."))
    if mark.entries:
        parts.append(_entries(mark.entries))
    return parts


def _entries(entries: Sequence[Off]) -> Table:
    """Those that are off most: what was handed in beside what is right, as bars to the left and right of 0."""
    values = [value for off in entries for value in (off.yours, off.right) if value is not None]
    most = max(map(abs, values), default=0.0)
    grid = Table("  entry", "yours", "", "right", "", "off by", box=None, header_style="dim", pad_edge=False)
    for off in entries:
        grid.add_row(
            f"  [{', '.join(map(str, off.entry))}]".replace("[", "\\["),
            _number(off.yours),
            signed_bar(off.yours, most, "red"),
            _number(off.right),
            signed_bar(off.right, most, "green"),
            _number(off.difference),
        )
    return grid


def _number(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.4g}"
