"""Measure predictions over HTTP: Nudge beside other servers of the same network, 784-16-16-10, in one run.

Every server is one process (LitServe two) bound to the first core, the load to the last. They stand ready together and
are asked in turn, round after round. Absolute figures drift; ratios within one run hold. The last line is one JSON
object.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from rich.console import Console
from rich.progress import Progress, TaskID, TimeElapsedColumn
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.closed_loop import Load, run
from benchmarks.wire import request
from standalone.system import System
from tests.infrastructure.process import ServerProcess, free_port

ROOT = Path(__file__).parents[1]
console = Console(stderr=True)
CORES = sorted(os.sched_getaffinity(0))
BATCH = 64
ROWS = 2000
LAYERS = [
    {"type": "dense", "units": 16},
    {"type": "sigmoid"},
    {"type": "dense", "units": 16},
    {"type": "sigmoid"},
    {"type": "dense", "units": 10},
    {"type": "sigmoid"},
]
# About a second for an epoch on one core, for longer than anyone measures.
LONG = [{"type": "dense", "units": 512}, {"type": "relu"}, {"type": "dense", "units": 10}]


@dataclass(frozen=True)
class Asked:
    """A server's port and the request it is asked with."""

    port: int
    request: bytes


@contextmanager
def bound(core: int) -> Iterator[None]:
    """What is started inside runs on this core alone, with all its children."""
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, set(CORES))


class Nudge:
    """A whole system with a trained model; its worker is frozen unless it is wanted."""

    def __init__(self, system: System) -> None:
        self.port = int(system.url.rsplit(":", 1)[1])
        parts = {part.cmdline()[-1]: part for part in psutil.Process(system.pid).children() if part.cmdline()}
        self.server, self.worker = parts["service"], parts["worker"]
        self.http = httpx.Client(base_url=system.url, timeout=60)
        draw = np.random.default_rng(0)
        x = draw.random((ROWS, 784)).round(4)
        body = {"name": "noise", "x": x.tolist(), "y": [row % 10 for row in range(ROWS)]}
        self.dataset = self._post("/v1/datasets", body)["id"]
        self.model = self._over(self.submit(LAYERS, 1))["model"]

    def submit(self, layers: list[dict[str, Any]], epochs: int) -> str:
        """A job."""
        spec = {"dataset": self.dataset, "network": {"layers": layers}, "loss": {"type": "quadratic"}}
        return str(self._post("/v1/jobs", spec | {"epochs": epochs, "optimizer": {"type": "sgd"}})["id"])

    def begun(self, job: str) -> None:
        """Wait for the first epoch."""
        while not self._get(f"/v1/jobs/{job}?wait=20")["progress"]["epoch"]:
            pass

    def export(self, into: Path) -> Path:
        """The weights, as a file."""
        into.write_bytes(self.http.get(f"/v1/models/{self.model}/export?format=npz").content)
        return into

    def binary(self, rows: np.ndarray) -> Asked:
        """The rows (n, 784), float32, as bytes of the Open Inference Protocol."""
        name = self._get(f"/v1/models/{self.model}")["name"]
        tensor = {"name": "input", "shape": rows.shape, "datatype": "FP32"}
        tensor["parameters"] = {"binary_data_size": rows.nbytes}
        asked = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
        head = json.dumps(asked).encode()
        length = {"inference_header_content_length": str(len(head))}
        return Asked(self.port, request("POST", f"/v2/models/{name}/infer", head + rows.tobytes(), **length))

    def _over(self, job: str) -> dict[str, Any]:
        while (found := self._get(f"/v1/jobs/{job}?wait=20"))["status"] != "succeeded":
            assert found["status"] in ("queued", "running"), found
        return found

    def _post(self, path: str, body: Any) -> dict[str, Any]:
        answer = self.http.post(path, json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def _get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(path).json()
        return found


def peer(stack: ExitStack, python: Path, module: str, weights: Path, folder: Path, *more: int) -> int:
    """Start a peer on the first core; gives its port."""
    port = free_port()
    command = [python, "-m", f"benchmarks.servers.{module}", str(port), weights, *map(str, more)]
    log = folder / f"{module}.log"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    server = ServerProcess(command, log, ready=partial(_answers, port), environment=environment, stop_s=5)
    stack.callback(server.stop)
    with bound(CORES[0]):
        server.launch()
    server.await_ready()
    return port


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=5).status_code < 600
    except httpx.TransportError:
        return False


