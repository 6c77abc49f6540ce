"""GET /v1/models/{id}/rows."""

import numpy as np
import pytest

from core.checkpoint import Checkpoint
from core.explanations.subject import Subject
from tests.service.house import TENANT, House, is_problem


@pytest.fixture(scope="module")
def subject(house: House, model: str) -> Subject:
    return Subject.from_checkpoint(Checkpoint.from_bytes(house.models.load(house.models.get(TENANT, model))))


@pytest.mark.parametrize("order", ["loss", "gradient_norm"])
def test_rows_come_with_their_own_cost_and_gradient(
    house: House, dataset: str, model: str, subject: Subject, order: str
) -> None:
    answer = house.http.get(f"/v1/models/{model}/rows", params={"dataset": dataset, "order": order, "limit": 12})
    assert answer.status_code == 200, answer.text
    rows = answer.json()["data"]
    assert sorted(row["row"] for row in rows) == list(range(12))
    assert [row[order] for row in rows] == sorted((row[order] for row in rows), reverse=True)
    data = house.datasets.open(house.datasets.get(TENANT, dataset))
    for row in rows:
        alone = subject.backpropagate(subject.rows(data, np.array([row["row"]])))
        assert row["loss"] == pytest.approx(alone.cost)
        assert row["gradient_norm"] == pytest.approx(float(np.linalg.norm(alone.gradient)))
        assert row["target"] == "ab"[int(data.y[row["row"]])]
        assert row["prediction"] == "ab"[int(alone.outputs[0].argmax())]
    few = house.http.get(f"/v1/models/{model}/rows", params={"dataset": dataset, "order": order, "limit": 2}).json()
    assert (few["data"], few["has_more"]) == (rows[:2], True)


def test_some_of_the_rows_only(house: House, dataset: str, model: str) -> None:
    asked = {"dataset": dataset, "offset": 4, "count": 3}
    rows = house.http.get(f"/v1/models/{model}/rows", params=asked).json()
    assert sorted(row["row"] for row in rows["data"]) == [4, 5, 6]
    assert rows["has_more"] is False
    assert house.http.get(f"/v1/models/{model}/rows", params=asked | {"offset": 99}).json()["data"] == []


def test_a_page_goes_on_where_the_one_before_ended(house: House, dataset: str, model: str) -> None:
    asked = {"dataset": dataset, "order": "gradient_norm", "offset": 1}
    address = f"/v1/models/{model}/rows"
    whole = house.http.get(address, params=asked).json()["data"]
    pages = [house.http.get(address, params=asked | {"limit": 4}).json()]
    while pages[-1]["has_more"]:
        pages.append(house.http.get(address, params=asked | {"limit": 4, "cursor": pages[-1]["next_cursor"]}).json())
    assert [len(page["data"]) for page in pages] == [4, 4, 3]
    assert [row for page in pages for row in page["data"]] == whole
    assert pages[-1]["next_cursor"] is None
    is_problem(house.http.get(address, params=asked | {"cursor": "-1"}), 422, "invalid-cursor")


def test_what_cannot_be_looked_at_is_refused(house: House, dataset: str, model: str) -> None:
    def ask(model: str = model, **asked: str) -> dict[str, object]:
        answer = house.http.get(f"/v1/models/{model}/rows", params=asked)
        is_problem(answer, answer.status_code)
        return {"status": answer.status_code, **answer.json()}

    assert ask()["status"] == 422
    assert ask(dataset="ds_" + 26 * "0")["status"] == 404
    assert ask(dataset=dataset, model="mdl_" + 26 * "0")["status"] == 404
    assert ask(dataset=dataset, order="size")["status"] == 422
    wide = house.http.post("/v1/datasets", json={"name": "wide", "x": [[1, 2, 3], [4, 5, 6]], "y": ["a", "b"]}).json()
    other = ask(dataset=wide["id"])
    assert (other["status"], other["errors"][0]["pointer"]) == (422, "/query/dataset")  # type: ignore[index]
    assert "[3]; the model takes [2]" in str(other["detail"])


def test_too_much_work_is_refused_and_a_part_of_it_is_not(open_house) -> None:  # type: ignore[no-untyped-def]
    house = open_house(NUDGE_MAX_EXPLAIN_FLOPS="1000")
    dataset = house.add_dataset()
    model = house.train(house.submit(dataset))
    answer = house.http.get(f"/v1/models/{model}/rows", params={"dataset": dataset})
    problem = is_problem(answer, 413)
    most = problem["limit_rows"]
    assert problem["limit"] == "NUDGE_MAX_EXPLAIN_FLOPS"
    assert f"{most} rows at most" in problem["detail"]
    assert "`offset` and `count`" in problem["detail"]
    part = house.http.get(f"/v1/models/{model}/rows", params={"dataset": dataset, "count": most})
    assert part.status_code == 200
    assert len(part.json()["data"]) == most
