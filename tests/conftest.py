"""Real servers for the tests: each test process starts its own, on loopback, and always stops them."""

import itertools
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.infrastructure.postgres import PostgresServer, running_postgres
from tests.infrastructure.valkey import ValkeyServer, running_valkey

# A shell's background job ignores it, and so would all that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about the machine than about the code.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("untimed", untimed)
settings.register_profile("deep", untimed, max_examples=500, stateful_step_count=60, print_blob=True)
settings.load_profile("untimed")

# What takes longest goes first and what takes least goes last, so that several processes end at about the same time.
FIRST, LAST = {"crash", "worker", "faults"}, {"core"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in order, folder by folder."""

    def place(item: pytest.Item) -> int:
        folders = item.nodeid.split("/")
        return -1 if FIRST.intersection(folders) else len(LAST.intersection(folders))

    items.sort(key=place)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder with a short path that any user may pass through, for sockets and servers' data."""
    folder = Path(tempfile.mkdtemp(prefix="nudge-test-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[PostgresServer]:
    """PostgreSQL itself, shared by the tests of this process; a test that stops it must start it again."""
    folder = server_folder / "postgres"
    folder.mkdir()
    with running_postgres(folder) as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[Callable[..., str]]:
    """Each call makes a database, empty or a copy of `template`, and answers its SQLAlchemy URL."""
    names: list[str] = []

    def create(template: str = "template1") -> str:
        names.append(f"test_{next(_NUMBERS)}")
        return postgres_server.create(names[-1], template)

    yield create
    for name in names:
        postgres_server.drop(name)


@pytest.fixture
def postgres_url(postgres_database: Callable[..., str]) -> str:
    """The SQLAlchemy URL of a fresh, empty PostgreSQL database."""
    return postgres_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The SQLAlchemy URL of a fresh, empty database: the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'nudge.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def broker_server(server_folder: Path) -> Iterator[ValkeyServer]:
    """Valkey itself, shared by the tests of this process."""
    folder = server_folder / "valkey"
    folder.mkdir()
    with running_valkey(folder) as server:
        yield server


@pytest.fixture
def broker_url(broker_server: ValkeyServer) -> str:
    """An emptied broker over a unix socket (`redis+socket://...`)."""
    with broker_server.connect() as connection:
        connection.flushall()
    return broker_server.url


@pytest.fixture
def broker_tcp_url(broker_server: ValkeyServer, broker_url: str) -> str:
    """The same emptied broker over TCP (`redis://127.0.0.1:...`)."""
    return broker_server.tcp_url


@pytest.fixture
def private_broker(server_folder: Path) -> Iterator[ValkeyServer]:
    """A broker for one test alone, which may kill, freeze, stop and start it."""
    folder = server_folder / f"valkey-{next(_NUMBERS)}"
    folder.mkdir()
    with running_valkey(folder) as server:
        yield server


_NUMBERS = itertools.count(1)
