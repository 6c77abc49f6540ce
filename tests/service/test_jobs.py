import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.infrastructure.processes import eventually
from tests.service.house import TENANT, House, is_problem


def test_submit_answers_with_the_job_as_it_will_run(house: House, dataset: str) -> None:
    answer = house.http.post("/v1/jobs", json=house.spec(dataset, name="first"))
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert int(answer.headers["retry-after"]) >= 1
    assert (job["object"], job["name"], job["status"], job["attempt"]) == ("job", "first", "queued", 0)
    assert job["spec"]["optimizer"]["type"] == "sgd"
    assert job["spec"]["spec_version"] == 1
    assert job["estimate"]["parameters"] == 22
    told = {"epoch": 0, "epochs": 3, "rows_done": None, "rows": None, "fraction": 0.0}
    assert job["progress"] == told | {"examples_per_s": None, "eta_s": None}
    assert job["kind"] == "train"
    assert job["metrics"] is job["model"] is job["checkpoint"] is job["started_at"] is None
    assert house.http.get(answer.headers["location"]).json() == job


def test_validate_only_stores_nothing(house: House, dataset: str) -> None:
    answer = house.http.post("/v1/jobs?validate_only=true", json=house.spec(dataset, name="dry"))
    assert answer.status_code == 200
    assert answer.json()["estimate"]["memory_bytes"] > 0
    assert house.http.get("/v1/jobs?name=dry").json()["data"] == []


def test_the_same_key_gives_the_same_job(house: House, dataset: str) -> None:
    headers = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
    first = house.http.post("/v1/jobs", json=house.spec(dataset), headers=headers)
    again = house.http.post("/v1/jobs", json=house.spec(dataset), headers=headers)
    unquoted = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    assert first.status_code == again.status_code == 202
    assert (
        first.json() == again.json() == house.http.post("/v1/jobs", json=house.spec(dataset), headers=unquoted).json()
    )
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    other = house.http.post("/v1/jobs", json=house.spec(dataset, seed=7), headers=headers)
    is_problem(other, 422, "key-reused")


def test_a_key_used_sixteen_times_at_once_makes_one_job(house: House, dataset: str) -> None:
    def submit(_: int) -> httpx.Response:
        headers = {"Idempotency-Key": "at-once"}
        return httpx.post(f"{house.url}/v1/jobs", json=house.spec(dataset, name="at-once"), headers=headers, timeout=60)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(submit, range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(house.http.get("/v1/jobs?name=at-once").json()["data"]) == 1


def test_fifty_at_once_with_good_and_bad_among_them(house: House, dataset: str) -> None:
    """Ten of a kind: plain, one key twice, one key for two requests, a dataset that is not there."""

    def submit(number: int) -> httpx.Response:
        turn, kind = divmod(number, 5)
        key = {} if kind in (0, 4) else {"Idempotency-Key": f"crowd-{turn}"}
        spec = house.spec(dataset if kind < 4 else "ds_" + "0" * 26, name="crowd", seed=int(kind == 3))
        return httpx.post(f"{house.url}/v1/jobs", json=spec, headers=key, timeout=60)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(submit, range(50)))
    for turn in range(10):
        plain, first, again, other, lost = answers[turn * 5 : turn * 5 + 5]
        assert plain.status_code == 202
        is_problem(lost, 404, "not-found")
        # Whichever came first has the key: the two that are alike, or the one that is not.
        if other.status_code == 202:
            is_problem(first, 422, "key-reused")
            is_problem(again, 422, "key-reused")
        else:
            is_problem(other, 422, "key-reused")
            assert first.status_code == again.status_code == 202
            assert first.json() == again.json()
            assert ("idempotent-replayed" in first.headers) != ("idempotent-replayed" in again.headers)
    made = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    assert len(made) == 20
    assert {job["id"] for job in house.http.get("/v1/jobs?name=crowd&limit=200").json()["data"]} == made
    for job in made:
        events = house.jobs.events(TENANT, job)
        assert [(event.number, event.type) for event in events] == [(1, "queued")]


