"""POST /v1/models/{id}/what-if."""

from typing import Any

import numpy as np
import pytest

from core.checkpoint import Checkpoint
from core.explanations.subject import Subject
from tests.service.conftest import OpenHouse
from tests.service.house import TENANT, House, is_problem

ASKED = {"layer": 0, "parameter": "weight", "index": [1, 2], "delta": 1e-4}
INLINE: dict[str, Any] = {"input": [0.25, -3.5], "target": "b"}


def ask(house: House, model: str, **body: Any) -> dict[str, Any]:
    answer = house.http.post(f"/v1/models/{model}/what-if", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_answer_is_what_the_model_does(house: House, model: str) -> None:
    found = ask(house, model, **ASKED, **INLINE)
    subject = Subject.from_checkpoint(Checkpoint.from_bytes(house.models.load(house.models.get(TENANT, model))))
    theta = subject.theta.copy()
    examples = subject.examples(np.array([INLINE["input"]]), [INLINE["target"]])
    before = subject.backpropagate(examples)
    theta[1 * 4 + 2] += 1e-4
    assert found["object"] == "what_if"
    assert found["cost"] == pytest.approx(before.cost, rel=1e-12)
    assert found["gradient"] == pytest.approx(before.gradient[6], rel=1e-12)
    assert found["value"] == subject.theta[6]
    assert found["predicted"] == pytest.approx(found["gradient"] * 1e-4)
    assert found["measured"] == pytest.approx(subject.backpropagate(examples, theta).cost - before.cost)
    assert [layer["type"] for layer in found["ripple"]] == ["dense", "tanh", "dense"]
    assert found["ripple"][0]["units"] == [{"unit": [2], "first_order": -3.5e-4, "actual": pytest.approx(-3.5e-4)}]
    assert len(found["ripple"][2]["units"]) == 2
    paths = found["paths"]
    assert paths["count"] == 2
    assert paths["total"] == pytest.approx(found["gradient"], rel=1e-10)
    assert paths["enumerated"] == pytest.approx(found["gradient"], rel=1e-10)
    assert [path["units"][0] for path in paths["top"]] == [[0, 2], [0, 2]]
    assert abs(paths["top"][0]["contribution"]) >= abs(paths["top"][1]["contribution"])
    assert found["no_paths"] is None


def test_an_example_may_be_rows_of_a_dataset(house: House, model: str, dataset: str) -> None:
    one = ask(house, model, **ASKED, dataset=dataset, row=1)
    same = ask(house, model, **ASKED, input=[0.0, 1.0], target="b")
    assert one == same
    several = ask(house, model, **ASKED, dataset=dataset, rows=[0, 1, 2])
    each = [ask(house, model, **ASKED, dataset=dataset, row=row) for row in range(3)]
    assert several["gradient"] == pytest.approx(sum(found["gradient"] for found in each) / 3)
    assert several["paths"] is None
    assert "one example" in several["no_paths"]
    assert len(ask(house, model, **ASKED, **INLINE, top=1)["paths"]["top"]) == 1


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        (ASKED, "", "Give `input` and `target`"),
        (ASKED | {"input": [1, 2]}, "", "Give `input` and `target`"),
        (ASKED | INLINE | {"row": 1}, "", "Give `input` and `target`"),
        (ASKED | {"input": [1, 2, 3], "target": "b"}, "/input", "the model takes [2]"),
        (ASKED | {"input": [1, "x"], "target": "b"}, "/input/1", "not a number"),
        (ASKED | {"input": [[1, 2]], "target": "b"}, "/input", "This is a list of one row; `input` is one row alone"),
        (ASKED | {"input": [[1, 2], [3, 4]], "target": "b"}, "/input", "a list of 2 rows; `input` is one row alone"),
        (ASKED | {"input": [], "target": "b"}, "/input", "There are no numbers; send one row"),
        (ASKED | {"input": [1, 2], "target": "c"}, "/target", 'it knows "a", "b"'),
        (ASKED | INLINE | {"mask": [1, 1]}, "/mask", "leave it out"),
        (ASKED | INLINE | {"layer": 7}, "/layer", "the last is 2"),
        (ASKED | INLINE | {"parameter": "scale"}, "/parameter", "weights, biases"),
        (ASKED | INLINE | {"index": [5, 0]}, "/index", "[2, 4]"),
        (ASKED | INLINE | {"delta": "1"}, "/delta", ""),
        (ASKED | INLINE | {"top": 0}, "/top", ""),
        (ASKED | INLINE | {"depth": 1}, "/depth", ""),
    ],
)
def test_what_makes_no_sense_is_refused(
    house: House, model: str, body: dict[str, Any], pointer: str, says: str
) -> None:
    problem = is_problem(house.http.post(f"/v1/models/{model}/what-if", json=body), 422)
    assert problem["errors"][0]["pointer"] == pointer
    assert says in problem["errors"][0]["detail"]


