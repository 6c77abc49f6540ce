"""What the hidden units of the tasks of 1986 came to represent, drawn with text."""

from __future__ import annotations

from itertools import product

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.literature.tasks import Array, Learned, asymmetry, codes, gates, ratio

BARS = " ▁▂▃▄▅▆▇█"
SHADES = " ░▒▓█"


def _grid(*headings: str, title: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", padding=(0, 1))
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _weight(value: float, largest: float) -> Text:
    bar = BARS[max(1, round(abs(value) / largest * 8))]
    return Text(f"{value:+.2f} {bar}", style="green" if value > 0 else "red")


def symmetry(learned: Learned) -> RenderableType:
    """The picture of the paper: the weights into and out of both hidden units, and their ratio on one side."""
    table = _grid("", *"abc", "", *"def", "bias", "to the output", title="The weights of the two hidden units")
    largest = float(np.abs(learned.hidden_weights).max())
    for number, weights in enumerate(learned.hidden_weights.T):
        cells = [_weight(float(w), largest) for w in weights]
        bias, out = learned.hidden_biases[number], learned.output_weights[number, 0]
        table.add_row(f"unit {number + 1}", *cells[:3], Text("┊"), *cells[3:], f"{bias:+.2f}", f"{out:+.2f}")
    lines = [
        f"unit {number + 1}: magnitudes in the ratio {' : '.join(f'{part:.2f}' for part in ratio(weights))}, "
        f"mirrored weights opposite to {100 * asymmetry(weights):.1f} % of the largest"
        for number, weights in enumerate(learned.hidden_weights.T)
    ]
    lines.append(
        f"The output's bias is {learned.output_biases[0]:+.2f}: it is on unless a unit finds that the halves differ."
    )
    return Group(table, Text("\n".join(lines)))


def xor(learned: Learned) -> RenderableType:
    """Both hidden units as truth tables, and the output made of them."""
    table = _grid("a", "b", *(f"unit {i + 1}: {gate}" for i, gate in enumerate(gates(learned))), "a XOR b", title="")
    table.title = "What each unit says"
    rows = learned.x.tolist()
    for pair in product((0.0, 1.0), repeat=2):
        row = rows.index(list(pair))
        values = (*learned.hidden[row], *learned.outputs[row])
        table.add_row(*(f"{value:.0f}" for value in pair), *(f"{value:.2f}" for value in values))
    signs = " ".join(f"{w:+.2f} · unit {i + 1}" for i, w in enumerate(learned.output_weights[:, 0]))
    return Group(table, Text(f"The output is on where {signs} {learned.output_biases[0]:+.2f} is above 0."))


def encoder(learned: Learned) -> RenderableType:
    """The code of each input over the hidden units."""
    table = _grid("input", "hidden units", "as bits", "the output that is on", title="The code of each input")
    for row, code in enumerate(codes(learned)):
        table.add_row(
            "".join("█" if value else "·" for value in learned.x[row]),
            " ".join(f"{_shade(value)} {value:.2f}" for value in learned.hidden[row]),
            code,
            _lights(learned.outputs[row]),
        )
    used = len(set(codes(learned)))
    return Group(table, Text(f"{used} of the 8 corners of the cube are used."))


def _lights(outputs: Array) -> str:
    return "".join("█" if value > 0.5 else "·" for value in outputs)


def _shade(value: float) -> str:
    return SHADES[min(int(value * len(SHADES)), len(SHADES) - 1)]


PICTURES = {"symmetry": symmetry, "xor": xor, "encoder": encoder}
