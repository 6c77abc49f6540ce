"""Database(url): one engine a process, short transactions, and the errors of an absent server made plain."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url, text

from store.crash_points import reach
from store.errors import Unavailable

try:  # Debian 12 ships SQLite 3.40, whose WAL can be corrupted by two connections (mended in 3.51.3).
    from pysqlite3 import dbapi2 as sqlite
except ImportError:
    import sqlite3 as sqlite

# What SQLite says when the trouble is outside: locks, disk, folder. Anything else is a mistake of ours.
OUTAGES = frozenset(
    {
        sqlite.SQLITE_BUSY,
        sqlite.SQLITE_LOCKED,
        sqlite.SQLITE_FULL,
        sqlite.SQLITE_IOERR,
        sqlite.SQLITE_CANTOPEN,
        sqlite.SQLITE_READONLY,
        sqlite.SQLITE_PROTOCOL,
        sqlite.SQLITE_INTERRUPT,
        sqlite.SQLITE_NOMEM,
    }
)
# A server that is gone without a word is noticed within ten seconds, not after TCP's many minutes.
KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# A process that is frozen in the middle of a transaction loses its locks, or nobody could go on in its place.
FROZEN_S = 10.0
WAIT_S = 4.0  # how long a lock, a pool slot or a server is waited for before the caller hears 503


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


class Database:
    """A PostgreSQL or SQLite database. Nothing opens before the first transaction; make it after a fork."""

    def __init__(self, url: str, pool_size: int = 8) -> None:
        self.url = make_url(url)
        self.pool_size = pool_size
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        # SQLite serves one writer at a time: waiting in line here is fair, waiting inside SQLite is a lottery.
        self._writer = threading.Lock()

    @cached_property
    def engine(self) -> Engine:
        """The engine, made at first use."""
        pool = {"pool_size": self.pool_size, "max_overflow": 4, "pool_timeout": WAIT_S}
        codec = {"json_serializer": _dumps, "json_deserializer": orjson.loads}
        if not self.is_sqlite:
            limits = f"-c lock_timeout={WAIT_S:.0f}s -c statement_timeout=20s -c timezone=UTC"
            limits += f" -c idle_in_transaction_session_timeout={FROZEN_S:.0f}s"
            arguments = {"connect_timeout": int(WAIT_S), "options": limits, "prepare_threshold": 2, **KEEPALIVE}
            return create_engine(self.url, pool_pre_ping=True, connect_args=arguments, **pool, **codec)
        arguments = {"check_same_thread": False, "timeout": WAIT_S, "cached_statements": 256}
        engine = create_engine(self.url, module=sqlite, connect_args=arguments, **pool, **codec)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    @contextmanager
    def transaction(self, name: str = "other") -> Iterator[Connection]:
        """A write transaction: committed at the end of the block, rolled back on an error.

        `name` is that of its crash points.

        Raises:
            Unavailable: the server cannot be reached, or the line of writers is too long.
        """
        with self._turn(), plain_errors(), self.engine.connect() as connection:
            connection.execution_options(writes=True)
            with connection.begin():
                yield connection
                reach(f"{name}.before_commit")
        reach(f"{name}.committed")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction: one consistent view on SQLite, one view per statement on PostgreSQL."""
        with plain_errors(), self.engine.connect() as connection, connection.begin():
            yield connection

    def check(self) -> None:
        """Ask the server for a sign of life; raises Unavailable."""
        with self.reading() as connection:
            connection.execute(text("SELECT 1"))

    def dispose(self) -> None:
        """Close every connection."""
        if "engine" in self.__dict__:
            self.engine.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self.is_sqlite:
            yield
            return
        if not self._writer.acquire(timeout=WAIT_S):
            raise Unavailable("too many writers wait for the database")
        try:
            yield
        finally:
            self._writer.release()


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what SQLAlchemy says of a missing, locked or overrun server into Unavailable."""
    try:
        yield
    except exc.TimeoutError as error:
        raise Unavailable("every database connection is taken") from error
    except (exc.OperationalError, exc.InterfaceError, exc.InternalError) as error:
        code = getattr(error.orig, "sqlite_errorcode", None)
        if code is not None and code & 0xFF not in OUTAGES:
            raise
        raise Unavailable(str(error.orig or error).strip().splitlines()[0]) from error
    except exc.DBAPIError as error:
        if error.connection_invalidated:
            raise Unavailable("the database connection broke") from error
        raise


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver's guess
    cursor = connection.cursor()
    # FULL: a commit is on the disk before anyone hears of it; WAL makes that one sync.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={int(WAIT_S * 1000)}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once: a read that is upgraded later could only fail.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
