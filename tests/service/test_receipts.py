"""A receipt at every moment of a job's life."""

from core.receipt import Receipt
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


def test_of_an_unknown_job_there_is_none(house: House) -> None:
    is_problem(house.http.get("/v1/jobs/job_01kb8r3c8n5t0v6m2f9x4y7pqd/receipt"), 404, "not-found")
