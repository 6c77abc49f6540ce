"""Evaluating a model on a dataset over HTTP; the numbers themselves are tests/core/test_assessment.py's."""

import numpy as np
import pytest

from core.assessment import assess
from core.checkpoint import Checkpoint
from core.explanations.subject import Subject
from tests.service.house import TENANT, House, is_problem


def test_what_the_model_does_on_a_dataset(house: House, model: str, dataset: str) -> None:
    answer = house.http.post(f"/v1/models/{model}/evaluate", json={"dataset": dataset, "rows": [2, 8], "top": 3})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    record = house.datasets.get(TENANT, dataset)
    content = house.models.load(house.models.get(TENANT, model))
    subject = Subject.from_checkpoint(Checkpoint.from_bytes(content))
    expected = assess(subject, house.datasets.open(record), range(2, 10), 3)
    assert found["object"] == "evaluation"
    assert (found["model"], found["dataset"], found["dataset_digest"]) == (model, dataset, record.digest)
    assert (found["first_row"], found["rows"]) == (2, 8)
    assert found["metrics"] == expected.metrics
    assert expected.confusion is not None
    assert found["confusion_matrix"] == {
        "classes": ["a", "b"],
        "counts": expected.confusion.counts,
        "rows_left_out": 0,
    }
    assert found["costliest"] == [vars(row) for row in expected.costliest]
    assert np.sum(found["confusion_matrix"]["counts"]) == 8
    whole = house.http.post(f"/v1/models/{model}/evaluate", json={"dataset": dataset}).json()
    assert (whole["first_row"], whole["rows"], len(whole["costliest"])) == (0, 12, 10)


def test_a_model_of_real_targets_and_the_metrics_its_job_asked_for(house: House) -> None:
    body = {"name": "line", "x": [[1], [2], [3], [4]], "y": [1.0, 2.0, 3.0, 4.5]}
    dataset = house.http.post("/v1/datasets", json=body).json()["id"]
    layers = {"layers": [{"type": "dense", "units": 1}]}
    model = house.train(house.submit(dataset, network=layers, loss={"type": "quadratic"}))
    found = house.http.post(f"/v1/models/{model}/evaluate", json={"dataset": dataset, "top": 1}).json()
    assert set(found["metrics"]) == {"loss", "mae", "rmse", "r2"}
    assert found["confusion_matrix"] is None
    [worst] = found["costliest"]
    outputs = house.http.post(f"/v1/models/{model}/predict", json={"inputs": body["x"]}).json()["outputs"]
    assert worst["prediction"] == pytest.approx(outputs[worst["row"]][0], rel=1e-6)
    assert worst["cost"] == pytest.approx((worst["prediction"] - worst["target"]) ** 2)
    assert worst["probability"] is None
    # One row has no variance, so there is nothing that R2 could compare with.
    one = house.http.post(f"/v1/models/{model}/evaluate", json={"dataset": dataset, "rows": [3, 1]}).json()
    assert one["metrics"]["r2"] is None

    three = {"name": "three", "x": [[1], [2], [3]], "y": [1, 2, 3]}
    classes = house.http.post("/v1/datasets", json=three).json()["id"]
    layers = {"layers": [{"type": "dense", "units": 3}]}
    job = house.submit(classes, network=layers, metrics=[{"type": "top_k", "k": 1}, "confusion_matrix"],
                       validation={"fraction": 0.4}, batch_size=1)  # fmt: skip
    found = house.http.post(f"/v1/models/{house.train(job)}/evaluate", json={"dataset": classes}).json()
    assert set(found["metrics"]) == {"loss", "accuracy", "precision", "recall", "f1", "top_2", "top_1"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/dataset"),
        ({"rows": [12, 1]}, "/rows/0"),
        ({"rows": [10, 3]}, "/rows/1"),
        ({"rows": [0, 0]}, "/rows/1"),
        ({"rows": [-1, 2]}, "/rows/0"),
        ({"rows": [1]}, "/rows"),
        ({"rows": "all"}, "/rows"),
        ({"top": 1001}, "/top"),
        ({"top": "3"}, "/top"),
        ({"more": 1}, "/more"),
    ],
)
def test_what_cannot_be_asked(house: House, model: str, dataset: str, body: dict[str, object], pointer: str) -> None:
    sent = {"dataset": dataset, **body} if body else {}
    problem = is_problem(house.http.post(f"/v1/models/{model}/evaluate", json=sent), 422, "invalid-spec")
    assert problem["errors"][0]["pointer"].startswith(pointer)


def test_data_that_the_model_does_not_know(house: House, model: str, dataset: str) -> None:
    bodies = {
        "shape [3]": {"name": "wide", "x": [[1, 2, 3]] * 2, "y": ["a", "b"]},
        '"c"': {"name": "strange", "x": [[1, 2]] * 2, "y": ["a", "c"]},
        "real numbers": {"name": "real", "x": [[1, 2]] * 2, "y": [0.5, 1.5]},
    }
    for said, body in bodies.items():
        other = house.http.post("/v1/datasets", json=body).json()["id"]
        answer = house.http.post(f"/v1/models/{model}/evaluate", json={"dataset": other})
        [error] = is_problem(answer, 422, "invalid-spec")["errors"]
        assert error["pointer"] == "/dataset"
        assert said in error["detail"]
    nothing = "ds_" + "0" * 26
    is_problem(house.http.post(f"/v1/models/{model}/evaluate", json={"dataset": nothing}), 404, "not-found")
    nobody = house.http.post("/v1/models/trained@77/evaluate", json={"dataset": dataset})
    is_problem(nobody, 404, "not-found")


def test_more_than_one_evaluation_takes(house: House) -> None:
    body = {"name": "long", "x": [[row, 1] for row in range(102)], "y": ["a", "b"] * 51}
    dataset = house.http.post("/v1/datasets", json=body).json()["id"]
    for units, limit in ((2, "NUDGE_MAX_EVALUATE_ROWS"), (64, "NUDGE_MAX_EVALUATE_FLOPS")):
        layers = [{"type": "dense", "units": units}, {"type": "dense", "units": 2}]
        model = house.train(house.submit(dataset, network={"layers": layers}, epochs=1))
        answer = house.http.post(f"/v1/models/{model}/evaluate", json={"dataset": dataset})
        problem = is_problem(answer, 413, "evaluation-too-large")
        assert problem["limit"] == limit
        assert limit in problem["detail"]
        # The way out leads out.
        most = problem["limit_rows"]
        assert f'"rows": [0, {most}]' in problem["detail"]
        for rows, status in (([0, most], 200), ([102 - most, most], 200), ([0, most + 1], 413)):
            answer = house.http.post(f"/v1/models/{model}/evaluate", json={"dataset": dataset, "rows": rows})
            assert answer.status_code == status, answer.text
