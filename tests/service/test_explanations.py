"""Explanations over HTTP: what the core says, of examples named in every way, within limits."""

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest

from core.checkpoint import Checkpoint
from core.explanations.explanation import Detail, explain
from core.explanations.subject import Subject
from service.explanations import ExplanationView
from tests.service.conftest import OpenHouse
from tests.service.house import TENANT, House, is_problem

KEYS = {
    "index", "type", "activations", "desire", "bias_nudge", "weight_nudge", "other_nudges", "previous_desire", "inner",
}  # fmt: skip
SEQUENCES = {
    "layers": [
        {"type": "embedding", "size": 5, "dimension": 3},
        {"type": "residual", "layers": [{"type": "conv1d", "filters": 3, "kernel": 3, "padding": "same"}]},
        {"type": "batch_norm"},
        {"type": "lstm", "units": 4},
        {"type": "dense", "units": 2},
    ]
}


def subject_of(house: House, model: str) -> Subject:
    return Subject.from_checkpoint(Checkpoint.from_bytes(house.models.load(house.models.get(TENANT, model))))


def by_core(house: House, model: str, dataset: str, rows: list[int], detail: Detail) -> Any:
    subject = subject_of(house, model)
    data = house.datasets.open(house.datasets.get(TENANT, dataset))
    found = explain(subject, subject.rows(data, np.array(rows)), detail)
    return orjson.loads(orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY))


@pytest.fixture(scope="module")
def words(house: House) -> tuple[str, str]:
    """A dataset of sequences, and a model with layers of many kinds."""
    x = np.random.default_rng(0).integers(0, 5, (12, 6)).tolist()
    answer = house.http.post("/v1/datasets", json={"name": "words", "x": x, "y": ["a", "b"] * 6})
    dataset = str(answer.json()["id"])
    return dataset, house.train(house.submit(dataset, network=SEQUENCES, epochs=1))


def test_an_example_is_explained_however_it_is_named(house: House, dataset: str, model: str) -> None:
    stored = house.http.post(f"/v1/models/{model}/explain", json={"dataset": dataset, "row": 1})
    assert stored.status_code == 200, stored.text
    assert stored.json() == by_core(house, model, dataset, [1], Detail())
    rows = house.http.post(f"/v1/models/{model}/explain", json={"dataset": dataset, "rows": [1]})
    inline = house.http.post(f"/v1/models/{model}/explain", json={"input": [0.0, 1.0], "target": "b"})
    encoded = {"data": base64.b64encode(np.array([0.0, 1.0]).tobytes()).decode(), "dtype": "float64", "shape": [2]}
    bytewise = house.http.post(f"/v1/models/{model}/explain", json={"input": encoded, "target": "b"})
    assert stored.json() == rows.json() == inline.json() == bytewise.json()


