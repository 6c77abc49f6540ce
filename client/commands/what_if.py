"""`nudge what-if`: change one weight and see what that does, layer by layer and path by path."""

from typing import Any

import click
from rich.table import Table
from rich.text import Text

from client.bars import bar
from client.commands.example_options import chosen_example, example_options, of_model
from client.terminal import Terminal, connected
from client.what_if import LayerRipple, Paths, WhatIf

BAR, WIDE = 24, 100  # columns of a bar, half as many where there are fewer than these in all
UNITS = 3


@click.command("what-if")
@click.argument("model")
@click.option("--layer", type=click.IntRange(0), required=True, help="The layer in the spec, counted from 0.")
@click.option("--parameter", default="weight", show_default=True, help='"weight", "bias", or another one of the layer.')
@click.option("--index", required=True, metavar="FROM,TO", help="Which weight of a dense layer; TO alone for a bias.")
@click.option("--delta", type=float, default=0.01, show_default=True, help="What is added to it.")
@click.option("--top", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many units and paths.")
@example_options
@connected
def what_if(
    terminal: Terminal,
    /,
    model: str,
    layer: int,
    parameter: str,
    index: str,
    delta: float,
    top: int,
    **example: Any,
) -> None:
    """Change one weight or bias of MODEL a little: what its derivative predicts, and what happens.

    The model itself stays as it is. MODEL is an id, a name, or name@version or name@alias.
    """
    try:
        place = [int(number) for number in index.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{index!r} is no place; write FROM,TO, such as 3,1.", param_hint="--index") from error
    chosen = chosen_example(**example)
    asked = terminal.client().models.get(model)
    found = asked.what_if(layer, parameter, place, delta, top=top, **of_model(chosen, asked))
    if terminal.json:
        terminal.document(found.to_json())
        return
    terminal.facts(
        {
            "cost": _number(found.cost),
            f"{parameter} [{index}] of layer {layer}": f"{_number(found.value)}, changed by {delta:g}",
            "dC/dw": _number(found.gradient),
            "change of cost": f"{_number(found.predicted)} predicted, {_number(found.measured)} measured",
        }
    )
    terminal.out.print()
    terminal.out.print(_ripples(found, terminal.out.width))
    terminal.out.print()
    if found.paths is None:
        terminal.out.print(Text(found.no_paths or ""))
    else:
        terminal.out.print(_count(found.paths, parameter))
        if _carried(found.paths):
            terminal.out.print(_heaviest(found.paths))


def _ripples(found: WhatIf, width: int) -> Table:
    """How far the change carries: a bar for each layer, and those of its units that change most, as many as fit."""
    most = max((layer.actual_norm or 0.0 for layer in found.ripple), default=0.0)
    heads = ["layer", "change", "", "first order"]
    rows = [
        [f"{layer.index} {layer.type}", _number(layer.actual_norm), "", _number(layer.first_order_norm)]
        for layer in found.ripple
    ]
    if any(layer.kinks_crossed for layer in found.ripple):
        heads.append("kinks")
        rows = [[*row, str(layer.kinks_crossed or "")] for row, layer in zip(rows, found.ripple, strict=True)]
    bars = BAR if width >= WIDE else BAR // 2
    taken = bars + sum(max(map(len, column)) + 2 for column in zip(heads, *rows, strict=True))
    grid = Table(*heads, "most in", box=None, header_style="bold", pad_edge=False)
    for row, layer in zip(rows, found.ripple, strict=True):
        grid.add_row(*row[:2], bar(layer.actual_norm, most, bars), *row[3:], _units(layer, width - taken))
    return grid


def _units(layer: LayerRipple, room: int) -> Text:
    told = ""
    for unit in layer.units[:UNITS]:
        more = f"{told}{'  ' if told else ''}{','.join(map(str, unit.unit))}: {_number(unit.actual)}"
        if len(more) > room:
            break
        told = more
    return Text(told, no_wrap=True)


def _carried(paths: Paths) -> bool:
    return any(path.contribution for path in paths.top)


def _count(paths: Paths, parameter: str) -> Text:
    count = f"{paths.count:,} path{'s' if paths.count != 1 else ''}"
    if not _carried(paths):
        return Text(f"{count} from this {parameter} to the cost; nothing goes through any of them.")
    return Text.assemble(
        f"{count} from this {parameter} to the cost, together {_number(paths.total)}; the heaviest:\n",
        ("as the weight grows, ", "dim"),
        ("negative ones lower the cost", "green"),
        (" and ", "dim"),
        ("positive ones raise it", "red"),
    )


def _heaviest(paths: Paths) -> Table:
    """A bar for each path, and its way through [layer]:[unit]."""
    most = max((abs(path.contribution or 0.0) for path in paths.top), default=0.0)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right")
    for path in paths.top:
        colour = "green" if (path.contribution or 0.0) < 0 else "red"
        way = " ─▶ ".join(f"{layer}:{unit}" for layer, unit in path.units)
        contribution = Text(_number(path.contribution), colour)
        grid.add_row(contribution, bar(path.contribution, most, BAR // 2, colour), f"w ─▶ {way} ─▶ C")
    return grid


def _number(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.4g}"
