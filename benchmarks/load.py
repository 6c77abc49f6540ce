"""Ask a busy machine: a steady stream of mixed requests to one server while a worker's trainers keep every core busy.

The load is an open loop: each request has its moment, whatever became of those before it, and its time counts from that
moment. The last line is one JSON object; the exit status is 1 when a request failed or the training paused.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.service import SPEC, in_ms
from benchmarks.wire import Answer, Connection, request
from store.database import Database
from store.migrate import migrate
from tests.infrastructure.postgres import running_postgres
from tests.infrastructure.process import ServerProcess, free_port
from tests.infrastructure.valkey import running_valkey

console = Console(stderr=True)
CORES = len(os.sched_getaffinity(0))
ROWS, FEATURES, CLASSES = 2000, 64, 10
FRESH_S = 3.0
PATIENCE_S = 30.0  # a request that is not answered by then has failed
PAUSE_S = 10.0  # a training whose epochs are further apart has paused
# Half a second to a second for an epoch on one core, so that a job of any length keeps few rows.
LONG = {
    "network": {
        "layers": [
            {"type": "dense", "units": 512},
            {"type": "relu"},
            {"type": "dense", "units": 512},
            {"type": "relu"},
            {"type": "dense", "units": CLASSES},
        ]
    },
    "loss": {"type": "cross_entropy"},
    "optimizer": {"type": "sgd", "learning_rate": 0.01},
    "batch_size": 10,
    "epochs": 1_000_000,
    "checkpoints": {"every_epochs": 20, "keep": 2},
}
# A network that suits the data and is trained in no time.
SMALL = {"network": {"layers": [{"type": "dense", "units": CLASSES}]}, "batch_size": 100}
# Of 25 requests. Each submitted job is cancelled and deleted later, so that there are never many.
SHARES = {
    "get_job": 5,
    "list_jobs": 2,
    "metrics": 2,
    "events": 2,
    "submit": 3,
    "cancel": 3,
    "delete": 3,
    "predict": 5,
}
EXPECTED = {"submit": 202, "cancel": 202, "delete": 204}


@contextmanager
def deployment(folder: Path, database: str) -> Iterator[int]:
    """A server and a worker over a real database and a real broker; gives the server's port."""
    with ExitStack() as stack:
        url = f"sqlite:///{folder / 'nudge.db'}"
        if database == "postgresql":
            (folder / "postgres").mkdir()
            url = stack.enter_context(running_postgres(folder / "postgres")).create("load")
        (folder / "valkey").mkdir()
        broker = stack.enter_context(running_valkey(folder / "valkey"))
        store = Database(url)
        migrate(store)
        store.dispose()
        port = free_port()
        environment = os.environ | {
            "NUDGE_DATA": str(folder),
            "NUDGE_PORT": str(port),
            "NUDGE_CONCURRENCY": str(CORES),
            "DATABASE_URL": url,
            "BROKER_URL": broker.url,
        }
        for module in ("service", "worker"):
            command, log = [sys.executable, "-m", module], folder / f"{module}.log"
            ready = partial(_answers, port) if module == "service" else log.exists  # the first job waits for the rest
            process = ServerProcess(command, log, ready=ready, environment=environment)
            stack.callback(process.stop)
            process.start()
        yield port


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=5):
            return True
    except OSError:
        return False


