"""Every connection of the server is taken: 503 in time, health still answers, and all is well again afterwards."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import text

from service import lifespan
from store import database
from tests.infrastructure.processes import eventually
from tests.service.house import is_problem, running


def test_connections_that_all_wait_for_one_lock(postgres_url: str, tmp_path: Path) -> None:
    assert database.WAIT_S + lifespan.PATIENCE_S < 5
    with running(tmp_path, postgres_url) as house:
        dataset = house.add_dataset()
        job = house.submit(dataset)
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        # The lock is held until everything is answered: a server that waited for it would never answer.
        with house.database.transaction() as connection, ThreadPoolExecutor(30) as pool:
            connection.execute(text("LOCK TABLE job IN ACCESS EXCLUSIVE MODE"))
            reads = [pool.submit(house.http.get, f"/v1/jobs/{job}", timeout=15) for _ in range(30)]
            eventually(lambda: (connection.scalar(waiting) or 0) >= lifespan.THREADS, 30, "every connection waits")
            assert house.http.get("/livez").status_code == 200
            assert house.http.get("/metrics").status_code == 200
            is_problem(house.http.get("/readyz"), 503, "not-ready")
            slugs = set()
            for read in reads:
                problem = is_problem(read.result(), 503)
                assert int(read.result().headers["retry-after"]) >= 1
                slugs.add(problem["type"])
        assert slugs == {"/problems/unavailable", "/problems/busy"}
        eventually(lambda: house.http.get("/readyz").status_code == 200, 30, "it is ready again")
        assert house.http.get(f"/v1/jobs/{job}").json()["status"] == "queued"
        assert house.http.post("/v1/jobs", json=house.spec(dataset)).status_code == 202
        assert "Traceback" not in house.server.last_words(100_000)
