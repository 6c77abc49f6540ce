import csv
import io
import json
import threading
import time
from typing import Any

import httpx
import pytest

from service.events import thinned
from store.errors import NotFound
from tests.infrastructure.processes import eventually
from tests.service.conftest import OpenHouse
from tests.service.house import House, is_problem

LIST = {"Accept": "application/json"}


def parse(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    """The events of a stream: number, type, data."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if "id" in fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


def read(house: House, path: str, **headers: str) -> list[tuple[int, str, dict[str, Any]]]:
    """A stream to its end."""
    with httpx.stream("GET", house.url + path, headers=headers, timeout=60) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return parse("".join(answer.iter_text()))


def test_replay_of_a_job_that_is_over(house: House, trained: str) -> None:
    events = read(house, f"/v1/jobs/{trained}/events")
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    types = [kind for _, kind, _ in events]
    assert types[0] == "queued"
    assert types[1] == "started"
    assert types[-1] == "succeeded"
    assert types.count("epoch") == 3
    epoch = next(data for _, kind, data in events if kind == "epoch")
    assert epoch["epoch"] == 1
    assert epoch["train_loss"] > 0
    assert epoch["created_at"].endswith("Z")


def test_reconnecting_goes_on_where_it_was(house: House, trained: str) -> None:
    everything = read(house, f"/v1/jobs/{trained}/events")
    assert read(house, f"/v1/jobs/{trained}/events?after=3") == everything[3:]
    assert read(house, f"/v1/jobs/{trained}/events?after=1", **{"Last-Event-ID": "4"}) == everything[4:]
    assert read(house, f"/v1/jobs/{trained}/events?after={len(everything)}") == []


def test_the_list_holds_the_same(house: House, trained: str) -> None:
    streamed = read(house, f"/v1/jobs/{trained}/events")
    first = house.http.get(f"/v1/jobs/{trained}/events?limit=3", headers=LIST).json()
    rest = house.http.get(f"/v1/jobs/{trained}/events?after={first['next_cursor']}", headers=LIST).json()
    assert first["has_more"]
    assert not rest["has_more"]
    listed = [(event["number"], event["type"], event["message"]) for event in first["data"] + rest["data"]]
    assert listed == [(number, kind, data["message"]) for number, kind, data in streamed]
    assert streamed[0][2]["message"] == "accepted; waits for a worker"


def test_the_list_can_be_of_some_types(house: House, trained: str) -> None:
    path = f"/v1/jobs/{trained}/events?type=started&type=succeeded"
    listed = house.http.get(path, headers=LIST).json()
    assert [event["type"] for event in listed["data"]] == ["started", "succeeded"]
    first = house.http.get(f"{path}&limit=1", headers=LIST).json()
    assert first["has_more"]
    rest = house.http.get(f"{path}&after={first['next_cursor']}", headers=LIST).json()
    assert first["data"] + rest["data"] == listed["data"]
    unknown = house.http.get(f"/v1/jobs/{trained}/events?type=started&type=danced", headers=LIST)
    assert "no event of type 'danced'; known are queued" in is_problem(unknown, 422, "invalid-parameter")["detail"]
    is_problem(house.http.get(path, headers={"Accept": "text/event-stream"}), 422, "invalid-parameter")


def test_a_live_stream_ends_with_the_job(house: House, dataset: str) -> None:
    job = house.submit(dataset, epochs=20)
    got: list[Any] = []
    reader = threading.Thread(target=lambda: got.extend(read(house, f"/v1/jobs/{job}/events")))
    reader.start()
    eventually(lambda: house.followed(1), 30, "the stream is open")
    claim = house.claim(job)
    for epoch in range(1, 21):
        house.report(claim, epoch, train_loss=1.0 / epoch)
        time.sleep(0.01)
    house.claims.end(claim, "fail", reason="diverged")
    reader.join(60)
    assert [number for number, _, _ in got] == list(range(1, 24))
    assert got[-1][1] == "failed"
    assert [data["train_loss"] for _, kind, data in got if kind == "epoch"] == [1.0 / epoch for epoch in range(1, 21)]


def test_followers_of_many_paces_all_see_everything(house: House, dataset: str) -> None:
    """More events than are kept as bytes, and a reader that is far behind: it gets its gap from the database."""
    job = house.submit(dataset, epochs=1_000_000)
    claim = house.claim(job)
    quick: list[Any] = []
    reader = threading.Thread(target=lambda: quick.extend(read(house, f"/v1/jobs/{job}/events")))
    reader.start()
    slow = b""
    with httpx.stream("GET", f"{house.url}/v1/jobs/{job}/events", timeout=60) as answer:
        parts = answer.iter_raw(64)
        slow += next(parts)
        for epoch in range(1, 1301):
            house.report(claim, epoch, train_loss=0.5)
        house.claims.end(claim, "cancel")
        for part in parts:
            slow += part
    reader.join(60)
    assert [number for number, _, _ in quick] == list(range(1, 1304))
    assert [number for number, _, _ in parse(slow.decode())] == list(range(1, 1304))


def test_deleting_a_followed_job_ends_its_stream(house: House, dataset: str) -> None:
    job = house.submit(dataset)
    with httpx.stream("GET", f"{house.url}/v1/jobs/{job}/events", timeout=60) as answer:
        parts = answer.iter_text()
        text = next(parts)
        house.http.post(f"/v1/jobs/{job}/cancel")
        house.http.delete(f"/v1/jobs/{job}")
        text += "".join(parts)
    assert [kind for _, kind, _ in parse(text)] in (["queued"], ["queued", "cancelled"])
    with pytest.raises(NotFound):
        house.jobs.get("default", job)


def test_unknown_jobs_have_no_stream(house: House) -> None:
    is_problem(house.http.get(f"/v1/jobs/job_{'0' * 26}/events"), 404, "not-found")


def test_silence_is_broken_by_heartbeats(open_house: OpenHouse) -> None:
    house = open_house(NUDGE_HEARTBEAT_S="0.2")
    job = house.submit(house.add_dataset())
    with httpx.stream("GET", f"{house.url}/v1/jobs/{job}/events", timeout=60) as answer:
        text = ""
        for part in answer.iter_text():
            text += part
            if text.count(": heartbeat\n\n") >= 2:
                break
    assert text.index("event: queued") < text.index(": heartbeat")


def test_nan_is_sent_as_null(house: House, dataset: str) -> None:
    job = house.submit(dataset)
    claim = house.claim(job)
    house.report(claim, 1, train_loss=float("nan"), gradient_norm=float("inf"))
    house.claims.end(claim, "fail", reason="diverged")
    assert house.http.get(f"/v1/jobs/{job}").json()["metrics"]["train_loss"] is None
    assert read(house, f"/v1/jobs/{job}/events")[2][2]["train_loss"] is None
    row = house.http.get(f"/v1/jobs/{job}/metrics").json()["data"][0]
    assert row["train_loss"] is row["gradient_norm"] is None
    assert house.http.get("/v1/jobs?status=failed").json()["data"]


def test_metrics_as_json_and_csv(house: House, trained: str) -> None:
    rows = house.http.get(f"/v1/jobs/{trained}/metrics").json()["data"]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[0]["validation_loss"] is None
    answer = house.http.get(f"/v1/jobs/{trained}/metrics", headers={"Accept": "text/csv, application/json;q=0.5"})
    assert answer.headers["content-type"].startswith("text/csv")
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["epoch"]) for row in table] == [1, 2, 3]
    assert float(table[2]["train_loss"]) == rows[2]["train_loss"]
    assert table[0]["validation_loss"] == ""


def test_thinning_keeps_both_ends(house: House, trained: str) -> None:
    rows = house.http.get(f"/v1/jobs/{trained}/metrics?max_points=2").json()["data"]
    assert [row["epoch"] for row in rows] == [1, 3]
    curve: list[dict[str, Any]] = [{"epoch": epoch} for epoch in range(1, 5001)]
    for points in (2, 3, 7, 100, 4999):
        kept = [row["epoch"] for row in thinned(curve, points)]
        assert len(kept) == len(set(kept)) == points
        assert (kept[0], kept[-1]) == (1, 5000)
        assert kept == sorted(kept)