class Load:
    """The requests, their times and what went wrong, by kind."""

    def __init__(self, port: int, dataset: str, model: str, long: list[str]) -> None:
        self.port, self.dataset, self.model, self.long = port, dataset, model, long
        self.times: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []
        self._idle: list[tuple[float, Connection]] = []
        self._queued: deque[str] = deque()  # submitted and not cancelled yet
        self._over: deque[str] = deque()  # cancelled and not deleted yet
        self._draw = random.Random(1)
        self._keys = 0

    async def run(self, seconds: float, rate: float, passed: Callable[[float], None]) -> None:
        """Send `rate` requests a second and wait for the last answer."""
        bag = [kind for kind, count in SHARES.items() for _ in range(count)]
        began, running = time.perf_counter(), set[asyncio.Task[None]]()
        for number in range(int(seconds * rate)):
            if number % len(bag) == 0:
                self._draw.shuffle(bag)
            due = began + number / rate
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            task = asyncio.create_task(self._send(bag[number % len(bag)], due))
            running.add(task)
            task.add_done_callback(running.discard)
            passed(number / rate)
        await asyncio.gather(*running)
        for _, connection in self._idle:
            await connection.__aexit__()

    async def _send(self, kind: str, due: float) -> None:
        if (kind == "cancel" and not self._queued) or (kind == "delete" and not self._over):
            kind = "get_job"  # nothing to do yet
        job, prepared = self._prepare(kind)
        try:
            answer = await asyncio.wait_for(self._ask(prepared), PATIENCE_S)
        except Exception as error:
            self.errors.append(f"{kind}: {type(error).__name__}: {error}")
            return
        self.times[kind].append(time.perf_counter() - due)
        if answer.status != EXPECTED.get(kind, 200):
            self.errors.append(f"{kind}: {answer.status}: {answer.body[:200].decode(errors='replace')}")
        elif kind == "submit":
            self._queued.append(json.loads(answer.body)["id"])
        elif kind == "cancel":
            self._over.append(job)

    def _prepare(self, kind: str) -> tuple[str, bytes]:
        """The job that the request is about, and its bytes."""
        if kind == "submit":
            self._keys += 1
            body = json.dumps(SPEC | {"dataset": self.dataset, "epochs": 1, **SMALL})
            return "", request("POST", "/v1/jobs", body.encode(), idempotency_key=f"load-{self._keys}")
        if kind == "predict":
            inputs = json.dumps({"inputs": [[self._draw.random() for _ in range(FEATURES)]]})
            return "", request("POST", f"/v1/models/{self.model}/predict", inputs.encode())
        lines = {"cancel": self._queued, "delete": self._over}
        job = lines[kind].popleft() if kind in lines else self._draw.choice(self.long)
        method, path = {
            "get_job": ("GET", f"/v1/jobs/{job}"),
            "list_jobs": ("GET", "/v1/jobs?limit=20"),
            "metrics": ("GET", f"/v1/jobs/{job}/metrics?max_points=200"),
            "events": ("GET", f"/v1/jobs/{job}/events?limit=50"),
            "cancel": ("POST", f"/v1/jobs/{job}/cancel"),
            "delete": ("DELETE", f"/v1/jobs/{job}"),
        }[kind]
        return job, request(method, path, accept="application/json")

    async def _ask(self, prepared: bytes) -> Answer:
        connection = await self._connection()
        answer = await connection.ask(prepared)
        self._idle.append((time.monotonic(), connection))
        return answer

    async def _connection(self) -> Connection:
        """One that was used a moment ago, or a new one: the server closes those that are idle for five seconds."""
        while self._idle:
            since, connection = self._idle.pop()
            if time.monotonic() - since < FRESH_S:
                return connection
            await connection.__aexit__()
        return await Connection(self.port).__aenter__()