def questions(rows: np.ndarray, nudge: Nudge, ports: dict[str, int]) -> dict[str, Asked]:
    """The same rows for every server, each in its own form of JSON."""
    plain = json.dumps({"inputs": rows.tolist()}, separators=(",", ":")).encode()
    tensor = {"name": "x", "shape": list(rows.shape), "datatype": "FP32", "data": rows.reshape(-1).tolist()}
    v2 = json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()
    return {
        "nudge": Asked(nudge.port, request("POST", f"/v1/models/{nudge.model}/predict", plain)),
        "mlserver": Asked(ports["mlserver"], request("POST", "/v2/models/network/infer", v2)),
        "litserve": Asked(ports["litserve"], request("POST", "/predict", plain)),
        "pydantic": Asked(ports["fastapi"], request("POST", "/pydantic", plain)),
        "orjson_route": Asked(ports["fastapi"], request("POST", "/orjson", plain)),
        "bare_asgi": Asked(ports["bare_asgi"], request("POST", "/json", plain)),
    }


def contest(
    asked: dict[str, Asked], rows: int, connections: int, rounds: int, seconds: float, done: Callable[[], None]
) -> dict[str, tuple[float, float, float]]:
    """Rows a second, 99th percentile in ms and the load's share of its core: medians of the rounds, after a warm-up."""
    loads: dict[str, list[Load]] = {name: [] for name in asked}
    for number in range(-1, rounds):
        for name, one in asked.items():
            load = run(one.port, one.request, connections, seconds if number >= 0 else seconds / 4)
            if number >= 0:
                loads[name].append(load)
            done()
    median = statistics.median
    return {
        name: (
            round(median(load.per_s for load in of) * rows, 1),
            round(median(load.percentile(0.99) for load in of) * 1e3, 3),
            round(max(load.busy for load in of), 2),
        )
        for name, of in loads.items()
    }


def show(cell: str, found: dict[str, tuple[float, float, float]]) -> dict[str, float]:
    """Print a cell; gives it as the JSON has it, with Nudge's own 99th percentile."""
    table = Table("", "rows/s", "nudge is", "p99 ms", "load's core", title=cell)
    for name, (rate, p99, busy) in found.items():
        table.add_row(name, f"{rate:,.0f}", f"x {found['nudge'][0] / rate:.2f}", f"{p99:.2f}", f"{busy:.0%}")
    console.print(table)
    return {name: rate for name, (rate, _, _) in found.items()} | {"p99_ms": found["nudge"][1]}


def measure(nudge: Nudge, ports: dict[str, int], rounds: int, seconds: float, bar: Progress) -> dict[str, Any]:
    """All cells."""
    rows = np.random.default_rng(1).random((BATCH, 784)).round(4)
    one, many = questions(rows[:1], nudge, ports), questions(rows, nudge, ports)
    raw = rows.astype("<f4").tobytes()
    binary = {
        "nudge": nudge.binary(rows.astype("<f4")),
        "mlserver_json": many["mlserver"],
        "bare_asgi": Asked(ports["bare_asgi"], request("POST", "/raw", raw)),
    }
    cells = {"json_b1_c16": (one, 1, 16), "json_b64_c1": (many, BATCH, 1), "binary_b64_c1": (binary, BATCH, 1)}
    result: dict[str, Any] = {}
    nudge.worker.suspend()
    nudge.server.cpu_affinity([CORES[0]])
    with bound(CORES[-1]):
        for cell, (asked, size, connections) in cells.items():
            task = bar.add_task(cell, total=len(asked) * (rounds + 1))
            result[cell] = show(cell, contest(asked, size, connections, rounds, seconds, partial(_advance, bar, task)))
    nudge.worker.resume()
    nudge.server.cpu_affinity(CORES)
    cell = "while_training_b1_c1"
    task = bar.add_task(cell, total=rounds + 1)
    for job in [nudge.submit(LONG, 1_000_000) for _ in CORES]:
        nudge.begun(job)
    asked = {"nudge": one["nudge"]}
    result[cell] = show(cell, contest(asked, 1, 1, rounds, seconds, partial(_advance, bar, task)))
    return result


def _advance(bar: Progress, task: TaskID) -> None:
    bar.advance(task)
    bar.refresh()


def main() -> int:
    """Start everything, measure, stop everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv/serving/bin/python", help="Python of the peers")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rounds, seconds = arguments.rounds, arguments.seconds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is stopped then too
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nudge-serving-")))
        nudge = Nudge(stack.enter_context(System(folder / "nudge")))
        weights = nudge.export(folder / "network.npz")
        ours, theirs = Path(sys.executable), arguments.peers
        ports = {
            "mlserver": peer(stack, theirs, "ml_server", weights, folder, free_port()),
            "litserve": peer(stack, theirs, "lit_serve", weights, folder),
            "fastapi": peer(stack, ours, "fastapi_routes", weights, folder),
            "bare_asgi": peer(stack, ours, "bare_asgi", weights, folder),
        }
        # Drawn between measurements alone: a thread that draws meanwhile would keep the load from asking.
        columns = (*Progress.get_default_columns(), TimeElapsedColumn())
        bar = stack.enter_context(Progress(*columns, console=console, auto_refresh=False))
        console.print(f"{rounds} rounds of {seconds:g} s each")
        result = measure(nudge, ports, rounds, seconds, bar)
    print(json.dumps({"serving": result}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