def test_rows_that_are_not_there_and_too_many_rows_are_refused(house: House, model: str, dataset: str) -> None:
    def ask(**example: Any) -> dict[str, Any]:
        return house.http.post(f"/v1/models/{model}/what-if", json=ASKED | example).json()

    assert ask(dataset=dataset, row=12)["errors"][0]["pointer"] == "/row"
    assert ask(dataset=dataset, rows=[0, 99])["errors"][0] == {
        "pointer": "/rows/1",
        "detail": "The dataset has 12 rows: the last is 11.",
    }
    assert ask(dataset="ds_" + 26 * "0", row=0)["status"] == 404
    many = ask(dataset=dataset, rows=[0] * 1001)
    assert (many["status"], many["limit"]) == (413, "NUDGE_MAX_EXPLAIN_ROWS")
    nothing = house.http.post(f"/v1/models/mdl_{26 * '0'}/what-if", json=ASKED | INLINE)
    is_problem(nothing, 404)


def test_a_parameter_inside_a_block_is_named_as_the_gradient_check_names_it(house: House, dataset: str) -> None:
    block = {"type": "residual", "layers": [{"type": "dense", "units": 2}, {"type": "tanh"}]}
    network = {"layers": [block, {"type": "dense", "units": 2}]}
    model = house.train(house.submit(dataset, network=network))
    checked = house.http.post(f"/v1/models/{model}/gradient-check", json=INLINE).json()["parameters"][0]
    named = {"layer": checked["layer"], "parameter": checked["parameter"]}
    assert named == {"layer": 0, "parameter": "layers.0.layers.0.weights"}
    found = ask(house, model, **named, index=[1, 0], delta=1e-4, **INLINE)
    assert found["measured"] == pytest.approx(found["predicted"], rel=1e-2)
    assert found["paths"] is None
    assert "inside layer 0" in found["no_paths"]
    sent = [named | {"values": [[0.0, 0.0], [found["gradient"], 0.0]]}]
    marked = house.http.post(f"/v1/models/{model}/gradient-check", json=INLINE | {"gradients": sent}).json()["marks"]
    assert (marked[0]["parameter"], marked[0]["off"]) == ("layers.0.layers.0.weights", 3)


def test_a_row_that_is_too_much_work_alone_has_no_way_but_the_limit(open_house: OpenHouse) -> None:
    house = open_house(NUDGE_MAX_EXPLAIN_FLOPS="10")
    dataset = house.add_dataset()
    model = house.train(house.submit(dataset, epochs=1))
    body = {"dataset": dataset, "row": 0, "layer": 0, "parameter": "bias", "index": [0], "delta": 0.1}
    problem = is_problem(house.http.post(f"/v1/models/{model}/what-if", json=body), 413, "too-much-work")
    assert problem["limit_rows"] == 0
    assert problem["detail"].endswith("A single row is too much already. Have the limit raised.")
