"""Weights are uploaded once, jobs begin with them, and what does not fit is refused at the door."""

import io
import pickle
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from core.checkpoint import Checkpoint
from core.training import fit
from core.training_spec import TrainingSpec
from core.weights import Weights
from tests.service.conftest import OpenHouse
from tests.service.house import TENANT, House, is_problem


def tensors() -> dict[str, Any]:
    random = np.random.default_rng(3)
    shapes = {"layers.0.weights": (2, 4), "layers.0.biases": (4,), "layers.2.weights": (4, 2), "layers.2.biases": (2,)}
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def upload(house: House, content: bytes, **more: Any) -> Any:
    return house.http.post("/v1/weights", files={"file": ("weights", io.BytesIO(content))}, **more)


@pytest.fixture
def weights(house: House) -> str:
    answer = upload(house, save(tensors()))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_upload_look_and_delete(house: House, weights: str) -> None:
    view = house.http.get(f"/v1/weights/{weights}").json()
    assert (view["id"], view["object"]) == (weights, "weights")
    assert view["tensors"][0] == {"name": "layers.0.biases", "dtype": "float32", "shape": [4]}
    assert house.http.get("/v1/weights?limit=1").json()["data"][0]["id"] == weights
    file = io.BytesIO()
    np.savez(file, **tensors())
    answer = upload(house, file.getvalue())
    assert answer.headers["location"] == f"/v1/weights/{answer.json()['id']}"
    assert answer.json()["digest"] == view["digest"]
    assert house.http.delete(f"/v1/weights/{weights}").status_code == 204
    is_problem(house.http.delete(f"/v1/weights/{weights}"), 404, "not-found")
    is_problem(house.http.get(f"/v1/weights/{weights}"), 404, "not-found")


def test_a_job_begins_with_them_also_when_they_are_deleted(house: House, dataset: str, weights: str) -> None:
    job = house.submit(dataset, from_weights=weights, epochs=1)
    assert house.http.delete(f"/v1/weights/{weights}").status_code == 204
    claim = house.claim(job)
    assert claim.start_blob is not None
    receipt = house.http.get(f"/v1/jobs/{job}/receipt").json()
    assert receipt["start"] == {"checkpoint": weights, "content": claim.start_blob}
    start = house.http.get(f"/v1/jobs/{job}/start").content
    assert start == house.blobs.get(claim.start_blob)
    data = house.datasets.open(house.datasets.get(TENANT, dataset))
    (*_, last) = fit(claim.spec, data, start=Weights.open(house.blobs.path(claim.start_blob)))
    spec = TrainingSpec.model_validate(house.spec(dataset, epochs=1, optimizer={"type": "sgd", "learning_rate": 1e-30}))
    (*_, still) = fit(spec, data, start=Weights(tensors()))
    begun = still.checkpoint()
    assert all((begun.tensors[name] == array).all() for name, array in tensors().items())
    assert last.checkpoint().digest != begun.digest
    house.jobs.cancel(TENANT, job)


def test_a_job_that_they_do_not_fit_is_refused(house: House, dataset: str, weights: str) -> None:
    layers = {"layers": [{"type": "dense", "units": 3}, {"type": "dense", "units": 2}]}
    body = house.spec(dataset, network=layers, from_weights=weights)
    problem = is_problem(house.http.post("/v1/jobs", json=body), 422, "invalid-spec")
    [error] = problem["errors"]
    assert error["pointer"] == "/from_weights"
    assert "layers.1.weights (3 x 2)" in error["detail"]
    assert "layers.2.weights (4 x 2)" in error["detail"]
    body = house.spec(dataset, from_weights="wts_" + "0" * 26)
    missing = is_problem(house.http.post("/v1/jobs", json=body), 404, "not-found")
    assert missing["errors"][0]["pointer"] == "/from_weights"
    assert "GET /v1/weights lists them" in missing["detail"]
    both = house.spec(dataset, from_weights=weights, from_checkpoint="ckpt_" + "0" * 26)
    problem = is_problem(house.http.post("/v1/jobs", json=both), 422, "invalid-spec")
    assert problem["errors"][0]["pointer"] == "/from_weights"
    body = house.spec(dataset, from_weights="weights")
    problem = is_problem(house.http.post("/v1/jobs", json=body), 422, "invalid-spec")
    assert "wts_" in problem["errors"][0]["detail"]


def test_what_is_no_file_of_weights_is_refused(house: House) -> None:
    problem = is_problem(upload(house, pickle.dumps([1.0])), 422, "invalid-spec")
    assert problem["errors"][0]["pointer"] == "/file"
    assert "never opened" in problem["detail"]
    is_problem(upload(house, save({"a": np.array([np.nan])})), 422, "invalid-spec")
    for strange in (
        upload(house, save(tensors()), data={"name": "mine"}),
        house.http.post("/v1/weights", files={"x": b"1"}),
    ):
        detail = is_problem(strange, 422, "invalid-spec")["errors"][0]["detail"]
        assert detail == "There is no such part; send the part file alone."
    text = io.BytesIO()
    np.savez(text, a=np.array(["a", "b"]))
    assert "text, not plain numbers: save weights as float32" in upload(house, text.getvalue()).json()["detail"]
    assert "There are no weights" in is_problem(house.http.get("/v1/weights/nope"), 404)["detail"]
    is_problem(house.http.post("/v1/weights", content=save(tensors())), 415, "wrong-content-type")
    is_problem(upload(house, save({"a": np.zeros(10**6)})), 413, "body-too-large")
    file = io.BytesIO()
    np.savez_compressed(file, a=np.zeros(10**6))
    is_problem(upload(house, file.getvalue()), 413, "data-too-large")


def test_bytes_that_were_damaged_in_store_are_told(open_house: OpenHouse) -> None:
    house = open_house()
    answer = upload(house, save(tensors())).json()
    path = house.blobs.path(answer["digest"])
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    body = house.spec(house.add_dataset(), from_weights=answer["id"])
    problem = is_problem(house.http.post("/v1/jobs", json=body), 422, "invalid-spec")
    assert "upload the weights once more" in problem["detail"]


def test_they_are_kept_as_long_as_they_are_named(house: House, weights: str) -> None:
    digest = house.http.get(f"/v1/weights/{weights}").json()["digest"]
    house.blobs.collect(grace_s=-1)
    assert Weights.open(house.blobs.verified(digest)).tensors.keys() == tensors().keys()


def test_an_export_of_another_model_is_a_file_of_weights(house: House, dataset: str, model: str) -> None:
    exported = house.http.get(f"/v1/models/{model}/export?format=npz").content
    answer = upload(house, exported)
    assert answer.status_code == 201
    job = house.submit(dataset, from_weights=answer.json()["id"])
    house.jobs.cancel(TENANT, job)
    kept = Checkpoint.from_bytes(house.models.load(house.models.get(TENANT, model)))
    names = {tensor["name"] for tensor in answer.json()["tensors"]}
    assert names == set(tensors())
    assert names < set(kept.tensors)
