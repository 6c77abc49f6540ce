"""POST /v1/models/{id}/gradient-check."""

from typing import Any

import numpy as np
import pytest

from core.checkpoint import Checkpoint
from core.explanations.subject import Subject
from tests.service.house import TENANT, House, is_problem


def ask(house: House, model: str, **body: Any) -> dict[str, Any]:
    answer = house.http.post(f"/v1/models/{model}/gradient-check", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_backward_is_right_and_says_how_it_was_looked_at(house: House, model: str, dataset: str) -> None:
    found = ask(house, model, dataset=dataset, rows=[0, 1, 2, 3])
    assert (found["object"], found["right"], found["marks"]) == ("gradient_check", True, [])
    assert [(one["layer"], one["parameter"], one["size"]) for one in found["parameters"]] == [
        (0, "layers.0.weights", 8),
        (0, "layers.0.biases", 4),
        (2, "layers.2.weights", 8),
        (2, "layers.2.biases", 2),
    ]
    for one in found["parameters"]:
        assert one["worst"]["error"] <= found["tolerance"]
        assert (one["smaller_steps"], one["left_out"]) == (0, 0)
    assert 0 < found["floor"] < 1e-4
    assert ask(house, model, dataset=dataset, rows=[0, 1, 2, 3]) == found
    assert ask(house, model, dataset=dataset, rows=[0, 1, 2, 3], seed=1) != found


def test_gradients_are_marked(house: House, model: str, dataset: str) -> None:
    subject = Subject.from_checkpoint(Checkpoint.from_bytes(house.models.load(house.models.get(TENANT, model))))
    data = house.datasets.open(house.datasets.get(TENANT, dataset))
    gradient = subject.backpropagate(subject.rows(data, np.arange(3))).gradient
    weights = subject.piece(0, "weight").of(gradient)
    sent = [
        {"layer": 0, "parameter": "weight", "values": weights.tolist()},
        {"layer": 0, "parameter": "weights", "values": (-weights).tolist()},
        {"layer": 0, "parameter": "weight", "values": weights.T.tolist()},
    ]
    right, sign, transposed = ask(house, model, dataset=dataset, rows=[0, 1, 2], gradients=sent, top=2)["marks"]
    assert (right["right"], right["off"], right["slips"]) == (True, 0, [])
    assert (sign["off"], len(sign["entries"]), sign["slips"][0]["name"]) == (8, 2, "sign")
    assert sign["entries"][0]["difference"] == pytest.approx(2 * sign["entries"][0]["yours"])
    assert (transposed["off"], transposed["slips"][0]["name"]) == (None, "transpose")


@pytest.mark.parametrize(
    ("gradient", "pointer"),
    [
        ({"layer": 9, "parameter": "weight", "values": [1]}, "/gradients/0/layer"),
        ({"layer": 1, "parameter": "weight", "values": [1]}, "/gradients/0/parameter"),
        ({"layer": 0, "parameter": "bias", "values": [1, 2]}, "/gradients/0/values"),
        ({"layer": 0, "parameter": "bias", "values": [1, 2, 3, "4"]}, "/gradients/0/values"),
        ({"layer": 0, "parameter": "bias", "values": [1, 2, 3, [4]]}, "/gradients/0/values"),
        ({"layer": 0, "parameter": "bias", "values": [1, 2, 3, None]}, "/gradients/0/values"),
        ({"layer": 0, "parameter": "bias"}, "/gradients/0/values"),
    ],
)
def test_gradients_of_nothing_are_refused(house: House, model: str, gradient: dict[str, Any], pointer: str) -> None:
    body = {"input": [0.5, 0.5], "target": "a", "gradients": [gradient]}
    problem = is_problem(house.http.post(f"/v1/models/{model}/gradient-check", json=body), 422)
    assert problem["errors"][0]["pointer"] == pointer
