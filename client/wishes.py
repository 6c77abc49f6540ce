"""An explanation in a terminal: what each layer gives in shades, what it wishes in colour, strong weights by name."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.bar import Bar
from rich.color import Color
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from client.explanations import Explanation, LayerExplanation, Nudge
from client.picture import grey, half_blocks, shade

MARGIN = 10  # columns of "gives" and "wishes"
SINGLE = 32  # numbers of a row that are shown one by one
ACROSS = 64  # pixels of a picture, beyond which only every second, third, ... is shown
MAPS = 4
PAIRS = 3
CLASSES = 10
MORE, LESS = (90, 170, 255), (255, 150, 60)
SIGNS = ((-0.5, "▼"), (-0.1, "▽"), (0.1, "·"), (0.5, "△"))

Rows = list[list[float]]
Scaled = tuple[Any, Callable[[float], float]]


def drawing(explanation: Explanation, *, colour: bool, width: int, to_the_end: bool = True) -> Group:
    """The whole explanation, from the input to the outputs, within `width` columns.

    `to_the_end`: its last layer is that of the network.
    """
    painter = _Painter(colour, explanation.rows == 1, width)
    parts: list[RenderableType] = [_head(explanation, colour), Text()]
    parts += painter.shown("input", explanation.input.activations, explanation.input.desire, " of raw inputs")
    for layer in explanation.layers:
        parts += painter.layer(layer, f"{layer.index}")
    parts += [_outputs(explanation, to_the_end), Text()]
    parts.append(Text(explanation.sensitivity.says, style="bold"))
    parts += [Text(note, style="dim") for note in explanation.notes]
    return Group(*parts)


def number(value: float | None) -> str:
    """Three digits and a sign."""
    return "-" if value is None else f"{value:+.3g}"


def _head(explanation: Explanation, colour: bool) -> Text:
    cost = "-" if explanation.cost is None else f"{explanation.cost:.4g}"
    over = f", the average of {explanation.rows} rows" if explanation.rows > 1 else ""
    more, less = (Style(color=Color.from_rgb(*hue)) if colour else Style() for hue in (MORE, LESS))
    return Text.assemble(
        (f"cost {cost}{over}", "bold"), "   wishes: ", ("▲ more", more), "  ", ("▼ less", less), "  to lower the cost"
    )


class _Painter:
    """Draws numbers, with colours or with signs alone."""

    def __init__(self, colour: bool, exact: bool, width: int) -> None:
        self._colour = colour
        self._exact = exact  # of one row a nudge is activation times wish, of several it is the average of these
        self._width = width

    def layer(self, layer: LayerExplanation, place: str) -> Iterator[RenderableType]:
        """One layer and those inside it."""
        name = f"{place} {layer.type}"
        if layer.type in {"flatten", "reshape"}:
            yield Text.assemble((name, "bold"), ("  the same numbers in another shape", "dim"))
        else:
            yield from self.shown(name, layer.activations, layer.desire, "")
        for nudge in (layer.weight_nudge, *layer.other_nudges):
            if nudge is not None and nudge.strongest:
                yield self._pairs(nudge)
        within = _Painter(self._colour, self._exact, self._width - 2)
        for inner in layer.inner:
            for part in within.layer(inner, f"{place}.{inner.index}"):
                yield Padding(part, (0, 0, 0, 2), expand=False)

    def shown(self, name: str, given: Any, wished: Any, of: str) -> Iterator[RenderableType]:
        """What is there beside what is wished."""
        given, wished = _finite(given), _finite(wished)
        shape, largest = _shape(given), max(map(abs, _flat(wished)), default=0.0)
        title = Text.assemble((name, "bold"), f"  {' × '.join(map(str, shape))}")
        if wished is not None:
            title.append(f"   largest wish{of} {largest:.3g}", "dim")
        yield title
        values = _flat(given)
        low, high = min(0.0, *values), max(0.0, *values)

        def level(value: float) -> float:
            return (value - low) / ((high - low) or 1.0)

        def wish(value: float) -> float:
            return value / (largest or 1.0)

        grid = Table.grid(padding=(0, 2))
        if len(values) == 1:  # a shade tells nothing where there is no other
            grid.add_row(Text("  gives ", "dim"), Text(number(values[0])))
            if wished is not None:
                grid.add_row(Text("  wishes", "dim"), self._sign(wish(_flat(wished)[0])))
        elif len(shape) == 1 and shape[0] <= SINGLE:
            fit = max((self._width - MARGIN) // 3, 1)  # numbers, each two columns wide
            for start in range(0, shape[0], fit):
                part = slice(start, start + fit)
                grid.add_row(Text("  gives ", "dim"), self._row(given[part], level, self._shade))
                if wished is not None:
                    grid.add_row(Text("  wishes", "dim"), self._row(wished[part], wish, self._sign))
        else:
            self._pictures(grid, (given, level), (wished, wish))
        yield grid

    def _pictures(self, grid: Table, given: Scaled, wished: Scaled) -> None:
        """One picture beside its wishes, or those of several maps below each other: as many as the width holds."""
        across = min(ACROSS, self._width - MARGIN)
        first = self._shades(_map(given[0], 0, across)).plain
        wide = max(len(first.partition("\n")[0]), len("map 000"))
        fit = max((self._width - MARGIN + 2) // (wide + 2), 1)
        chosen = _strongest_maps(given[0], wished[0], min(fit, MAPS))
        rows: list[list[RenderableType]] = []
        for label, (values, scale), paint in (
            ("  gives ", given, self._shades),
            ("  wishes", wished, self._signs),
        ):
            if values is not None:
                maps = [paint([[scale(v) for v in row] for row in _map(values, i, across)]) for i in chosen]
                rows.append([Text(label, "dim"), *maps])
        if len(chosen) == 1 and len(rows) * (MARGIN + wide + 2) - 2 <= self._width:
            rows = [[cell for row in rows for cell in row]]
        for row in rows:
            grid.add_row(*row)
        if len(chosen) > 1:
            grid.add_row("", *(Text(f"map {i}", "dim") for i in chosen))

    def _pairs(self, nudge: Nudge) -> Table:
        pairs = []
        for pair in nudge.strongest[:PAIRS]:
            dense = pair.activation is not None
            place = (" → " if dense else ", ").join(map(str, pair.index))
            text = Text.assemble(f"{place} " if dense else f"{nudge.parameter}[{place}] ", (number(pair.nudge), "bold"))
            if dense and self._exact:
                text.append(f" = {number(pair.activation)} · {number(pair.desire)}", "dim")
            pairs.append(text)
        grid = Table.grid(padding=(0, 2))
        grid.add_row(Text("  nudges", "dim"), Columns(pairs, padding=(0, 3, 0, 0)))
        return grid

    def _row(self, values: Sequence[float], scale: Callable[[float], float], one: Callable[[float], Text]) -> Text:
        return Text(" ").join(one(scale(value)) for value in values)

    def _shade(self, level: float) -> Text:
        return Text("██", Style(color=grey(level))) if self._colour else Text(shade(level) * 2)

    def _sign(self, wish: float) -> Text:
        sign = next((sign for end, sign in SIGNS if wish < end), "▲")
        return Text(sign + " ", Style(color=_hue(wish, faintest=0.35)) if self._colour else Style())

    def _shades(self, rows: Rows) -> Text:
        if self._colour:
            return half_blocks([[grey(value) for value in row] for row in rows], _scale(rows))
        return Text("\n".join("".join(shade(value) for value in row) for row in rows))

    def _signs(self, rows: Rows) -> Text:
        if self._colour:
            return half_blocks([[_hue(value) for value in row] for row in rows], _scale(rows))
        return Text("\n".join("".join(self._sign(value).plain[0] for value in row) for row in rows))


def _scale(rows: Rows) -> int:
    """How many times as large a small picture is drawn."""
    return 2 if max(len(rows), len(rows[0])) <= 14 else 1


def _hue(wish: float, faintest: float = 0.0) -> Color:
    strength = faintest + (1 - faintest) * min(abs(wish), 1.0)
    return Color.from_rgb(*(round(20 + strength * (full - 20)) for full in (MORE if wish > 0 else LESS)))


def _outputs(explanation: Explanation, to_the_end: bool) -> Table:
    """The outputs one below the other, those that are wished most about."""
    last = _flat(explanation.layers[-1].desire) if to_the_end and explanation.layers else []
    wishes: list[float | None] = [*last] or [None] * len(explanation.outputs)
    labels = explanation.classes or ()
    if len(explanation.outputs) == 1 and len(labels) == 2:
        labels = labels[1:]  # one output for two classes is that of the second
    named = labels if len(labels) == len(explanation.outputs) else range(len(explanation.outputs))
    order = sorted(range(len(explanation.outputs)), key=lambda i: -abs(wishes[i] or 0.0))[:CLASSES]
    grid = Table.grid(padding=(0, 2))
    grid.add_row(Text("output", "bold"), "", "", Text("target", "dim"), Text("wish" if last else "", "dim"))
    for i in sorted(order):
        output, target, wish = explanation.outputs[i] or 0.0, explanation.target[i], wishes[i]
        bar = Bar(1.0, 0.0, min(max(output, 0.0), 1.0), width=20, color="cyan")
        told = "" if wish is None else f"{'▲' if wish > 0 else '▼' if wish < 0 else ' '} {number(wish)}"
        grid.add_row(str(named[i]), bar, f"{output:.3g}", "-" if target is None else f"{target:.3g}", told)
    return grid


def _shape(values: Any) -> tuple[int, ...]:
    shape: list[int] = []
    while isinstance(values, list | tuple):
        shape.append(len(values))
        values = values[0] if values else None
    return tuple(shape)


def _flat(values: Any) -> list[float]:
    if isinstance(values, list | tuple):
        return [number for value in values for number in _flat(value)]
    return [] if values is None else [float(values)]


def _finite(values: Any) -> Any:
    """With 0 for numbers that were not finite; None where there are none."""
    if isinstance(values, list | tuple):
        return [0.0 if value is None else _finite(value) for value in values]
    return values


def _strongest_maps(given: Any, wished: Any, count: int) -> list[int]:
    """Of a picture with channels, so many that wish most, in their order; else the only one."""
    shape = _shape(given)
    if len(shape) < 3:
        return [0]
    strong = given if wished is None else wished
    size = {i: sum(abs(v) for v in _flat(_map(strong, i, ACROSS))) for i in range(shape[2])}
    return sorted(sorted(size, key=lambda i: -size[i])[:count])


def _map(values: Any, channel: int, across: int) -> Rows:
    """Rows of at most so many pixels: a channel of a picture; the steps of a sequence below each other; of numbers in a
    row some below others."""
    shape = _shape(values)
    if len(shape) == 1:
        return _thinned([list(values[start : start + across]) for start in range(0, len(values), across)], across)
    if len(shape) > 3:  # an axis in front of an embedding's, or the like: one below the other
        return _map([row for rows in values for row in rows], channel, across)
    if len(shape) == 3:
        return _thinned([[pixel[channel] for pixel in row] for row in values], across)
    return _thinned([list(row) for row in values], across)


def _thinned(rows: Rows, across: int) -> Rows:
    step = -(-max(len(rows), max(map(len, rows), default=1)) // across)
    filled = [row[::step] for row in rows[::step]]
    width = max(map(len, filled), default=0)
    return [row + [0.0] * (width - len(row)) for row in filled]
