"""A long run: what is over is verified and deleted, and every ten seconds everything that might grow is measured."""

import statistics
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
from sqlalchemy import func, select

from chaos import curves
from chaos.caller import Caller
from chaos.checker import Checker
from chaos.house import House
from chaos.ledger import Known, Ledger
from chaos.parts import Part
from chaos.references import Outcome
from chaos.report import Report
from store import tables
from store.errors import Unavailable

EVERY_S = 10.0
MB = 1e6
SPARED_WORKER = "worker-0"


class Soak:
    """A thread that deletes and one that measures."""

    def __init__(self, house: House, ledger: Ledger, references: dict[str, Outcome], report: Report) -> None:
        self.house, self.ledger, self.report = house, ledger, report
        self._caller = Caller(house.url, house.outages, ledger)
        self._checker = Checker(house.database, house.blobs, self._caller, ledger, references)
        self._wrong: set[str] = set()
        self._over = threading.Event()
        self._began = time.monotonic()
        self.samples: list[dict[str, float]] = []
        self._threads = [threading.Thread(target=loop, daemon=True) for loop in (self._sweep, self._measure)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(120)
        self._caller.close()

    def _sweep(self) -> None:
        while not self._over.wait(1.0):
            with self.ledger.lock:
                settled = [known for known in self.ledger.jobs.values() if known.settled]
                settled = [known for known in settled if known.id not in self._wrong]
            for known in settled:
                with suppress(Unavailable, TimeoutError):
                    self._verify_and_delete(known)

    def _verify_and_delete(self, known: Known) -> None:
        if self._checker.check(known):
            self._wrong.add(known.id)  # it stays, and is found again at the end
            return
        self.report.time(self.house, self.ledger, known.id)
        model = self._caller.insist("GET", f"/v1/jobs/{known.id}", {200}).json()["model"]
        self.ledger.forget(known.id)
        self._caller.insist("DELETE", f"/v1/jobs/{known.id}", {204, 404})
        if model is not None and model not in self.ledger.asked:
            self._caller.insist("DELETE", f"/v1/models/{model}", {204, 404})

    def _measure(self) -> None:
        while not self._over.wait(EVERY_S):
            with suppress(Unavailable, psutil.Error, httpx.HTTPError):
                self.samples.append({"s": time.monotonic() - self._began, **self._sample()})

    def _sample(self) -> dict[str, float]:
        house = self.house
        workers = [_root(part) for part in house.workers]
        server = [_root(house.server)]
        lasting = [_root(part) for part in house.workers if part.name == SPARED_WORKER]
        trainers = [trainer for part in house.workers for trainer in part.trainers()]
        sample = {
            "server_mb": _memory(server),
            "spared_worker_mb": _memory(lasting),
            "all_workers_mb": _memory(workers),
            "trainers_mb": _memory(trainers),
            "server_files": _files(server),
            "spared_worker_files": _files(lasting),
            "all_workers_files": _files(workers),
            "wal_mb": self._wal() / MB,
            "blobs_mb": _size(house.folder / "blobs") / MB,
        }
        with house.database.reading() as connection:
            for table in tables.metadata.sorted_tables:
                sample[f"rows_{table.name}"] = connection.scalar(select(func.count()).select_from(table)) or 0
        return sample

    def _wal(self) -> float:
        if self.house.postgres is not None:
            return _size(self.house.postgres.folder / "postgres" / "pg_wal")
        return _size(self.house.folder / "nudge.db-wal")

    def tell(self, curve: Path | None) -> None:
        """The first and the last quarter of each series; the curve where it is wanted."""
        if len(self.samples) < 4:
            return
        quarter = len(self.samples) // 4
        for name in self.samples[0]:
            if name != "s":
                values = [sample[name] for sample in self.samples]
                first, last = statistics.mean(values[:quarter]), statistics.mean(values[-quarter:])
                print(f"{name}: first quarter {first:.1f}, last quarter {last:.1f}")
        if curve is not None:
            curves.write(curve, self.samples)


def _root(part: Part) -> psutil.Process:
    return psutil.Process(part.process.pid)


def _memory(processes: list[psutil.Process]) -> float:
    """Their proportional share of memory in megabytes."""
    return sum(process.memory_full_info().pss for process in processes) / MB


def _files(processes: list[psutil.Process]) -> float:
    return sum(process.num_fds() for process in processes)


def _size(path: Path) -> float:
    """Bytes of a file or of all files below a folder."""
    total = 0
    for file in [path] if path.is_file() else path.rglob("*"):
        with suppress(FileNotFoundError):
            total += file.stat().st_size if file.is_file() else 0
    return total