@pytest.mark.parametrize("more", [{}, {"validate_only": True}])
@pytest.mark.parametrize(
    ("fields", "pointers", "says"),
    [
        ({"dataset": "ds_" + "0" * 26}, ["/dataset"], "by id; GET /v1/datasets lists"),
        ({"dataset": "digits"}, ["/dataset"], "There is no dataset 'digits'. A spec names datasets by id"),
        ({"from_checkpoint": "ckpt_" + "0" * 26}, ["/from_checkpoint"], "/checkpoints lists those of a job"),
        ({"validation": {"dataset": "ds_" + "0" * 26}}, ["/validation/dataset"], "GET /v1/datasets lists"),
        ({"dataset": "same", "validation": {"dataset": "same"}}, ["/dataset", "/validation/dataset"], "'same'"),
    ],
)
def test_unknown_datasets_and_checkpoints(
    house: House, dataset: str, fields: dict[str, Any], pointers: list[str], says: str, more: dict[str, bool]
) -> None:
    spec = house.spec(dataset) | fields
    problem = is_problem(house.http.post("/v1/jobs", json=spec, params=more), 404, "not-found")
    assert [error["pointer"] for error in problem["errors"]] == pointers
    assert all(says in error["detail"] for error in problem["errors"])


def test_a_fork_takes_the_state_of_the_same_optimizer_alone(house: House, dataset: str) -> None:
    adam = {"type": "adam"}
    origin = house.submit(dataset, optimizer=adam)
    house.train(origin)
    checkpoint = house.http.get(f"/v1/jobs/{origin}").json()["checkpoint"]
    fork = house.spec(dataset, optimizer=adam, from_checkpoint=checkpoint, from_optimizer_state=True)
    accepted = house.http.post("/v1/jobs", json=fork | {"optimizer": adam | {"learning_rate": 0.01}})
    assert accepted.status_code == 202
    assert accepted.json()["spec"]["from_optimizer_state"] is True
    for changes, pointer, says in (
        ({"optimizer": {"type": "nadam"}}, "/optimizer/type", "checkpoint's adam"),
        ({"network": {"layers": [{"type": "dense", "units": 2}]}}, "/from_checkpoint", "other layers"),
        ({"from_checkpoint": None}, "/from_optimizer_state", "name one with from_checkpoint"),
        ({"from_optimizer_state": "yes"}, "/from_optimizer_state", "true or false"),
    ):
        problem = is_problem(house.http.post("/v1/jobs", json=fork | changes), 422, "invalid-spec")
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
        assert says in problem["errors"][0]["detail"]


def test_lists_filter_by_status_and_name(house: House, dataset: str) -> None:
    ids = [house.submit(dataset, name="listed") for _ in range(3)]
    house.http.post(f"/v1/jobs/{ids[0]}/cancel")
    listed = house.http.get("/v1/jobs?name=listed").json()["data"]
    assert [job["id"] for job in listed] == ids[::-1]
    cancelled = house.http.get("/v1/jobs?name=listed&status=cancelled").json()["data"]
    assert [job["id"] for job in cancelled] == ids[:1]
    page = house.http.get("/v1/jobs?name=listed&limit=2").json()
    rest = house.http.get("/v1/jobs", params={"name": "listed", "cursor": page["next_cursor"]}).json()
    assert [job["id"] for job in page["data"] + rest["data"]] == ids[::-1]


def test_a_trained_job_names_what_it_made(house: House, trained: str) -> None:
    job = house.http.get(f"/v1/jobs/{trained}").json()
    assert job["status"] == "succeeded"
    assert job["progress"]["epoch"] == job["progress"]["epochs"] == 3
    assert job["metrics"]["train_loss"] > 0
    assert job["model"].startswith("mdl_")
    checkpoints = house.http.get(f"/v1/jobs/{trained}/checkpoints").json()["data"]
    assert job["checkpoint"] == checkpoints[0]["id"]
    assert checkpoints[0]["epoch"] == 3


def test_checkpoints_are_files(house: House, trained: str) -> None:
    checkpoint = house.http.get(f"/v1/jobs/{trained}").json()["checkpoint"]
    view = house.http.get(f"/v1/checkpoints/{checkpoint}").json()
    content = house.http.get(f"/v1/checkpoints/{checkpoint}/content")
    assert len(content.content) == view["bytes"]
    assert content.headers["etag"] == f'"{view["digest"]}"'
    assert f"{checkpoint}.safetensors" in content.headers["content-disposition"]
    headers = {"If-None-Match": content.headers["etag"]}
    assert house.http.get(f"/v1/checkpoints/{checkpoint}/content", headers=headers).status_code == 304


