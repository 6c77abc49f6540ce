"""POST /v1/models/{id}/gradient-check."""

from typing import Any

import numpy as np
import pytest

from core.checkpoint import Checkpoint
from core.explanations.gradient_check import DIRECTIONS
from core.explanations.subject import Subject
from tests.service.conftest import OpenHouse
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


def test_some_layers_and_entries(house: House, model: str, dataset: str) -> None:
    whole = ask(house, model, dataset=dataset, row=1)["parameters"]
    assert ask(house, model, dataset=dataset, row=1, only=[2])["parameters"] == whole[2:]
    few = ask(house, model, dataset=dataset, row=1, entries=1)["parameters"]
    assert {one["compared"] for one in few} == {DIRECTIONS + 1}
    for body, at in (({"only": [3]}, "/only/0"), ({"only": []}, "/only"), ({"entries": -1}, "/entries")):
        answer = house.http.post(f"/v1/models/{model}/gradient-check", json={"dataset": dataset, "row": 1} | body)
        assert is_problem(answer, 422)["errors"][0]["pointer"] == at


def test_what_is_too_much_for_one_answer_can_be_asked_for_part_by_part(open_house: OpenHouse) -> None:
    house = open_house(NUDGE_MAX_EXPLAIN_FLOPS="7000")
    dataset = house.add_dataset()
    model = house.train(house.submit(dataset, epochs=1))
    path = f"/v1/models/{model}/gradient-check"
    problem = is_problem(house.http.post(path, json={"dataset": dataset, "row": 0}), 413, "too-much-work")
    assert (problem["limit"], problem["limit_rows"]) == ("NUDGE_MAX_EXPLAIN_FLOPS", 0)
    assert 'A single row is too much already. Check "only" some layers' in problem["detail"]
    for part in ({"only": [2]}, {"only": [0], "entries": 0}):
        answer = house.http.post(path, json={"dataset": dataset, "row": 0} | part)
        assert answer.status_code == 200, answer.text
    several = house.http.post(path, json={"dataset": dataset, "rows": list(range(12)), "only": [2]})
    most = is_problem(several, 413)["limit_rows"]
    assert 1 <= most < 12
    fitting = {"dataset": dataset, "rows": list(range(most)), "only": [2]}
    assert house.http.post(path, json=fitting).status_code == 200
