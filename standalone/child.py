"""One process of the tree: started in a group of its own, stopped together with all it started."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

from standalone.lifeline import dies_with_parent
from standalone.logs import Log

KILLED_S = 5.0  # for SIGKILL to do its work


class Child:
    """A command with its environment and its log; it may be started again after it died.

    A group of its own keeps the terminal's Ctrl-C away from it: only the supervisor decides who stops when.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Log, stop_s: float
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = dict(environment)
        self.log = log
        self.stop_s = stop_s
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._swept = True

    def start(self) -> None:
        with self.log.opened() as output:
            self._process = subprocess.Popen(  # noqa: S603 (our own commands)
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
                preexec_fn=dies_with_parent(signal.SIGKILL),  # noqa: PLW1509 (there is one thread)
            )
        self._started = time.monotonic()
        self._swept = False

    @property
    def returncode(self) -> int | None:
        """None while the process runs, and before it was started."""
        return None if self._process is None else self._process.poll()

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self._started

    def stop(self) -> None:
        """Ask it to end, wait up to `stop_s` seconds, then kill what is left of its group."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            self._process.send_signal(signal.SIGCONT)  # a process that was frozen could not obey
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self.stop_s)
        self.sweep()

    def sweep(self) -> None:
        """Kill every process of the group; the child itself, too, if it still runs.

        Once only: afterwards the number of the group may belong to strangers.
        """
        if self._process is None or self._swept:
            return
        self._swept = True
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: zombies answer EPERM
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(KILLED_S)

    def how_it_ended(self) -> str:
        """For people: "ended with status 1", "was killed by SIGSEGV"."""
        code = self.returncode
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with status {code}"
