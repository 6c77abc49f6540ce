"""What JSON cannot hold is refused before anything is sent, with its place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client import Client, InputError, NudgeError
from client.models import Model
from client.schemas import ModelRecord
from tests.client.conftest import Run

NAN = float("nan")
HOLDS_ITSELF: list[Any] = []
HOLDS_ITSELF.append(HOLDS_ITSELF)


@pytest.fixture
def model() -> Model:
    """A model of a server that is not there: whoever asks it gets UnreachableError."""
    record = {"id": "mdl_1", "name": "m", "digest": None, "created_at": "2026-01-01T00:00:00Z"}
    return Model(Client("http://127.0.0.1:9")._transport, ModelRecord.model_validate(record))


@pytest.mark.parametrize(
    ("ask", "place", "says"),
    [
        (lambda model: model.predict(np.ones((2, 4)) * np.array([1, 1, NAN, 1])), "/inputs/0/2", "NaN"),
        (lambda model: model.predict([[1.0, -float("inf")]]), "/inputs/0/1", "-Infinity"),
        (lambda model: model.predict(np.ones((1, 4)) * 1j), "/inputs/0/0", "complex"),
        (lambda model: model.predict(1j), "/inputs", "complex"),
        (lambda model: model.predict([[1.0]], mask=[[NAN]]), "/mask/0/0", "NaN"),
        (lambda model: model.predict([[object()]]), "/inputs/0/0", "type object"),
        (lambda model: model.predict(HOLDS_ITSELF), "", "nested too deeply"),
        (lambda model: model.explain(input=np.array([NAN]), target="a"), "/input/0", "NaN"),
        (lambda model: model.explain(input=[1.0], target=[0, NAN]), "/target/1", "NaN"),
        (lambda model: model.what_if(0, "bias", [1], NAN, input=[1.0], target=1), "/delta", "NaN"),
        (
            lambda model: model.gradient_check(
                [{"layer": 0, "parameter": "bias", "values": np.array([1, NAN])}], input=[1.0], target=1
            ),
            "/gradients/0/values/1",
            "NaN",
        ),
        (lambda model: model.write_notes("\ud800"), "/notes", "surrogate"),
    ],
)
def test_the_client_names_the_place(ask: Callable[[Model], Any], place: str, says: str, model: Model) -> None:
    with pytest.raises(InputError) as refused:
        ask(model)
    assert refused.value.errors[0].place == place
    assert says in refused.value.errors[0].detail
    assert str(refused.value) == (f"{place}: " if place else "") + refused.value.detail


def test_other_bodies_too() -> None:
    with Client("http://127.0.0.1:9") as nudge:
        with pytest.raises(NudgeError, match="/optimizer/learning_rate: NaN"):
            nudge.train(dataset="ds_1", optimizer={"type": "sgd", "learning_rate": NAN})
        with pytest.raises(NudgeError, match="/metadata/a~1b~0c: Infinity"):
            nudge.train(dataset="ds_1", metadata={"a/b~c": float("inf")})
        with pytest.raises(NudgeError, match="/x/1/0: NaN"):
            nudge.datasets.upload(x=[[1.0], [NAN]], y=["a", "b"])


def test_the_command_line_says_it_in_a_sentence(run: Run, iris_model: str, tmp_path: Path) -> None:
    homework = tmp_path / "homework.json"
    homework.write_text('[{"layer": 0, "parameter": "bias", "values": [NaN]}]')
    example = ["--input", "[5.1, 3.5, 1.4, 0.2]", "--target", "setosa"]
    for words, says in (
        (["what-if", iris_model, "--layer", "0", "--index", "1,2", "--delta", "nan", *example], "/delta: NaN"),
        (["what-if", iris_model, "--layer", "0", "--index", "1,2", "--delta", "inf", *example], "/delta: Infinity"),
        (["explain", iris_model, "--input", "[NaN, 1, 2, 3]", "--target", "setosa"], "/input/0: NaN"),
        (["explain", iris_model, "--input", "[1, 1, 2, 3]", "--target", "[NaN, 1]"], "/target/0: NaN"),
        (["gradient-check", iris_model, "--gradients", homework, *example], "/gradients/0/values/0: NaN"),
        (["predict", iris_model, "--input", "[[NaN, 1, 2, 3]]"], "/inputs/0/0: NaN"),
    ):
        done = run(*words)
        assert done.returncode == 2, (words, done.stdout, done.stderr)
        assert says in done.stderr
        assert "Traceback" not in done.stderr
    told = run("explain", iris_model, "--input", "[NaN]", "--target", "1", "--json")
    assert json.loads(told.stdout)["error"]["errors"][0]["pointer"] == "/input/0"
    homework.write_text("[1]")
    assert run("gradient-check", iris_model, "--gradients", homework, *example).returncode == 4