async def prepare(port: int) -> tuple[str, str, list[str]]:
    """A dataset, a model, and jobs that are being trained on every core."""
    draw = random.Random(0)
    x = [[round(draw.random(), 3) for _ in range(FEATURES)] for _ in range(ROWS)]
    y = [row % CLASSES for row in range(ROWS)]
    async with Connection(port) as connection:

        async def ask(method: str, path: str, body: Any = None) -> dict[str, Any]:
            answer = await connection.ask(request(method, path, b"" if body is None else json.dumps(body).encode()))
            assert answer.status in (200, 201, 202), (answer.status, answer.body)
            found: dict[str, Any] = json.loads(answer.body)
            return found

        async def wait(job: str, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
            deadline = time.monotonic() + 120
            while not until(found := await ask("GET", f"/v1/jobs/{job}")):
                assert time.monotonic() < deadline, found
                await asyncio.sleep(0.1)
            return found

        dataset = (await ask("POST", "/v1/datasets", {"name": "noise", "x": x, "y": y}))["id"]
        first = (await ask("POST", "/v1/jobs", SPEC | {"dataset": dataset, "epochs": 1, **SMALL}))["id"]
        model = (await wait(first, lambda job: job["status"] == "succeeded"))["model"]
        long = [(await ask("POST", "/v1/jobs", LONG | {"dataset": dataset}))["id"] for _ in range(CORES)]
        for job in long:
            await wait(job, lambda found: found["progress"]["epoch"] >= 1)
    return dataset, model, long


async def training(port: int, jobs: list[str], began: float, ended: float) -> tuple[float, list[str]]:
    """Examples trained a second by all jobs between two moments (Unix time), and what is wrong with their course."""
    epochs, wrong = 0, []
    async with Connection(port) as connection:
        for job in jobs:
            record = json.loads((await connection.ask(request("GET", f"/v1/jobs/{job}"))).body)
            if (record["status"], record["attempt"]) != ("running", 1):
                wrong.append(f"training: {job} is {record['status']}, attempt {record['attempt']}")
            moments, after = [began], 0
            while True:
                path = f"/v1/jobs/{job}/events?after={after}&limit=1000"
                events = json.loads((await connection.ask(request("GET", path, accept="application/json"))).body)[
                    "data"
                ]
                if not events:
                    break
                after = events[-1]["number"]
                told = [
                    datetime.fromisoformat(one["created_at"]).timestamp() for one in events if one["type"] == "epoch"
                ]
                moments += [moment for moment in told if began <= moment <= ended]
            epochs += len(moments) - 1
            pause = max(later - earlier for earlier, later in zip(moments, [*moments[1:], ended], strict=True))
            if pause > PAUSE_S:
                wrong.append(f"training: {job} reported nothing for {pause:.1f} s")
    return epochs * ROWS / (ended - began), wrong


async def measure(port: int, seconds: float, rate: float) -> dict[str, Any]:
    """Prepare, load, and sum up."""
    dataset, model, long = await prepare(port)
    load = Load(port, dataset, model, long)
    began = time.time()
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn(), console=console, transient=True) as progress:
        bar = progress.add_task(f"{rate:g} requests a second, {len(long)} trainings", total=seconds)
        await load.run(seconds, rate, lambda passed: progress.update(bar, completed=passed))
    speed, wrong = await training(port, long, began, time.time())
    for trouble in [*load.errors, *wrong][:20]:
        console.print(f"[red]{trouble}[/]", highlight=False)
    _show(load)
    kinds = {kind: {"count": len(times), **in_ms(times)} for kind, times in sorted(load.times.items())}
    return {
        "seconds": seconds,
        "per_s": rate,
        "errors": len(load.errors) + len(wrong),
        "kinds": kinds,
        "training_examples_per_s": round(speed, 1),
    }


def _show(load: Load) -> None:
    table = Table("kind", "count", "p50 ms", "p99 ms", "max ms", "errors")
    for kind in SHARES:
        times = load.times[kind]
        numbers = [*in_ms(times).values(), round(max(times) * 1e3, 2)] if times else ["-"] * 3
        errors = sum(error.startswith(f"{kind}:") for error in load.errors)
        table.add_row(kind, str(len(times)), *map(str, numbers), str(errors))
    console.print(table)


def main() -> int:
    """Measure; 0 when every request was answered as it must be and the training never paused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    arguments = parser.parse_args()
    # Any user may pass through the folder: PostgreSQL refuses to run as root.
    with tempfile.TemporaryDirectory(prefix="nudge-load-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        with deployment(Path(name), arguments.database) as port:
            result = asyncio.run(measure(port, arguments.seconds, arguments.rate))
    print(json.dumps({"load": {"cores": CORES, "database": arguments.database, **result}}))
    return int(result["errors"] > 0)


if __name__ == "__main__":
    sys.exit(main())
