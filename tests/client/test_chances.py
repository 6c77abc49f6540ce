"""Percent are for probabilities; other outputs are told as they are."""

import io

import pytest
from rich.console import Console

from client import Client, Dataset, Prediction
from client.chances import are_chances, gives_chances
from client.guesses import guesses
from tests.client.conftest import Run


@pytest.mark.parametrize(
    ("outputs", "yes"),
    [
        ([0.25, 0.75], True),
        ([1 / 3 + 1e-7] * 3, True),
        ([1.0, 0.0], True),
        ([0.9, 0.9], False),
        ([-0.5, 1.5], False),
        ([0.7], True),
        ([1.2], False),
        ([-0.1], False),
        ([None, 1.0], False),
        ([], False),
    ],
)
def test_what_probabilities_are(outputs: list[float | None], yes: bool) -> None:
    assert are_chances(outputs) is yes


@pytest.mark.parametrize(
    ("loss", "last", "yes"),
    [("cross_entropy", "dense", True), ("binary_cross_entropy", "dense", True), ("quadratic", "softmax", True),
     ("quadratic", "sigmoid", False), ("hinge", "dense", False)],
)  # fmt: skip
def test_which_trainings_make_them(loss: str, last: str, yes: bool) -> None:
    assert gives_chances({"loss": {"type": loss}, "network": {"layers": [{"type": "dense"}, {"type": last}]}}) is yes


def test_a_margin_is_no_percentage(run: Run, nudge: Client, iris: Dataset) -> None:
    network = [{"type": "dense", "units": 3}]
    shown = {}
    for loss in ("hinge", "cross_entropy"):
        name = f"of-{loss}"
        nudge.train(dataset=iris, network=network, loss=loss, epochs=2, name=name).wait(60)
        predicted = run("predict", name, "--input", "[[5.9, 3.0, 5.1, 1.8]]")
        evaluated = run("models", "evaluate", name, iris.id, "--top", "3")
        assert (predicted.returncode, evaluated.returncode) == (0, 0), predicted.stderr + evaluated.stderr
        shown[loss] = predicted.stdout, evaluated.stdout.partition("costs")[0].splitlines()[-3:]
    line, rows = shown["hinge"]
    [[output, *_]] = nudge.models.get("of-hinge").predict([[5.9, 3.0, 5.1, 1.8]]).outputs
    assert f"setosa {output:.4g}" in line
    assert "%" not in line
    assert not any("%" in row for row in rows)
    line, rows = shown["cross_entropy"]
    assert line.count("%") == 3
    assert all("%" in row for row in rows)


def test_bars_beside_a_picture_say_it_too() -> None:
    said = Prediction.model_validate({"class": 7, "probability": -0.297, "top": [{"class": 7, "probability": -0.297}]})
    for chances, shown in ((False, "-0.297"), (True, "-29.7 %")):
        screen = io.StringIO()
        Console(file=screen, width=60).print(guesses(said, chances=chances))
        assert shown in screen.getvalue()
