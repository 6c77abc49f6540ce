"""`nudge what-if`: change one weight and see what that does, layer by layer and path by path."""

from typing import Any

import click
from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from client.commands.example_options import chosen_example, example_options, of_model
from client.terminal import Terminal, connected
from client.what_if import LayerRipple, Path, WhatIf

BAR = 24  # columns


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

    The model itself stays as it is.
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
    terminal.out.print(_ripples(found))
    terminal.out.print()
    for line in _paths(found, parameter):
        terminal.out.print(line, soft_wrap=True)


def _ripples(found: WhatIf) -> Table:
    """How far the change carries: a bar for each layer, and the units that change most."""
    most = max((layer.actual_norm or 0.0 for layer in found.ripple), default=0.0)
    grid = Table("layer", "change", "", "predicted", "kinks", "most in", box=None, header_style="bold", pad_edge=False)
    for layer in found.ripple:
        length = (layer.actual_norm or 0.0) / most if most else 0.0
        grid.add_row(
            f"{layer.index} {layer.type}",
            _number(layer.actual_norm),
            Bar(1.0, 0.0, length, width=BAR, color="cyan"),
            _number(layer.first_order_norm),
            str(layer.kinks_crossed or ""),
            _units(layer),
        )
    return grid


def _units(layer: LayerRipple) -> str:
    return "  ".join(f"{','.join(map(str, unit.unit))}: {_number(unit.actual)}" for unit in layer.units[:3])


def _paths(found: WhatIf, parameter: str) -> list[Text]:
    if found.paths is None:
        return [Text(found.no_paths or "")]
    count = f"{found.paths.count:,} path{'s' if found.paths.count != 1 else ''}"
    lines = [Text(f"{count} from this {parameter} to the cost, together {_number(found.paths.total)}; the heaviest:")]
    return [*lines, *(_path(path) for path in found.paths.top)]


def _path(path: Path) -> Text:
    way = " ─▶ ".join(f"{layer}:{unit}" for layer, unit in path.units)
    style = "green" if (path.contribution or 0.0) < 0 else "red"  # lowers or raises the cost as the weight grows
    return Text.assemble((f"{_number(path.contribution):>12}", style), f"  w ─▶ {way} ─▶ C")


def _number(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.4g}"
