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
from tests.infrastructure.processes import eventually
from tests.service.conftest import OpenHouse
from tests.service.house import is_problem, running


def test_a_locked_sqlite_database(open_house: OpenHouse) -> None:
    house = open_house()
    dataset = house.add_dataset()
    # The write lock of another process, which is kept until everything is answered.
    with house.database.transaction(), ThreadPoolExecutor(40) as pool:
        submits = [pool.submit(house.http.post, "/v1/jobs", json=house.spec(dataset)) for _ in range(40)]
        time.sleep(0.5)
        assert house.http.get("/livez").status_code == 200
        assert house.http.get(f"/v1/datasets/{dataset}").status_code == 200
        for submit in submits:
            answer = submit.result()
            problem = is_problem(answer, 503)
            assert problem["type"] in ("/problems/unavailable", "/problems/busy")
            assert "Retry-After" in answer.headers
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
            answer = house.http.request(method, path, json=house.spec(dataset) if method == "POST" else None)
            is_problem(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
        assert house.http.get("/livez").status_code == 200
        ready = is_problem(house.http.get("/readyz"), 503, "not-ready")
        assert ready["reasons"]
        server.start()
        eventually(lambda: house.http.get("/readyz").status_code == 200, 60, "it is ready again")
        assert house.http.get(f"/v1/jobs/{job}").json()["status"] == "queued"
        assert "Traceback" not in house.server.last_words(100_000)


def test_streams_outlast_an_outage(server_folder: Path, tmp_path: Path) -> None:
    folder = server_folder / "service-streams"
    folder.mkdir()
    with running_postgres(folder) as server, running(tmp_path, server.create("streams")) as house:
        job = house.submit(house.add_dataset())
        got: list[str] = []

        def follow() -> None:
            with httpx.stream("GET", f"{house.url}/v1/jobs/{job}/events", timeout=60) as answer:
                got.extend(answer.iter_text())

        reader = threading.Thread(target=follow)
        reader.start()
        eventually(lambda: "event: queued" in "".join(got), 30, "the stream is open")
        server.stop()
        time.sleep(0.5)
        server.start()
        eventually(lambda: house.http.get("/readyz").status_code == 200, 60, "it is ready again")
        assert house.http.post(f"/v1/jobs/{job}/cancel").json()["status"] == "cancelled"
        reader.join(60)
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
    # Ten minutes for whoever does not end by himself; a stream never would, a long poll not within one.
    house = open_house(NUDGE_SHUTDOWN_S="600")
    dataset = house.add_dataset()
    job = house.submit(dataset)
    ends: dict[str, object] = {}

    def stream() -> None:
        with httpx.stream("GET", f"{house.url}/v1/jobs/{job}/events", timeout=60) as answer:
            ends["stream"] = "".join(answer.iter_text())

    def wait() -> None:
        ends["wait"] = httpx.get(f"{house.url}/v1/jobs/{job}?wait=60", timeout=90).status_code

    threads = [threading.Thread(target=stream), threading.Thread(target=wait)]
    for thread in threads:
        thread.start()
    eventually(lambda: house.followed(2), 30, "both are under way")
    house.server.send(number)
    if number == signal.SIGTERM:
        time.sleep(0.05)
        house.server.send(number)  # a second one is harmless
    house.server.wait(30)
    for thread in threads:
        thread.join(30)
    assert "event: queued" in str(ends["stream"])
    assert ends["wait"] == 200
    assert not (house.folder / "uploads").exists() or os.listdir(house.folder / "uploads") == []
