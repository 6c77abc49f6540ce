"""The house under test: a server and workers as processes over a real database and, through a proxy, a real broker."""

import os
import random
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from sqlalchemy import select

from chaos.outages import Outages
from chaos.parts import Part
from chaos.proxy import Proxy
from store import tables
from store.blobs import Blobs
from store.database import Database
from store.errors import Unavailable
from store.lifecycle import Status
from store.migrate import migrate
from tests.infrastructure.postgres import PostgresServer
from tests.infrastructure.process import ServerProcess, answers, free_port
from tests.infrastructure.valkey import ValkeyServer

LEASE_S = 3.0
CADENCE = {
    "NUDGE_LEASE_S": f"{LEASE_S}",
    "NUDGE_RENEW_S": "0.5",
    "NUDGE_PART_S": "0.5",
    "NUDGE_HANG_S": "4.5",
    "NUDGE_RESCUE_S": "0.5",
    "NUDGE_OVERDUE_S": "1.5",
    "NUDGE_CONCURRENCY": "1",
    "PYTHONFAULTHANDLER": "1",
    "NUDGE_GIVE_WAY": "false",  # whoever runs this beside other work would starve the trainers
}


class House:
    """Everything that runs. `database` is the checker's own way to the rows."""

    def __init__(self, folder: Path, kind: str, workers: int, draw: random.Random, **settings: str) -> None:
        self.folder = folder
        self.kind = kind
        self.outages = Outages()
        self.valkey = ValkeyServer(_made(folder / "valkey"))
        self.proxy = Proxy(self.valkey.port)
        self.postgres = self._postgres() if kind == "postgresql" else None
        (folder / "tmp").mkdir()
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._settings = settings
        self._draw = draw
        self._workers = workers
        self.keep = False
        self.parts: list[Part] = []
        self.workers: list[Part] = []

    def start(self) -> None:
        """Start all of it and wait until it is ready; the thread that calls this must outlive it."""
        self.valkey.start()
        self.proxy.start()
        if self.postgres is not None:
            self.postgres.start()
            self.database_url = self.postgres.create("nudge")
        else:
            self.database_url = f"sqlite:///{self.folder / 'nudge.db'}"
        self.database = Database(self.database_url)
        migrate(self.database)
        self.blobs = Blobs(self.database, f"file://{self.folder / 'blobs'}", self.folder / "cache")
        self.server = Part("server", self._process("service"), self._draw, self.outages.begin, self.outages.heal)
        self.workers = [
            Part(f"worker-{number}", self._process("worker", number), self._draw) for number in range(self._workers)
        ]
        self.broker = Part("broker", self.valkey.process, self._draw)
        self.parts = [self.server, *self.workers, self.broker]
        if self.postgres is not None:
            self.parts.append(Part("database", self.postgres.process, self._draw))
        for part in (self.server, *self.workers):
            part.process.launch()
        for part in (self.server, *self.workers):
            part.process.await_ready()

    def stop(self) -> None:
        """Stop all of it, for certain."""
        for part in self.workers:
            with suppress(AssertionError):
                part.process.kill()
        if self.parts:
            self.server.process.stop()
        self.proxy.close()
        self.valkey.stop()
        if "database" in self.__dict__:
            self.database.dispose()
        if self.postgres is not None:
            self.postgres.stop()
        for process in self._remains():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def care(self) -> None:
        """Start again what ended."""
        for part in self.parts:
            part.care()

    @property
    def all_up(self) -> bool:
        """Whether every part runs and is awake."""
        return all(part.up for part in self.parts)

    def part(self, name: str) -> Part:
        """A part by its name."""
        return next(part for part in self.parts if part.name == name)

    def held_by(self, worker: Part) -> list[tuple[str, int]]:
        """(job, attempt) of what a worker trains now; nothing while the database is away."""
        job = tables.job
        owner = f"{socket.gethostname()}-{worker.process.pid}"
        query = select(job.c.id, job.c.attempt).where(job.c.owner == owner, job.c.status == str(Status.RUNNING))
        with suppress(Unavailable), self.database.reading() as connection:
            return [(row.id, row.attempt) for row in connection.execute(query)]
        return []

    def _postgres(self) -> PostgresServer:
        folder = _made(self.folder / "postgres")
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        return PostgresServer(folder)

    def _process(self, module: str, number: int = 0) -> ServerProcess:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("NUDGE_", "DATABASE_URL", "BROKER_URL", "BLOBS_URL"))
        }
        environment |= {
            "NUDGE_DATA": str(self.folder),
            "DATABASE_URL": self.database_url,
            "BROKER_URL": f"redis://127.0.0.1:{self.proxy.port}/0",
            "NUDGE_PORT": str(self._port),
            "TMPDIR": str(self.folder / "tmp"),
            **CADENCE,
            **self._settings,
        }
        log = self.folder / (f"{module}-{number}.log" if module == "worker" else f"{module}.log")
        ready = {
            "service": lambda: answers(f"{self.url}/readyz"),
            "worker": lambda: log.exists() and b"worker.ready" in log.read_bytes(),
        }[module]
        return ServerProcess([sys.executable, "-m", module], log, ready=ready, environment=environment)

    def _remains(self) -> Iterator[psutil.Process]:
        """What still runs of it: workers' children whose worker was killed alone."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("NUDGE_DATA") == str(self.folder) and process.pid != os.getpid():
                    yield process


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@contextmanager
def running(kind: str, workers: int, draw: random.Random, **settings: str) -> Iterator[House]:
    """A started house in a folder of its own, which goes with it unless the block sets `house.keep`."""
    # Short, for sockets; open to others, for PostgreSQL, which root runs as nobody.
    folder = Path(tempfile.mkdtemp(prefix=f"nudge-chaos-{os.getpid()}-", dir="/tmp"))
    folder.chmod(0o711)
    house = House(folder, kind, workers, draw, **settings)
    try:
        house.start()
        yield house
    except Exception:
        house.keep = True
        print(f"kept for a look: {folder}")
        raise
    finally:
        house.stop()
        if not house.keep:
            shutil.rmtree(folder)