def test_moves_that_the_status_forbids(house: House, dataset: str, trained: str) -> None:
    problem = is_problem(house.http.post(f"/v1/jobs/{trained}/cancel"), 409, "illegal-move")
    assert problem["current_status"] == "succeeded"
    queued = house.submit(dataset)
    is_problem(house.http.delete(f"/v1/jobs/{queued}"), 409, "illegal-move")
    is_problem(house.http.post(f"/v1/jobs/{queued}/retry"), 409, "illegal-move")
    assert house.http.post(f"/v1/jobs/{queued}/cancel").json()["status"] == "cancelled"
    is_problem(house.http.post(f"/v1/jobs/{queued}/cancel"), 409, "illegal-move")
    assert house.http.delete(f"/v1/jobs/{queued}").status_code == 204
    is_problem(house.http.get(f"/v1/jobs/{queued}"), 404)


def test_cancelling_a_running_job_is_a_request(house: House, dataset: str) -> None:
    job = house.submit(dataset)
    claim = house.claim(job)
    answer = house.http.post(f"/v1/jobs/{job}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    assert answer.json()["cancel_requested"]
    assert house.claims.renew(claim).cancel
    house.claims.end(claim, "cancel")
    assert house.http.get(f"/v1/jobs/{job}").json()["status"] == "cancelled"


def test_pause_and_resume(house: House, dataset: str) -> None:
    job = house.submit(dataset)
    assert house.http.post(f"/v1/jobs/{job}/pause").json()["status"] == "paused"
    assert house.http.post(f"/v1/jobs/{job}/resume").json()["status"] == "queued"
    house.claims.end(house.claim(job), "fail", reason="a test")
    failed = house.http.get(f"/v1/jobs/{job}").json()
    assert (failed["status"], failed["status_reason"]) == ("failed", "a test")
    assert house.http.post(f"/v1/jobs/{job}/retry").json()["status"] == "queued"


def test_a_pause_that_is_pending_is_taken_back(house: House, dataset: str) -> None:
    job = house.submit(dataset)
    claim = house.claim(job)
    assert house.http.post(f"/v1/jobs/{job}/pause").json()["pause_requested"]
    answer = house.http.post(f"/v1/jobs/{job}/resume")
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["pause_requested"]) == ("running", False)
    is_problem(house.http.post(f"/v1/jobs/{job}/resume"), 409, "illegal-move")
    events = house.http.get(f"/v1/jobs/{job}/events", headers={"Accept": "application/json"}).json()["data"]
    assert (events[-1]["type"], events[-1]["message"]) == ("pause_withdrawn", "the pause was taken back; goes on")
    house.claims.end(claim, "cancel")


def test_a_running_job_says_when_its_worker_was_heard_last(house: House, dataset: str) -> None:
    job = house.submit(dataset)
    assert house.http.get(f"/v1/jobs/{job}").json()["last_sign_of_life_at"] is None
    claim = house.claims.claim(job, "a worker", lease_s=30.0)
    assert claim is not None
    running = house.http.get(f"/v1/jobs/{job}").json()
    assert running["lease_s"] == 30.0
    assert datetime.fromisoformat(running["last_sign_of_life_at"]) >= datetime.fromisoformat(running["created_at"])
    house.claims.end(claim, "cancel")
    assert house.http.get(f"/v1/jobs/{job}").json()["last_sign_of_life_at"] is None


def test_wait_answers_at_the_next_change(house: House, dataset: str) -> None:
    job = house.submit(dataset)
    with ThreadPoolExecutor(1) as pool:
        patience_s = 30  # less than the server may take
        answer = pool.submit(httpx.get, f"{house.url}/v1/jobs/{job}?wait=60", timeout=patience_s)
        eventually(lambda: house.followed(1) or answer.done(), 30, "it waits")
        assert not answer.done()
        house.claim(job)
        assert answer.result().json()["status"] == "running"


def test_wait_is_over_when_its_time_is(house: House, dataset: str) -> None:
    job = house.submit(dataset)
    etag = house.http.get(f"/v1/jobs/{job}").headers["etag"]
    start = time.monotonic()
    assert house.http.get(f"/v1/jobs/{job}?wait=0.5", headers={"If-None-Match": etag}).status_code == 304
    assert time.monotonic() - start > 0.4