def test_every_key_is_always_there_in_forward_order(house: House, dataset: str, model: str, words: Any) -> None:
    def walk(layers: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for layer in layers:
            yield layer
            yield from walk(layer["inner"])

    for data, asked, types in (
        (dataset, model, ["dense", "tanh", "dense"]),
        (*words, ["embedding", "residual", "batch_norm", "lstm", "dense"]),
    ):
        told = house.http.post(f"/v1/models/{asked}/explain", json={"dataset": data, "row": 0}).json()
        assert told["object"] == "explanation"
        assert [layer["type"] for layer in told["layers"]] == types
        assert [layer["index"] for layer in told["layers"]] == list(range(len(types)))
        assert all(set(layer) == KEYS for layer in walk(told["layers"]))
        # What is documented is what is sent: no field more, none less.
        assert ExplanationView.model_validate(told).model_dump(mode="json") == told
    batch_norm = told["layers"][2]
    assert batch_norm["weight_nudge"]["parameter"] == "scale"
    assert np.shape(batch_norm["activations"]) == np.shape(batch_norm["desire"]) == (6, 3)
    assert any("mean and variance are fixed" in note for note in told["notes"])
    assert told["layers"][0]["previous_desire"] is told["input"]["desire"] is None
    assert [nudge["parameter"] for nudge in told["layers"][3]["other_nudges"]] == ["recurrent_weights"]


def test_rows_are_averaged(house: House, words: tuple[str, str]) -> None:
    dataset, model = words
    body = {"dataset": dataset, "rows": [4, 0, 4], "whole": True}
    told = house.http.post(f"/v1/models/{model}/explain", json=body).json()
    assert told == by_core(house, model, dataset, [4, 0, 4], Detail(whole=True))
    assert told["rows"] == 3
    assert told["notes"][0].startswith("Everything is the average over the 3 rows.")


def test_what_is_told_can_be_chosen(house: House, dataset: str, model: str) -> None:
    body = {"dataset": dataset, "row": 1, "top": 2, "only": [2], "whole": False}
    told = house.http.post(f"/v1/models/{model}/explain", json=body).json()
    assert [layer["index"] for layer in told["layers"]] == [2]
    assert len(told["sensitivity"]["ranking"]) == len(told["layers"][0]["weight_nudge"]["strongest"]) == 2
    assert told["layers"][0]["weight_nudge"]["values"] is None
    everything = house.http.post(f"/v1/models/{model}/explain", json={"dataset": dataset, "row": 1, "top": 10**6})
    assert len(everything.json()["sensitivity"]["ranking"]) == 22


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        ({"only": [0, 3]}, "/only/1", "the last is 2"),
        ({"only": []}, "/only", ""),
        ({"top": 0}, "/top", ""),
        ({"top": "3"}, "/top", ""),
        ({"whole": 1}, "/whole", ""),
        ({"row": 12}, "/row", "the last is 11"),
        ({"colour": "red"}, "/colour", ""),
    ],
)
def test_what_cannot_be_told_is_refused(
    house: House, dataset: str, model: str, body: dict[str, Any], pointer: str, says: str
) -> None:
    answer = house.http.post(f"/v1/models/{model}/explain", json={"dataset": dataset, "row": 1} | body)
    problem = is_problem(answer, 422, "invalid-spec")
    assert problem["errors"][0]["pointer"] == pointer
    assert says in problem["errors"][0]["detail"]


def test_what_is_not_finite_is_refused(house: House) -> None:
    body = {"name": "line", "x": [[1], [2], [3], [4]], "y": [1.0, 2.0, 3.0, 4.5]}
    dataset = house.http.post("/v1/datasets", json=body).json()["id"]
    layers = {"layers": [{"type": "dense", "units": 1}]}
    model = house.train(house.submit(dataset, network=layers, loss={"type": "quadratic"}))
    answer = house.http.post(f"/v1/models/{model}/explain", json={"input": [1e300], "target": 1.0})
    assert is_problem(answer, 422, "invalid-inputs")["errors"][0]["pointer"] == "/input"
    answer = house.http.post(f"/v1/models/{model}/explain", json={"input": [1], "target": 1e308})
    assert is_problem(answer, 422, "invalid-inputs")["errors"][0]["pointer"] == "/target"


def test_limits_are_named(open_house: OpenHouse) -> None:
    house = open_house(NUDGE_MAX_EXPLAIN_ROWS="3", NUDGE_MAX_EXPLAIN_NUMBERS="150")
    dataset = house.add_dataset()
    model = house.train(house.submit(dataset, epochs=1))
    few = house.http.post(f"/v1/models/{model}/explain", json={"dataset": dataset, "rows": [0, 1, 2], "top": 1})
    assert few.status_code == 200, few.text
    answer = house.http.post(f"/v1/models/{model}/explain", json={"dataset": dataset, "rows": [0, 1, 2, 3]})
    assert is_problem(answer, 413)["limit"] in ("NUDGE_MAX_EXPLAIN_ROWS", "NUDGE_MAX_EXPLAIN_NUMBERS")
    answer = house.http.post(f"/v1/models/{model}/explain", json={"dataset": dataset, "rows": [0] * 4, "top": 1})
    assert is_problem(answer, 413, "too-many-rows")["limit_rows"] == 3
    answer = house.http.post(f"/v1/models/{model}/explain", json={"dataset": dataset, "row": 0, "top": 10})
    problem = is_problem(answer, 413, "answer-too-large")
    assert (problem["limit"], problem["limit_numbers"]) == ("NUDGE_MAX_EXPLAIN_NUMBERS", 150)
    assert '"top"' in problem["detail"]


def test_no_such_model(house: House, dataset: str) -> None:
    answer = house.http.post(f"/v1/models/mdl_{'0' * 26}/explain", json={"dataset": dataset, "row": 1})
    is_problem(answer, 404, "not-found")
