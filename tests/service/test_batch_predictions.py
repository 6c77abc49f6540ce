"""Predictions of a whole dataset over HTTP, from the request to the file."""

import hashlib
import io
from typing import Any

import httpx
import numpy as np
import pytest

from core.batch_prediction import BatchPrediction
from core.checkpoint import Checkpoint
from store.parts import Part
from store.predictions import Predictions
from store.progress import Progress
from tests.service.house import TENANT, House, is_problem

JobView = dict[str, Any]


def ask(
    house: House, model: str, dataset: str, headers: dict[str, str] | None = None, **changes: Any
) -> httpx.Response:
    body = {"dataset": dataset, **changes}
    return house.http.post(f"/v1/models/{model}/batch-predictions", json=body, headers=headers)


def submit(house: House, model: str, dataset: str, **changes: Any) -> JobView:
    answer = ask(house, model, dataset, **changes)
    assert answer.status_code == 202, answer.text
    job: JobView = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    return job


def predict(house: House, job: str) -> bytes:
    """Do a worker's work, a part for each piece; gives the file."""
    claim, predictions = house.claims.claim(job, "a test"), Predictions(house.database)
    assert claim is not None
    data = house.datasets.open(house.datasets.get(TENANT, claim.spec.dataset))
    run = BatchPrediction(claim.spec, Checkpoint.from_bytes(house.blobs.get(claim.start_blob)), data)
    done = 0
    with house.blobs.aside() as pieces, house.blobs.aside() as path:
        for piece in run.pieces(0):
            part = Part(done, piece.done - done, house.blobs.put(piece.content))
            for _ in range(2):  # a report that is repeated changes nothing
                predictions.keep(claim, part, Progress(piece.done / len(run.rows), 10.0, 0.0))
            pieces.write_bytes(pieces.read_bytes() + piece.content)
            done = piece.done
        with path.open("wb") as file:
            list(run.file.write(pieces, file))
        content = path.read_bytes()
        predictions.deliver(claim, house.blobs.put_file(path), len(content))
    return content


def test_a_job_of_predictions_from_the_request_to_the_file(house: House, dataset: str, model: str) -> None:
    job = submit(house, model, dataset, name="told", top=2, format="csv", priority=3, metadata={"for": "a test"})
    assert (job["object"], job["kind"], job["status"], job["name"], job["priority"]) == (
        "job", "predict", "queued", "told", 3,
    )  # fmt: skip
    assert job["queue_position"] >= 1
    assert job["spec"] == {
        "spec_version": 2, "name": "told", "model": model, "dataset": dataset, "format": "csv", "top": 2,
        "outputs": False, "rows": None, "limits": {"runtime_s": None, "attempts": 5}, "metadata": {"for": "a test"},
        "priority": 3,
    }  # fmt: skip
    assert job["estimate"]["parameters"] == 22
    assert (job["progress"]["rows_done"], job["progress"]["rows"], job["progress"]["epochs"]) == (0, 12, 0)
    early = is_problem(house.http.get(f"/v1/jobs/{job['id']}/predictions"), 409, "no-predictions")
    assert early["current_status"] == "queued"
    content = predict(house, job["id"])
    over = house.http.get(f"/v1/jobs/{job['id']}").json()
    assert (over["status"], over["progress"]["rows_done"], over["progress"]["fraction"]) == ("succeeded", 12, 1.0)
    answer = house.http.get(f"/v1/jobs/{job['id']}/predictions")
    assert answer.status_code == 200
    assert answer.content == content
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="told-predictions.csv"'
    assert answer.headers["etag"] == f'"sha256:{hashlib.sha256(content).hexdigest()}"'
    known = {"If-None-Match": answer.headers["etag"]}
    assert house.http.get(f"/v1/jobs/{job['id']}/predictions", headers=known).status_code == 304
    lines = content.decode().splitlines()
    assert lines[0] == "row,class,probability,class_2,probability_2"
    rows = house.http.get(f"/v1/datasets/{dataset}/rows?limit=12").json()["data"]
    asked = house.http.post(
        f"/v1/models/{model}/predict", json={"inputs": [row["x"] for row in rows], "top": 2}
    ).json()["predictions"]
    assert [line.split(",")[1] for line in lines[1:]] == [row["class"] for row in asked]
    events = house.http.get(f"/v1/jobs/{job['id']}/events", headers={"Accept": "application/json"}).json()["data"]
    assert [event["type"] for event in events] == ["queued", "started", "part", "succeeded"]
    assert [event["message"] for event in events][1:] == [
        events[1]["message"],
        "stored the predictions up to row 12 of 12",
        f"predicted 12 rows; the file has {len(content)} bytes",
    ]
    assert events[-1]["data"]["digest"] == answer.headers["etag"].strip('"')


def test_the_spec_of_a_job_makes_the_same_file_again(house: House, dataset: str, model: str) -> None:
    job = submit(house, model, dataset, name="again", top=2, rows=[2, 9])
    same = {field: value for field, value in job["spec"].items() if field not in ("model", "spec_version")}
    content = predict(house, job["id"])
    told = house.http.get(f"/v1/jobs/{job['id']}/receipt").json()["detail"]
    assert "its spec without `model` and `spec_version`, sent again" in told
    again = ask(house, model, **same)
    assert again.status_code == 202, again.text
    assert predict(house, again.json()["id"]) == content


@pytest.mark.parametrize("form", ["npz", "parquet"])
def test_other_files(house: House, dataset: str, model: str, form: str) -> None:
    job = submit(house, model, dataset, format=form, outputs=True, rows=[2, 7])
    content = predict(house, job["id"])
    answer = house.http.get(f"/v1/jobs/{job['id']}/predictions")
    assert answer.content == content
    assert answer.headers["content-disposition"].endswith(f'-predictions.{form}"')
    if form == "npz":
        with np.load(io.BytesIO(content)) as archive:
            assert archive["row"].tolist() == list(range(2, 9))
            assert archive["outputs"].shape == (7, 2)


