"""Curves and pictures: what stands where."""

import io

import pytest
from rich.console import Console

from client.bars import error_bar, signed_bar
from client.curve import Axis, Series, chart
from client.display import TrainingDisplay, line_of, number
from client.events import Event
from client.guesses import guesses, is_picture
from client.learning_curves import learning_curves
from client.picture import picture
from client.schemas import Epoch, Prediction

AXIS = Axis(0.0, 1.0, ("0", "1"))


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right() -> None:
    lines = chart([Series([0.0, 0.5, 1.0], "red")], AXIS, 3, width=13, height=5).plain.split("\n")
    assert len(lines) == 7
    rows = [line[3:] for line in lines[:5]]
    assert rows[4][0] != " "
    assert rows[4][-1] == " "
    assert rows[0][-1] != " "
    assert rows[0][0] == " "
    assert all(row.strip() for row in rows), "the line is joined"


def test_a_curve_grows_into_the_empty_part() -> None:
    lines = chart([Series([0.5, 0.5], "red")], AXIS, 100, width=53, height=3).plain.split("\n")
    assert all(not line[5:].strip() for line in lines[:3])


def test_gaps_and_values_beyond_the_ends_are_drawn_honestly() -> None:
    lines = chart([Series([-5.0, None, 7.0], "red")], AXIS, 3, width=13, height=3).plain.split("\n")
    assert lines[2][3] != " "
    assert lines[0][-1] != " "
    assert not lines[1][3:].strip(), "nothing joins the two sides of a gap"


@pytest.mark.parametrize("terminal", [True, False])
def test_what_happens_to_a_job_is_told_in_sentences(terminal: bool) -> None:
    told = [
        Event(2, "started", {"message": "taken by w1"}),
        Event(3, "epoch", {"epoch": 1, "train_loss": 0.5, "message": "epoch 1 of 2: training loss 0.5"}),
        Event(4, "checkpoint", {"message": "stored the checkpoint of epoch 1"}),
        Event(5, "rescued", {"message": "worker w1 lost at epoch 2; queued again"}),
    ]
    screen = io.StringIO()
    with TrainingDisplay(Console(file=screen, width=80, force_terminal=terminal), "rings", 2) as display:
        for event in told:
            display.show(event)
        assert display.status == "queued"
    shown = screen.getvalue()
    assert "taken by w1" in shown
    assert "worker w1 lost at epoch 2; queued again" in shown
    assert "stored" not in shown
    assert ("epoch 1/2  loss 0.5000" in shown) is not terminal


def test_every_line_keeps_to_its_width() -> None:
    history = [Epoch(epoch=n, train_loss=1 / n, train_accuracy=1 - 1 / n, validation_loss=None) for n in range(1, 30)]
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(*learning_curves(history, 29, 80))
    console.file.close()
    assert all(len(line) <= 80 for line in console.export_text().split("\n"))


def test_no_curve_before_there_is_one() -> None:
    assert learning_curves([Epoch(epoch=1, train_loss=1.0)], 10, 80) == []
    assert learning_curves([Epoch(epoch=n, train_loss=None) for n in (1, 2)], 10, 80) != []


def test_epochs_are_marked_on_the_axis() -> None:
    below = chart([Series([0.5], "red")], AXIS, 11, width=14, height=3, marks={1, 6, 11}).plain.split("\n")[3]
    assert below == "  └▲────▲────▲"


def test_bars_of_errors_end_before_the_stroke_where_they_are_allowed() -> None:
    for error, shown in ((0.0, ""), (1e-9, "███████"), (1e-5, "███████████")):
        assert error_bar(error, 1e-5, 16).plain == f"{shown:11}│     "
    assert error_bar(1.1e-5, 1e-5, 16).plain == "███████████│█    ", "what is wrong is beyond it"
    assert error_bar(1.0, 1e-5, 16).plain == "███████████│█████"
    assert error_bar(None, 1e-5, 16).plain == "███████████│█████", "not a number"


def test_bars_of_signed_numbers_stand_on_both_sides_of_0() -> None:
    drawn = [signed_bar(value, 4.0, "red", 4).plain for value in (-4.0, -1.0, 0.0, 2.0, None)]
    assert drawn == ["████│    ", "   █│    ", "    │    ", "    │██  ", "    │    "]


def test_half_blocks_hold_two_pixels_each() -> None:
    drawn = picture([[0, 255], [255, 0], [0, 0]], colour=True)
    assert drawn.plain == "▀▀\n▀▀"
    assert picture([[0, 255]], colour=True, scale=2).plain == "▀▀▀▀"


def test_without_colour_ink_is_shaded() -> None:
    assert picture([[0, 255], [128, 64]], colour=False).plain == "  ██\n▒▒░░"


@pytest.mark.parametrize(
    ("value", "yes"), [([[0] * 8] * 8, True), ([0.1, 0.2], False), ("text", False), ([["a"] * 8] * 8, False)]
)
def test_what_is_a_picture(value: object, yes: bool) -> None:
    assert is_picture(value) is yes


def test_guesses_stand_in_order_with_their_bars() -> None:
    said = Prediction.model_validate(
        {"class": 7, "probability": 0.9, "top": [{"class": 7, "probability": 0.9}, {"class": 1, "probability": 0.05}]}
    )
    console = Console(width=60, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(guesses(said, truth=7, width=20))
    console.file.close()
    first, second = console.export_text().strip("\n").split("\n")
    assert first.startswith("7")
    assert "90.0 %" in first
    assert second.startswith("1")
    assert first.count("█") == 18


def test_one_epoch_in_one_line() -> None:
    epoch = Epoch(epoch=3, train_loss=0.25, train_accuracy=0.5, examples_per_s=12345.6)
    assert line_of(epoch, 20) == "epoch 3/20  loss 0.2500  accuracy 50.0 %  12,346 examples/s"
    assert (number(None), number(1e-9), number(0.0)) == ("-", "1.00e-09", "0.0000")
