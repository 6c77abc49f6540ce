import json
from pathlib import Path
from typing import Any

import pytest

from client.specs import complete, load, override


def test_short_forms_are_written_out() -> None:
    spec = complete(
        {"epochs": 3, "loss": "quadratic"},
        {"dataset": "ds_1", "validation": 0.2, "network": ["flatten", {"type": "dense", "units": 3}], "epochs": 5},
    )
    assert spec == {
        "dataset": "ds_1",
        "epochs": 5,
        "loss": {"type": "quadratic"},
        "validation": {"fraction": 0.2},
        "network": {"layers": [{"type": "flatten"}, {"type": "dense", "units": 3}]},
    }
    assert complete(None, {"validation": "ds_2"})["validation"] == {"dataset": "ds_2"}
    assert complete(None, {"validation": None}) == {"validation": None}


def test_the_long_form_is_left_alone() -> None:
    spec = json.loads((Path(__file__).parent.parent.parent / "examples" / "iris.json").read_text())
    assert complete(spec, {}) == spec


@pytest.mark.parametrize(
    ("setting", "place", "value"),
    [
        ("epochs=5", ["epochs"], 5),
        ("optimizer.learning_rate=0.5", ["optimizer", "learning_rate"], 0.5),
        ("network.layers.0.units=32", ["network", "layers", 0, "units"], 32),
        ("name=me", ["name"], "me"),
        ("validation=null", ["validation"], None),
        ("early_stopping.patience=3", ["early_stopping", "patience"], 3),
        ('loss={"type": "quadratic"}', ["loss", "type"], "quadratic"),
        ("metadata.note=a=b", ["metadata", "note"], "a=b"),
    ],
)
def test_a_setting_goes_over_the_spec(setting: str, place: list[Any], value: Any) -> None:
    spec: Any = {"network": {"layers": [{"type": "dense", "units": 1}]}, "epochs": 1}
    override(spec, setting)
    for name in place:
        spec = spec[name]
    assert spec == value


@pytest.mark.parametrize(
    "setting", ["epochs", "=5", "a..b=1", "network.layers.7.units=1", "network.layers.x=1", "epochs.more=1"]
)
def test_a_setting_that_cannot_be_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=r"setting|place"):
        override({"network": {"layers": [{}]}, "epochs": 1}, setting)


@pytest.mark.parametrize(("text", "says"), [("{", "line 1, column 2"), ("[]", "one JSON object")])
def test_a_file_without_a_spec_is_refused(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=says):
        load(file)
