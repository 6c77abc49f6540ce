"""A server process that cannot outlive the tests, however they end."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

from standalone.lifeline import dies_with_parent


class ServerProcess:
    """Starts `command`, waits until `ready` says yes, and stops it for certain.

    The kernel sends `death_signal` when the thread that started the process ends, so that nothing is left
    behind by a test run that is killed. All of this is bounded: starting by `start_s`, stopping by `stop_s`.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        user: int | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        death_signal: signal.Signals = signal.SIGKILL,
        start_s: float = 180.0,
        stop_s: float = 30.0,
    ) -> None:
        self.command = [str(part) for part in command]
        self.log = log
        self._ready = ready
        self._environment = environment
        self._user = user
        self._stop_signal = stop_signal
        self._death_signal = death_signal
        self._start_s = start_s
        self._stop_s = stop_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while the process runs."""
        assert self._process is not None, "not started"
        return self._process.poll()

    def start(self) -> None:
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Start without waiting, so that several can become ready at the same time."""
        assert self._process is None or self._process.poll() is not None, "already running"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if self._environment is None else dict(self._environment),
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
                preexec_fn=dies_with_parent(self._death_signal),  # noqa: PLW1509 (one C call)
                process_group=0,
            )

    def await_ready(self) -> None:
        """Raises RuntimeError, with what the server said last, when it ends or is too slow."""
        assert self._process is not None, "not started"
        deadline = time.monotonic() + self._start_s
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.command[0]} did not start:\n{self.last_words()}")
            time.sleep(0.01)

    def wait(self, timeout: float) -> int:
        """The exit status; raises subprocess.TimeoutExpired."""
        assert self._process is not None, "not started"
        return self._process.wait(timeout)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None, "not started"
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to the process and its group, as a fault would do it."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
            self._process.send_signal(signal.SIGCONT)  # a frozen process could not obey
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._stop_s)
        self.kill()

    def last_words(self, characters: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""


def answers(url: str) -> bool:
    """Whether a GET is answered with 200. It is asked again and again, so no certificates are loaded for it."""
    try:
        return httpx.get(url, timeout=20, trust_env=False, verify=False).status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> int:
    """A loopback port that nobody but a server which asks for this very number gets, until this process ends."""
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server with the same option may listen on it
    probe.bind(("127.0.0.1", 0))
    port: int = probe.getsockname()[1]
    if sys.platform == "linux":
        _KEPT.append(probe)
    else:  # the probe would be in the server's way
        probe.close()
    return port


_KEPT: list[socket.socket] = []
