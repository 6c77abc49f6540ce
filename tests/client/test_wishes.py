"""The drawing of an explanation: what stands where."""

from itertools import product
from typing import Any

from rich.console import Console

from client.explanations import Explanation
from client.wishes import drawing


def layer(index: int, type_: str, activations: Any, desire: Any, **more: Any) -> dict[str, Any]:
    return {"index": index, "type": type_, "activations": activations, "desire": desire} | more


def told(layers: list[dict[str, Any]], **more: Any) -> Explanation:
    return Explanation.model_validate(
        {
            "rows": 1,
            "cost": 0.5,
            "classes": ["no", "yes"],
            "outputs": [0.25, 0.75],
            "target": [1.0, 0.0],
            "input": {"shape": [2, 2], "activations": [[0.0, 1.0], [0.5, 0.0]], "desire": [[0.0, -2.0], [0.9, 2.0]]},
            "layers": layers,
            "sensitivity": {"parameters": 6, "unmoved": 0, "ranking": [], "says": "Much."},
            "notes": ["A note."],
        }
        | more
    )


def lines(explanation: Explanation, *, colour: bool = False, to_the_end: bool = True, width: int = 100) -> list[str]:
    with open("/dev/null", "w") as nowhere:
        console = Console(width=width, record=True, file=nowhere, color_system="truecolor" if colour else None)
        console.print(drawing(explanation, colour=colour, width=width, to_the_end=to_the_end))
        return [line.rstrip() for line in console.export_text().split("\n")]


DENSE = layer(
    1, "dense", [-1.0, 3.0], [0.75, -0.75],
    weight_nudge={
        "parameter": "weights", "shape": [4, 2], "values": None,
        "strongest": [{"index": [1, 0], "nudge": 0.75, "activation": 1.0, "desire": 0.75}],
    },
)  # fmt: skip
FLAT = layer(0, "flatten", [0.0, 1.0, 0.5, 0.0], [0.0, -2.0, 0.9, 2.0])


def test_shades_stand_over_signs_and_pairs_have_names() -> None:
    drawn = lines(told([FLAT, DENSE]))
    assert drawn[0].startswith("cost 0.5 ")
    at = drawn.index("input  2 × 2   largest wish of raw inputs 2")
    assert drawn[at + 1 : at + 3] == ["  gives    █    wishes  ·▼", "          ▒             △▲"]
    assert drawn[at + 3] == "0 flatten  the same numbers in another shape"
    assert drawn[at + 4] == "1 dense  2   largest wish 0.75"
    assert drawn[at + 5] == "  gives      ██"
    assert drawn[at + 6] == "  wishes  ▲  ▼"
    assert drawn[at + 7] == "  nudges  1 → 0 +0.75 = +1 · +0.75"
    assert [line.split()[0] for line in drawn[at + 9 : at + 11]] == ["no", "yes"]
    assert drawn[at + 9].endswith("▲ +0.75")
    assert drawn[-3:] == ["Much.", "A note.", ""]


def test_an_average_is_no_product() -> None:
    drawn = lines(told([FLAT, DENSE], rows=7))
    assert "the average of 7 rows" in drawn[0]
    assert "  nudges  1 → 0 +0.75" in drawn


def test_of_many_maps_those_that_wish_most_are_drawn() -> None:
    desire = [[[0.1, 0.0, 0.5, 0.2, 1.0, 0.0]] * 3] * 2
    drawn = lines(told([layer(0, "conv2d", [[[0.0] * 6] * 3] * 2, desire), DENSE]))
    assert any(line.split() == ["map", "0", "map", "2", "map", "3", "map", "4"] for line in drawn)


def test_only_the_networks_last_layer_wishes_of_the_outputs() -> None:
    drawn = lines(told([DENSE]), to_the_end=False)
    assert any(line.split()[::2] == ["no", "0.25"] for line in drawn if line.startswith("no"))
    assert not any("wish" in line for line in drawn if line.startswith("output"))


def test_whatever_its_shape_a_layer_is_drawn_within_the_width() -> None:
    sequence = layer(0, "lstm", [[0.1] * 3] * 5, [[0.0] * 3] * 5)
    wide = layer(1, "dense", [0.5] * 500, [0.1] * 500)
    long = layer(2, "conv2d", [[[1.0]] * 150] * 100, [[[1.0]] * 150] * 100)
    lookup = layer(3, "embedding", [[[1.0, 2.0]] * 2] * 2, None)
    deep = layer(4, "embedding", [[[[1.0, 2.0]] * 2] * 2] * 2, [[[[1.0, 2.0]] * 2] * 2] * 2)
    narrow = layer(6, "dense", [0.5] * 32, [1.0] * 32)
    maps = layer(7, "conv2d", [[[0.5] * 6] * 26] * 26, [[[0.5] * 6] * 26] * 26)
    block = layer(5, "residual", [1.0], [None], inner=[layer(0, "tanh", [1.0], [1.0])])
    shown = told([sequence, wide, long, lookup, deep, block, narrow, maps], outputs=[0.1], target=[0.0])
    for colour, width in product((False, True), (80, 100, 120)):
        drawn = lines(shown, colour=colour, width=width)
        assert all(len(line) <= width for line in drawn)
        assert "  5.0 tanh  1   largest wish 1" in drawn
        at = drawn.index("6 dense  32   largest wish 1")
        stacked = 1 if width >= 106 else 2
        assert [line.split()[0] for line in drawn[at + 1 : at + 2 * stacked + 2]] == ["gives", "wishes"] * stacked + [
            "7"
        ]


def test_pairs_are_never_torn() -> None:
    pairs = [{"index": [10 + i, 0], "nudge": 0.0752, "activation": 0.989, "desire": 0.0753} for i in range(3)]
    dense = layer(
        0, "dense", [1.0, 2.0], [1.0, 0.5], weight_nudge={"parameter": "weights", "shape": [20, 2], "strongest": pairs}
    )
    for width, in_line in ((80, 2), (120, 3)):
        drawn = [line for line in lines(told([dense]), width=width) if "→" in line]
        assert [line.count("= +0.989 · +0.0753") for line in drawn] == [in_line, 3 - in_line][: 4 - in_line]


def test_one_output_for_two_classes_has_the_name_of_the_second() -> None:
    drawn = lines(told([FLAT, layer(1, "dense", [0.5], [0.25])], outputs=[0.75], target=[1.0]))
    assert any(line.split()[0] == "yes" and "0.75" in line for line in drawn if line)
    assert not any(line.startswith("0 ") and "0.75" in line for line in drawn)


def test_a_layer_of_one_unit_is_told_as_a_number() -> None:
    drawn = lines(told([layer(0, "dense", [-0.25], [1.5])], outputs=[0.44], target=[1.0]))
    [gives] = [line for line in drawn if line.startswith("  gives") and "-0.25" in line]
    place = drawn.index(gives)
    assert drawn[place + 1].split() == ["wishes", "▲"]
