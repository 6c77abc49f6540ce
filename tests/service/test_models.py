import base64

import httpx
import numpy as np
import pytest

from core.checkpoint import Checkpoint
from core.predictor import Predictor
from tests.service.house import TENANT, House, is_problem


def test_a_model_knows_where_it_comes_from(house: House, trained: str, dataset: str, model: str) -> None:
    view = house.http.get(f"/v1/models/{model}").json()
    job = house.http.get(f"/v1/jobs/{trained}").json()
    assert (view["object"], view["name"], view["version"]) == ("model", "trained", 1)
    assert (view["job"], view["checkpoint"], view["dataset"]) == (trained, job["checkpoint"], dataset)
    assert view["dataset_digest"] == house.http.get(f"/v1/datasets/{dataset}").json()["digest"]
    assert view["digest"] == house.http.get(f"/v1/checkpoints/{job['checkpoint']}").json()["digest"]


def test_predictions_equal_the_predictor(house: House, model: str) -> None:
    record = house.models.get(TENANT, model)
    predictor = Predictor.from_checkpoint(Checkpoint.from_bytes(house.models.load(record)))
    rows = np.array([[0.0, 0.5], [1.0, 1.0], [0.25, -3.5]])
    outputs = predictor.predict(rows)
    answer = house.http.post(f"/v1/models/{model}/predict", json={"inputs": rows.tolist(), "top": 2})
    assert answer.status_code == 200, answer.text
    assert np.allclose(answer.json()["outputs"], outputs)
    for prediction, probabilities in zip(answer.json()["predictions"], outputs, strict=True):
        assert prediction["class"] == "ab"[int(probabilities.argmax())]
        assert prediction["probability"] == pytest.approx(float(probabilities.max()), rel=1e-6)
        assert len(prediction["top"]) == 2
    encoded = {"data": base64.b64encode(rows.tobytes()).decode(), "dtype": "float64", "shape": [3, 2]}
    again = house.http.post(f"/v1/models/{model}/predict", json={"inputs": encoded, "top": 2})
    assert again.json() == answer.json()


def test_large_batches_are_computed_beside_the_event_loop(house: House, model: str) -> None:
    rows = np.random.default_rng(1).normal(size=(500, 2))
    answer = house.http.post(f"/v1/models/{model}/predict", json={"inputs": rows.tolist()})
    assert len(answer.json()["outputs"]) == 500
    assert all(len(prediction["top"]) == 1 for prediction in answer.json()["predictions"])


def test_models_of_real_targets_have_outputs_only(house: House) -> None:
    body = {"name": "line", "x": [[1], [2], [3], [4]], "y": [1.0, 2.0, 3.0, 4.5]}
    dataset = house.http.post("/v1/datasets", json=body).json()["id"]
    layers = {"layers": [{"type": "dense", "units": 1}]}
    model = house.train(house.submit(dataset, network=layers, loss={"type": "quadratic"}))
    answer = house.http.post(f"/v1/models/{model}/predict", json={"inputs": [[2.5]]}).json()
    assert len(answer["outputs"][0]) == 1
    assert answer["predictions"] is None


def test_versions_aliases_and_deletion(house: House, trained: str) -> None:
    checkpoint = house.http.get(f"/v1/jobs/{trained}").json()["checkpoint"]
    made = [house.http.post("/v1/models", json={"checkpoint": checkpoint, "name": "named"}) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert [answer.json()["version"] for answer in made] == [1, 2]
    first, second = (answer.json()["id"] for answer in made)
    assert made[0].headers["location"] == f"/v1/models/{first}"
    listed = house.http.get("/v1/models?name=named").json()["data"]
    assert [model["id"] for model in listed] == [second, first]

    pointed = house.http.put("/v1/models/named/aliases/production", json={"version": 1})
    assert pointed.json()["aliases"] == ["production"]
    is_problem(house.http.delete(f"/v1/models/{first}"), 409, "in-use")
    moved = house.http.put("/v1/models/named/aliases/production", json={"version": 2})
    assert moved.json()["id"] == second
    is_problem(house.http.put("/v1/models/named/aliases/production", json={"version": 3}), 404, "not-found")
    is_problem(house.http.put("/v1/models/named/aliases/production", json={"version": "2"}), 422, "invalid-spec")

    assert house.http.post(f"/v1/models/{first}/predict", json={"inputs": [[1, 1]]}).status_code == 200
    assert house.http.delete(f"/v1/models/{first}").status_code == 204
    is_problem(house.http.post(f"/v1/models/{first}/predict", json={"inputs": [[1, 1]]}), 404, "not-found")


def test_models_of_no_checkpoint(house: House) -> None:
    for checkpoint in ("ckpt_" + "0" * 26, "job_1", ""):
        answer = house.http.post("/v1/models", json={"checkpoint": checkpoint, "name": "none"})
        is_problem(answer, 404, "not-found")


def test_more_models_than_are_kept_loaded(house: House, dataset: str) -> None:
    models = [house.train(house.submit(dataset, seed=seed, epochs=1)) for seed in range(3)]
    with httpx.Client(base_url=house.url, timeout=60) as http:
        first = [http.post(f"/v1/models/{model}/predict", json={"inputs": [[1, 0]]}).json() for model in models]
        again = [http.post(f"/v1/models/{model}/predict", json={"inputs": [[1, 0]]}).json() for model in models]
    assert first == again
    assert len({str(answer["outputs"]) for answer in first}) == 3


def test_outputs_that_overflow_are_refused_by_row(house: House) -> None:
    body = {"name": "line", "x": [[1], [2], [3], [4]], "y": [1.0, 2.0, 3.0, 4.5]}
    dataset = house.http.post("/v1/datasets", json=body).json()["id"]
    layers = {"layers": [{"type": "dense", "units": 1}]}
    model = house.train(house.submit(dataset, network=layers, loss={"type": "quadratic"}))
    answer = house.http.post(f"/v1/models/{model}/predict", json={"inputs": [[2.5], [1e308]]})
    problem = is_problem(answer, 422, "invalid-inputs")
    assert problem["errors"][0]["pointer"] == "/inputs/1"


def test_an_alias_is_removed_and_its_model_may_go(house: House, trained: str) -> None:
    checkpoint = house.http.get(f"/v1/jobs/{trained}").json()["checkpoint"]
    model = house.http.post("/v1/models", json={"checkpoint": checkpoint, "name": "aliased"}).json()["id"]
    assert house.http.put("/v1/models/aliased/aliases/best", json={"version": 1}).status_code == 200
    problem = is_problem(house.http.delete(f"/v1/models/{model}"), 409, "in-use")
    assert "remove the alias first" in problem["detail"]
    assert house.http.delete("/v1/models/aliased/aliases/best").status_code == 204
    is_problem(house.http.delete("/v1/models/aliased/aliases/best"), 404, "not-found")
    assert house.http.delete(f"/v1/models/{model}").status_code == 204