def test_wait_answers_at_once_where_there_is_nothing_to_wait_for(house: House, dataset: str, trained: str) -> None:
    patience_s = 30  # less than the server may take
    assert house.http.get(f"/v1/jobs/{trained}?wait=60", timeout=patience_s).status_code == 200
    path, headers = f"/v1/jobs/{house.submit(dataset)}?wait=60", {"If-None-Match": '"older"'}
    assert house.http.get(path, headers=headers, timeout=patience_s).status_code == 200


def test_a_job_that_waits_knows_its_place(house: House, dataset: str) -> None:
    later, sooner = house.submit(dataset, priority=9), house.submit(dataset, priority=10)
    first = house.http.get(f"/v1/jobs/{sooner}").json()["queue_position"]
    assert isinstance(first, int)
    listed = {job["id"]: job["queue_position"] for job in house.http.get("/v1/jobs?status=queued").json()["data"]}
    assert (listed[sooner], listed[later]) == (first, first + 1)
    assert house.http.post(f"/v1/jobs/{sooner}/pause").json()["queue_position"] is None
    assert house.http.get(f"/v1/jobs/{later}").json()["queue_position"] == first
    assert house.http.post(f"/v1/jobs/{sooner}/resume").json()["queue_position"] == first
    house.claim(sooner)
    assert house.http.get(f"/v1/jobs/{sooner}").json()["queue_position"] is None
    answer = house.http.post("/v1/jobs", json=house.spec(dataset, priority=10))
    assert answer.json()["queue_position"] == first


def test_who_waits_for_a_job_is_not_woken_by_its_place(house: House, dataset: str) -> None:
    before, job = house.submit(dataset, priority=10), house.submit(dataset, priority=10)
    known = {"If-None-Match": house.http.get(f"/v1/jobs/{job}").headers["etag"]}
    assert house.http.get(f"/v1/jobs/{job}", headers=known).status_code == 304
    house.claim(before)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(httpx.get, f"{house.url}/v1/jobs/{job}?wait=60", headers=known, timeout=30)
        eventually(lambda: house.followed(1) or answer.done(), 30, "it waits")
        assert not answer.done()
        moved = house.http.get(f"/v1/jobs/{job}", headers=known)
        assert (moved.status_code, moved.json()["status"]) == (200, "queued")
        house.claim(job)
        assert answer.result().json()["status"] == "running"


def test_many_jobs_are_cancelled_with_one_request(house: House, dataset: str) -> None:
    ids = [house.submit(dataset, name="batch") for _ in range(3)]
    running = house.submit(dataset, name="batch")
    claim = house.claim(running)
    answer = house.http.post("/v1/jobs/cancel?name=batch&status=queued")
    assert (answer.status_code, answer.json()) == (202, {"object": "bulk_cancel", "cancelled": 3, "requested": 0})
    for _ in range(2):  # asked again, nothing changes
        answer = house.http.post("/v1/jobs/cancel", params={"name": "batch"})
        assert answer.json() == {"object": "bulk_cancel", "cancelled": 0, "requested": 1}
    house.claims.end(claim, "cancel")
    assert house.http.post("/v1/jobs/cancel?name=batch").json()["requested"] == 0
    assert {house.http.get(f"/v1/jobs/{job}").json()["status"] for job in [*ids, running]} == {"cancelled"}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "give a status, a name, or both"),
        ("?status=succeeded", "Jobs that are succeeded are over"),
        ("?status=cancelled&name=batch", "Jobs that are cancelled are over"),
        ("?status=dancing", ""),
        ("?name=%00", ""),
        ("?limit=3", "no query parameter 'limit'"),
    ],
)
def test_a_bulk_cancel_without_a_good_filter_is_refused(house: House, query: str, says: str) -> None:
    problem = is_problem(house.http.post(f"/v1/jobs/cancel{query}"), 422, "invalid-parameter")
    assert says in problem["detail"]


def test_a_parameter_that_comes_twice_is_refused(house: House) -> None:
    twice = house.http.post("/v1/jobs/cancel?status=queued&status=running")
    assert "given twice" in is_problem(twice, 422, "invalid-parameter")["detail"]
    is_problem(house.http.get("/v1/jobs?limit=1&limit=2"), 422, "invalid-parameter")
