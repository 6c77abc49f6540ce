"""Measure the service on this machine: durable submits, event streams, and the way from POST to the first epoch.

The server is bound to one core, the load to another. Absolute figures drift from machine to machine; the last line is
one JSON object.
"""

import argparse
import asyncio
import itertools
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.wire import Connection, request
from standalone.system import System
from store.blobs import Blobs
from store.claims import Claims
from store.database import Database
from store.jobs import Jobs
from store.progress import EpochReport, Progress

console = Console(stderr=True)
CORES = sorted(os.sched_getaffinity(0))
SPEC = {
    "network": {"layers": [{"type": "dense", "units": 8}, {"type": "tanh"}, {"type": "dense", "units": 2}]},
    "loss": {"type": "cross_entropy"},
}


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def in_ms(seconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile in milliseconds."""
    return {
        "p50_ms": round(statistics.median(seconds) * 1e3, 2),
        "p99_ms": round(percentile(seconds, 0.99) * 1e3, 2),
    }


@contextmanager
def system(folder: Path) -> Iterator[System]:
    """A whole system on an empty folder, its server on the first core and this process on the last.

    Its worker is frozen: one that trained what is submitted would share the core of the load.
    """
    with System(folder) as running:
        server, worker = _child(running, "service"), _child(running, "worker")
        server.cpu_affinity([CORES[0]])
        os.sched_setaffinity(0, {CORES[-1]})
        worker.suspend()
        try:
            yield running
        finally:
            worker.resume()
            os.sched_setaffinity(0, set(CORES))


def _child(running: System, module: str) -> psutil.Process:
    for child in psutil.Process(running.pid).children():
        if module in child.cmdline():
            return child
    raise RuntimeError(f"no {module} under {running.pid}")


def port(running: System) -> int:
    """The port that the system listens on."""
    return int(running.url.rsplit(":", 1)[1])


async def upload(connection: Connection) -> str:
    """A dataset of 64 points; gives its id."""
    x = [[row % 8 / 8, row // 8 / 8] for row in range(64)]
    body = {"name": "points", "x": x, "y": [int(a > b) for a, b in x]}
    answer = await connection.ask(request("POST", "/v1/datasets", json.dumps(body).encode()))
    assert answer.status == 201, answer.body
    return str(json.loads(answer.body)["id"])


async def submits(at: int, seconds: float, connections: int) -> dict[str, float]:
    """POST /v1/jobs as fast as they are answered; every answer stands for a commit on the disk."""
    async with Connection(at) as first:
        dataset = await upload(first)
    body = json.dumps(SPEC | {"dataset": dataset, "epochs": 1}).encode()
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def run() -> None:
        async with Connection(at) as connection:
            for number in itertools.count():
                if time.perf_counter() > end:
                    return
                key = f"{secrets.token_hex(8)}-{number}"
                answer = await connection.ask(request("POST", "/v1/jobs", body, idempotency_key=key))
                assert answer.status == 202, answer.body
                times.append(answer.seconds)

    began = time.perf_counter()
    await asyncio.gather(*(run() for _ in range(connections)))
    rate = len(times) / (time.perf_counter() - began)
    return {"per_s": round(rate, 1), **in_ms(times), "connections": connections, "submits": len(times)}


async def streams(running: System, folder: Path, seconds: float, clients: int, rows_per_s: int) -> dict[str, float]:
    """Epochs written to one job straight into the database, while clients follow it; time from write to client."""
    database = Database(f"sqlite:///{folder / 'nudge.db'}")
    jobs, claims = Jobs(database), Claims(database)
    Blobs(database, f"file://{folder / 'blobs'}", folder / "cache")
    async with Connection(port(running)) as connection:
        dataset = await upload(connection)
        body = json.dumps(SPEC | {"dataset": dataset, "epochs": 1_000_000}).encode()
        job_id = json.loads((await connection.ask(request("POST", "/v1/jobs", body))).body)["id"]
    claim = claims.claim(job_id, "benchmark")
    assert claim is not None, "a worker was faster"
    delays: list[float] = []

    async def follow() -> None:
        async with Connection(port(running)) as connection:
            async for event in connection.events(f"/v1/jobs/{job_id}/events?after=2"):
                now = datetime.now(UTC)
                if b"event: epoch\n" in event:
                    data = json.loads(event.split(b"data: ", 1)[1])
                    delays.append((now - datetime.fromisoformat(data["created_at"])).total_seconds())
                elif b"event: cancelled\n" in event:
                    return

    followers = [asyncio.create_task(follow()) for _ in range(clients)]
    await asyncio.sleep(1.0)
    server = _child(running, "service")
    metrics = {"train_loss": 0.5, "train_accuracy": 0.9, "learning_rate": 0.1, "seconds": 0.1}
    before, began = sum(server.cpu_times()[:2]), time.perf_counter()
    written = 0
    while (passed := time.perf_counter() - began) < seconds:
        if (due := int(passed * rows_per_s)) > written:
            reports = [EpochReport(epoch + 1, metrics) for epoch in range(written, due)]
            await asyncio.to_thread(claims.report, claim, reports, [], Progress(0.1, 1.0, 1.0))
            written = due
        await asyncio.sleep(0.01)
    spent = (sum(server.cpu_times()[:2]) - before) / (time.perf_counter() - began)
    claims.end(claim, "cancel")
    await asyncio.gather(*followers)
    database.dispose()
    expected = written * clients
    assert len(delays) == expected, f"{len(delays)} of {expected} events arrived"
    jobs.delete("default", job_id)
    return {"clients": clients, "rows_per_s": rows_per_s, "core_share": round(spent, 3), **in_ms(delays)}


async def starts(at: int, repeats: int) -> dict[str, float]:
    """A tiny job on a warm system: from POST to its first epoch event at the client."""
    times = []
    async with Connection(at) as connection:
        dataset = await upload(connection)
        body = json.dumps(SPEC | {"dataset": dataset, "epochs": 1}).encode()
        for number in track(range(repeats + 2), description="job starts", console=console, transient=True):
            began = time.perf_counter()
            answer = await connection.ask(request("POST", "/v1/jobs", body))
            job_id = json.loads(answer.body)["id"]
            async with Connection(at) as follower:
                async for event in follower.events(f"/v1/jobs/{job_id}/events"):
                    if b"event: epoch\n" in event:
                        if number >= 2:  # the first ones warm the system up
                            times.append(time.perf_counter() - began)
                        break
            while json.loads((await connection.ask(request("GET", f"/v1/jobs/{job_id}?wait=10"))).body)["status"] in (
                "queued",
                "running",
            ):
                pass
            await asyncio.sleep(0.1)
    return {
        "median_ms": round(statistics.median(times) * 1e3, 1),
        "max_ms": round(max(times) * 1e3, 1),
        "jobs": repeats,
    }


def main() -> int:
    """Run the three measurements and print them; the last line on stdout is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement under load")
    parser.add_argument("--repeats", type=int, default=30, help="job starts that are timed")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"cores": len(CORES), "database": "sqlite"}
    with tempfile.TemporaryDirectory(prefix="nudge-bench-") as name:
        folder = Path(name)
        console.print("job start: a whole warm system")
        with System(folder / "start") as running:
            result["start"] = asyncio.run(starts(port(running), arguments.repeats))
        console.print("submits: nobody takes the jobs")
        with system(folder / "submit") as running:
            result["submit"] = asyncio.run(submits(port(running), arguments.seconds, 16))
        console.print("events: 50 followers of one job")
        with system(folder / "events") as running:
            result["events"] = asyncio.run(
                streams(running, folder / "events", arguments.seconds, clients=50, rows_per_s=200)
            )
    for name in ("start", "submit", "events"):
        console.print(f"[bold]{name}[/] " + "  ".join(f"{key} {value}" for key, value in result[name].items()))
    print(json.dumps({"service": result}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
