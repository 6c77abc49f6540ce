"""The whole system for the time of a `with` block: `with System(folder, port=None) as system: ... system.url`."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from standalone.data_lock import owner
from standalone.lifeline import dies_with_parent

START_S = 120.0
STOP_S = 45.0


class System:
    """`nudged up` as a child process; use it from the main thread, since it stops when that thread ends.

    `port` None takes any free one. `environment` is added to this process's own. Unless `quiet`, what the
    system says goes to standard error. Raises RuntimeError when it cannot start, with its reasons.
    """

    def __init__(
        self,
        data: Path,
        port: int | None = None,
        quiet: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.data = data
        self.url = ""
        self._arguments = ["--data", str(data), "--port", str(port or 0)]
        self._environment = os.environ | dict(environment or {})
        self._quiet = quiet
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        assert self._process is not None, "not started"
        return self._process.pid

    def __enter__(self) -> Self:
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._said.open("w+b") as said:
            self._process = subprocess.Popen(  # noqa: S603 (our own command)
                [sys.executable, "-P", "-m", "standalone", "up", *self._arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=said if self._quiet else sys.stderr,
                stderr=said if self._quiet else sys.stderr,
                process_group=0,
                preexec_fn=dies_with_parent(signal.SIGTERM),  # noqa: PLW1509 (asked for the main thread)
            )
        deadline = time.monotonic() + START_S
        while not (found := owner(self.data)).get("url") or found["pid"] != self._process.pid:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                reason = self._said.read_text(errors="replace").strip() or "it was too slow"
                raise RuntimeError(f"The system did not start: {reason}")
            time.sleep(0.02)
        self.url = found["url"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """Stop everything and answer the supervisor's exit status; before the start, or again, it does nothing."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        self._process.kill()
        return self._process.wait()

    @property
    def _said(self) -> Path:
        return self.data / "up.log"
