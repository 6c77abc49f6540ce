"""`nudge gradient-check`: is backward right, and is homework?"""

import json
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from client.commands.example_options import chosen_example, example_options, of_model
from client.gradient_check import Checked, Mark
from client.terminal import FAILED, Terminal, connected


@click.command("gradient-check")
@click.argument("model")
@click.option(
    "--gradients",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='Gradients to be marked, as JSON: [{"layer": 2, "parameter": "weight", "values": [[...]]}, ...].',
)
@click.option("--top", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many entries are shown.")
@example_options
@connected
def gradient_check(terminal: Terminal, /, model: str, gradients: Path | None, top: int, **example: Any) -> int | None:
    """Compare MODEL's backpropagation with differences of its cost, and mark gradients that you worked out.

    Gives 1 where something is wrong.
    """
    chosen, own = chosen_example(**example), _own(gradients)
    asked = terminal.client().models.get(model)
    found = asked.gradient_check(own, top=top, **of_model(chosen, asked))
    right = found.right and all(mark.right for mark in found.marks)
    if terminal.json:
        terminal.document(found.to_json())
        return None if right else FAILED
    terminal.table(
        ("layer", "parameter", "", "largest error", "compared", "kinks met", "left out"),
        (_line(parameter) for parameter in found.parameters),
    )
    for mark in found.marks:
        terminal.out.print()
        for line in _told(mark):
            terminal.out.print(line, soft_wrap=True)
    return None if right else FAILED


def _own(path: Path | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    try:
        own = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{path} is no JSON: {error}", param_hint="--gradients") from error
    return own if isinstance(own, list) else [own]


def _line(found: Checked) -> tuple[object, ...]:
    worst = "nothing compared" if found.worst is None else f"{found.worst.error or 0:.1e}"
    return (
        f"{found.layer} {found.type}",
        found.parameter,
        "right" if found.right else "WRONG",
        worst,
        found.compared,
        found.smaller_steps or "",
        found.left_out or "",
    )


def _told(mark: Mark) -> list[Text]:
    where = f"layer {mark.layer}, {mark.parameter}: "
    if mark.right:
        return [Text.assemble(where, ("right", "bold green"))]
    count = "rows and columns are exchanged" if mark.off is None else f"{mark.off} entries are off"
    lines = [Text.assemble(where, (count, "bold red"))]
    lines += [Text(f"  {slip.name}: {slip.advice}") for slip in mark.slips]
    if mark.factor is not None:
        lines.append(Text(f"  All entries are off by the same factor, {mark.factor:.6g}."))
    lines += [
        Text(f"  {off.entry}: yours {off.yours:.6g}, right {off.right:.6g}, off by {off.difference:.3g}")
        for off in mark.entries
        if off.yours is not None and off.right is not None and off.difference is not None
    ]
    return lines
