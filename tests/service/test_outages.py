"""A database that does not answer: 503 in time, health still answers, and all is well again afterwards."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from tests.infrastructure.postgres import running_postgres
from tests.service.conftest import OpenHouse
from tests.service.house import House, is_problem, running


def timed(house: House, method: str, path: str, **arguments: object) -> tuple[httpx.Response, float]:
    start = time.monotonic()
    answer = house.http.request(method, path, **arguments)  # type: ignore[arg-type]
    return answer, time.monotonic() - start


def test_a_locked_sqlite_database(open_house: OpenHouse) -> None:
    house = open_house()
    dataset = house.add_dataset()
    # The write lock of another process.
    with house.database.transaction(), ThreadPoolExecutor(40) as pool:
        submits = [pool.submit(timed, house, "POST", "/v1/jobs", json=house.spec(dataset)) for _ in range(40)]
        time.sleep(0.5)
        answer, seconds = timed(house, "GET", "/livez")
        assert answer.status_code == 200
        assert seconds < 1
        answer, seconds = timed(house, "GET", f"/v1/datasets/{dataset}")
        assert answer.status_code == 200
        for submit in submits:
            answer, seconds = submit.result()
            problem = is_problem(answer, 503)
            assert problem["type"] in ("/problems/unavailable", "/problems/busy")
            assert "Retry-After" in answer.headers
            assert seconds < 6
    assert house.http.post("/v1/jobs", json=house.spec(dataset)).status_code == 202


def test_a_postgresql_server_that_goes_and_comes_back(server_folder: Path, tmp_path: Path) -> None:
    folder = server_folder / "service-outage"
    folder.mkdir()
    with running_postgres(folder) as server, running(tmp_path, server.create("outage")) as house:
        dataset = house.add_dataset()
        job = house.submit(dataset)
        assert house.http.get("/readyz").status_code == 200
        server.stop()
        for method, path in (("GET", f"/v1/jobs/{job}"), ("POST", "/v1/jobs"), ("GET", "/v1/datasets?limit=1")):
            answer, seconds = timed(house, method, path, **({"json": house.spec(dataset)} if method == "POST" else {}))
            is_problem(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            assert seconds < 6
        assert house.http.get("/livez").status_code == 200
        ready = is_problem(house.http.get("/readyz"), 503, "not-ready")
        assert ready["reasons"]
        server.start()
        deadline = time.monotonic() + 10
        while house.http.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert house.http.get(f"/v1/jobs/{job}").json()["status"] == "queued"
        assert "Traceback" not in house.server.last_words(100_000)


def test_streams_outlast_an_outage(server_folder: Path, tmp_path: Path) -> None:
    folder = server_folder / "service-streams"
    folder.mkdir()
    with running_postgres(folder) as server, running(tmp_path, server.create("streams")) as house:
        job = house.submit(house.add_dataset())
        got: list[str] = []

        def follow() -> None:
            with httpx.stream("GET", f"{house.url}/v1/jobs/{job}/events", timeout=30) as answer:
                got.extend(answer.iter_text())

        reader = threading.Thread(target=follow)
        reader.start()
        time.sleep(0.3)
        server.stop()
        time.sleep(0.5)
        server.start()
        house.http.post(f"/v1/jobs/{job}/cancel")
        reader.join(15)
        assert not reader.is_alive()
        assert "".join(got).count("event: cancelled") == 1


def test_a_database_without_tables_is_not_ready(open_house: OpenHouse) -> None:
    house = open_house()
    with house.database.transaction() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    problem = is_problem(house.http.get("/readyz"), 503, "not-ready")
    assert "nudged migrate" in problem["detail"]
    assert house.http.get("/livez").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_ends_streams_and_answers_what_is_under_way(open_house: OpenHouse, number: signal.Signals) -> None:
    house = open_house()
    dataset = house.add_dataset()
    job = house.submit(dataset)
    ends: dict[str, object] = {}

    def stream() -> None:
        with httpx.stream("GET", f"{house.url}/v1/jobs/{job}/events", timeout=20) as answer:
            ends["stream"] = "".join(answer.iter_text())

    def wait() -> None:
        ends["wait"] = httpx.get(f"{house.url}/v1/jobs/{job}?wait=20", timeout=30).status_code

    threads = [threading.Thread(target=stream), threading.Thread(target=wait)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    start = time.monotonic()
    house.server.send(number)
    if number == signal.SIGTERM:
        time.sleep(0.05)
        house.server.send(number)  # a second one is harmless
    house.server.wait(10)
    assert time.monotonic() - start < 3
    for thread in threads:
        thread.join(5)
    assert "event: queued" in str(ends["stream"])
    assert ends["wait"] == 200
    assert not (house.folder / "uploads").exists() or os.listdir(house.folder / "uploads") == []