def test_progress_is_that_of_the_rows_that_are_stored(house: House, dataset: str, model: str) -> None:
    """A sign of life tells of rows whose part is not stored yet, and a part that is damaged is predicted again."""
    job = submit(house, model, dataset)["id"]
    claim, predictions = house.claims.claim(job, "a test"), Predictions(house.database)
    assert claim is not None
    part = Part(0, 4, house.blobs.put(b"four rows"))
    predictions.keep(claim, part, Progress(4 / 12, 10.0, 0.0))
    house.claims.renew(claim, Progress(9 / 12, 10.0, 0.0))
    house.claims.end(claim, "cancel")
    progress = house.http.get(f"/v1/jobs/{job}").json()["progress"]
    assert (progress["rows_done"], progress["rows"], progress["fraction"]) == (4, 12, pytest.approx(1 / 3))
    problem = is_problem(house.http.get(f"/v1/jobs/{job}/surface"), 409, "no-descent")
    assert "makes predictions" in problem["detail"]


def test_the_same_key_gives_the_same_job(house: House, dataset: str, trained: str) -> None:
    checkpoint = house.http.get(f"/v1/jobs/{trained}").json()["checkpoint"]
    model = house.http.post("/v1/models", json={"checkpoint": checkpoint, "name": "keyed"}).json()["id"]
    headers = {"Idempotency-Key": "predictions-once"}
    first, again = (ask(house, model, dataset, headers) for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    is_problem(ask(house, model, dataset, headers, top=2), 422, "key-reused")
    assert house.http.delete(f"/v1/models/{model}").status_code == 204  # the job keeps its bytes
    assert ask(house, model, dataset, headers).json()["id"] == first.json()["id"]
    is_problem(ask(house, model, dataset), 404, "not-found")
    assert predict(house, first.json()["id"])
    in_use = is_problem(house.http.delete(f"/v1/datasets/{dataset}"), 409, "in-use")
    assert "delete" in in_use["detail"]


def test_lists_tell_the_kinds_apart(house: House, dataset: str, model: str) -> None:
    job = submit(house, model, dataset)
    for kind, there in (("predict", True), ("train", False)):
        found = house.http.get(f"/v1/jobs?kind={kind}&limit=200").json()["data"]
        assert {view["kind"] for view in found} == {kind}
        assert (job["id"] in [view["id"] for view in found]) is there
    is_problem(house.http.get("/v1/jobs?kind=dance"), 422, "invalid-parameter")


def test_a_dry_run_stores_nothing(house: House, dataset: str, model: str) -> None:
    path = f"/v1/models/{model}/batch-predictions?validate_only=true"
    answer = house.http.post(path, json={"dataset": dataset, "name": "dry-predictions"})
    assert answer.status_code == 200
    assert answer.json()["estimate"]["memory_bytes"] > 0
    assert house.http.get("/v1/jobs?name=dry-predictions").json()["data"] == []


@pytest.mark.parametrize(
    ("changes", "status", "pointer"),
    [
        ({"format": "xml"}, 422, "/format"),
        ({"top": 0}, 422, "/top"),
        ({"rows": [12, 1]}, 422, "/rows"),
        ({"rows": [0, 13]}, 422, "/rows"),
        ({"rows": [0]}, 422, "/rows/1"),
        ({"rows": [-1, 2]}, 422, "/rows/0"),
        ({"name": "job_1"}, 422, "/name"),
        ({"outputs": 1}, 422, "/outputs"),
        ({"model": "mdl_1"}, 422, "/model"),
        ({"dataset": "ds_" + "0" * 26}, 404, "/dataset"),
    ],
)
def test_what_is_refused_names_its_place(
    house: House, dataset: str, model: str, changes: dict[str, Any], status: int, pointer: str
) -> None:
    path = f"/v1/models/{model}/batch-predictions"
    problem = is_problem(house.http.post(path, json={"dataset": dataset} | changes), status)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_a_dataset_of_another_shape_is_refused(house: House, model: str) -> None:
    body = {"name": "other", "x": [[1.0], [2.0]], "y": ["a", "b"]}
    other = house.http.post("/v1/datasets", json=body).json()["id"]
    problem = is_problem(ask(house, model, other), 422, "invalid-spec")
    assert problem["errors"][0]["pointer"] == "/dataset"


def test_a_training_has_no_predictions_and_predictions_no_receipt(
    house: House, dataset: str, trained: str, model: str
) -> None:
    problem = is_problem(house.http.get(f"/v1/jobs/{trained}/predictions"), 409, "no-predictions")
    assert "is a training" in problem["detail"]
    job = submit(house, model, dataset)["id"]
    assert house.http.post(f"/v1/jobs/{job}/pause").json()["status"] == "paused"
    assert "resume it" in is_problem(house.http.get(f"/v1/jobs/{job}/predictions"), 409)["detail"]
    is_problem(house.http.get(f"/v1/jobs/{job}/receipt"), 409, "no-receipt")
    assert house.http.get(f"/v1/jobs/{job}/metrics").json()["data"] == []
    assert house.http.post(f"/v1/jobs/{job}/cancel").json()["status"] == "cancelled"
    problem = is_problem(house.http.get(f"/v1/jobs/{job}/predictions"), 409)
    assert problem["current_status"] == "cancelled"
    assert house.http.delete(f"/v1/jobs/{job}").status_code == 204
    is_problem(house.http.get(f"/v1/jobs/{job}/predictions"), 404, "not-found")
