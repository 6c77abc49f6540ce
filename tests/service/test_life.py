"""The whole path of a job over HTTP, on both databases."""

from tests.service.conftest import OpenHouse
from tests.service.house import is_problem


def test_from_upload_to_prediction(open_house: OpenHouse, database_url: str) -> None:
    house = open_house(database_url)
    assert house.http.get("/readyz").status_code == 200
    dataset = house.add_dataset()
    headers = {"Idempotency-Key": "once"}
    job = house.http.post("/v1/jobs", json=house.spec(dataset, name="life"), headers=headers).json()["id"]
    assert house.http.post("/v1/jobs", json=house.spec(dataset, name="life"), headers=headers).json()["id"] == job
    is_problem(house.http.post("/v1/jobs", json=house.spec(dataset, seed=2), headers=headers), 422, "key-reused")

    model = house.train(job)
    stream = house.http.get(f"/v1/jobs/{job}/events").text
    assert stream.count("event: epoch") == 3
    assert stream.rstrip().splitlines()[-2] == "event: succeeded"
    assert [row["epoch"] for row in house.http.get(f"/v1/jobs/{job}/metrics").json()["data"]] == [1, 2, 3]
    assert house.http.get("/v1/jobs?status=succeeded&name=life").json()["data"][0]["model"] == model
    answer = house.http.post(f"/v1/models/{model}/predict", json={"inputs": [[0.0, 1.0]]})
    assert answer.json()["predictions"][0]["class"] in ("a", "b")
    assert house.http.put("/v1/models/life/aliases/best", json={"version": 1}).json()["aliases"] == ["best"]

    forked = house.submit(dataset, from_checkpoint=house.http.get(f"/v1/jobs/{job}").json()["checkpoint"])
    assert house.http.post(f"/v1/jobs/{forked}/cancel").json()["status"] == "cancelled"
    other = {"layers": [{"type": "dense", "units": 5}, {"type": "tanh"}, {"type": "dense", "units": 2}]}
    checkpoint = house.http.get(f"/v1/jobs/{job}").json()["checkpoint"]
    refused = house.http.post("/v1/jobs", json=house.spec(dataset, from_checkpoint=checkpoint, network=other))
    is_problem(refused, 422, "invalid-spec")
    assert refused.json()["errors"][0]["pointer"] == "/from_checkpoint"
    last = house.spec(dataset, from_checkpoint=checkpoint, seed=9)
    first = house.http.post("/v1/jobs", json=last, headers={"Idempotency-Key": "fork"}).json()["id"]
    assert house.http.delete(f"/v1/jobs/{job}").status_code == 204
    again = house.http.post("/v1/jobs", json=last, headers={"Idempotency-Key": "fork"})
    assert (again.status_code, again.json()["id"]) == (202, first)
    is_problem(house.http.post("/v1/jobs", json=last), 404)
    for path in ("/v1/jobs?cursor=MTIzOgA", "/v1/jobs?name=%00", "/v1/jobs?limit=-1"):
        is_problem(house.http.get(path), 422)
    is_problem(house.http.get(f"/v1/jobs/job_{'z' * 26}"), 404)
    is_problem(house.http.get(f"/v1/jobs/{first}/events?after=9223372036854775808"), 422)
    assert "Traceback" not in house.server.last_words(100_000)
