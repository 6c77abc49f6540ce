"""A receipt at every moment of a job's life."""

from sqlalchemy import update

from core.receipt import Receipt
from store import tables
from tests.service.house import House, is_problem


def test_a_receipt_grows_with_its_job(house: House, dataset: str) -> None:
    job = house.submit(dataset, epochs=2)
    early = house.http.get(f"/v1/jobs/{job}/receipt")
    assert early.status_code == 200
    told = Receipt.model_validate_json(early.content)
    assert (told.status, told.epochs, told.checkpoints, told.start) == ("queued", 0, [], None)
    assert told.dataset.digest == house.http.get(f"/v1/datasets/{dataset}").json()["digest"]
    model = house.train(job)
    late = house.http.get(f"/v1/jobs/{job}/receipt", headers={"If-None-Match": early.headers["etag"]})
    told = Receipt.model_validate_json(late.content)
    assert (told.status, told.epochs, told.model) == ("succeeded", 2, model)
    assert told.is_whole()
    kept = house.http.get(f"/v1/jobs/{job}/checkpoints").json()["data"]
    shown = house.http.get(f"/v1/jobs/{job}").json()
    assert (shown["bit_exact"], shown["bit_exact_reason"]) == (True, None)
    assert shown["runtime_s"] > 0
    assert [checkpoint["fingerprint"] for checkpoint in kept] == [told.fingerprint] * len(kept)
    assert {mark.digest for mark in told.checkpoints} == {checkpoint["digest"] for checkpoint in kept}
    same = house.http.get(f"/v1/jobs/{job}/receipt", headers={"If-None-Match": late.headers["etag"]})
    assert same.status_code == 304


def test_what_a_job_began_with_outlives_its_checkpoint(house: House, dataset: str) -> None:
    first = house.submit(dataset)
    house.train(first)
    [newest, *_] = house.http.get(f"/v1/jobs/{first}/checkpoints").json()["data"]
    content = house.http.get(f"/v1/checkpoints/{newest['id']}/content").content
    fork = house.submit(dataset, from_checkpoint=newest["id"])
    assert house.http.delete(f"/v1/jobs/{first}").status_code == 204
    is_problem(house.http.get(f"/v1/checkpoints/{newest['id']}/content"), 404)
    start = house.http.get(f"/v1/jobs/{fork}/start")
    assert start.content == content
    told = house.http.get(f"/v1/jobs/{fork}/receipt").json()["start"]
    assert (told["checkpoint"], f'"{told["content"]}"') == (newest["id"], start.headers["etag"])
    assert house.http.get(f"/v1/jobs/{fork}/start", headers={"If-None-Match": start.headers["etag"]}).status_code == 304
    is_problem(house.http.get(f"/v1/jobs/{house.submit(dataset)}/start"), 404, "not-found")


def test_a_damaged_checkpoint_begins_nothing(house: House, dataset: str) -> None:
    job = house.submit(dataset, seed=4711)  # bytes of its own: those of other tests stay whole
    house.train(job)
    [newest, *_] = house.jobs.checkpoints("default", job)
    copy = house.blobs.path(newest.blob)
    with house.database.transaction() as connection:
        connection.execute(update(tables.blob).where(tables.blob.c.digest == newest.blob).values(content=b"damaged"))
    copy.unlink()  # a good copy would be as good
    refused = house.http.post("/v1/jobs", json=house.spec(dataset, from_checkpoint=newest.id))
    problem = is_problem(refused, 422, "invalid-spec")
    assert problem["errors"][0]["pointer"] == "/from_checkpoint"
    assert "damaged" in problem["errors"][0]["detail"]


def test_of_an_unknown_job_there_is_none(house: House) -> None:
    is_problem(house.http.get("/v1/jobs/job_01kb8r3c8n5t0v6m2f9x4y7pqd/receipt"), 404, "not-found")
