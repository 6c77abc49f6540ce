"""Keeps children running until it is told to stop, then stops them in reverse order of their start."""

import contextlib
import select
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

from standalone.child import Child
from standalone.restarts import RestartPolicy

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TICK_S = 1.0


class StopAsked(Exception):
    """A signal asked us to stop while we were waiting for something else."""


class ChildFailed(Exception):
    """A child died when it was needed, or died too often; the message says what its log said last."""

    def __init__(self, child: Child, what: str) -> None:
        words = child.log.last_lines()
        where = f"\nIts last words in {child.log.path}:\n{words}" if words else ""
        super().__init__(f"The {child.name} {what}.{where}")


class Supervisor:
    """A context manager: from its beginning on it owns the stop signals, and at its end it stops every child.

    A second signal is as harmless as it is useless: stopping is bounded by the children's own `stop_s`.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._children: list[Child] = []
        self._stop_asked = False
        self._bell, self._ringer = socket.socketpair()

    def __enter__(self) -> Self:
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        signal.set_wakeup_fd(self._ringer.fileno(), warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, self._ask_to_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler at all, so that a death rings the bell
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stop_asked:
            self._say("Stopping ...")
        for child in reversed(self._children):
            child.stop()
        for number in STOP_SIGNALS:  # all is stopped; one more signal must not change how this process ends
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        self._bell.close()
        self._ringer.close()

    def start(self, child: Child) -> None:
        self._children.append(child)
        child.start()

    def run_to_end(self, child: Child, within_s: float) -> None:
        """Run a child that does one thing and ends. Raises ChildFailed, StopAsked."""
        child.start()
        deadline = time.monotonic() + within_s
        try:
            while child.returncode is None:
                if time.monotonic() > deadline:
                    raise ChildFailed(child, f"did not end within {within_s:.0f} seconds")
                self._pause(TICK_S)
            if child.returncode != 0:
                raise ChildFailed(child, child.how_it_ended())
        finally:
            child.stop()

    def wait_for(self, child: Child, ready: Callable[[], bool], within_s: float) -> None:
        """Wait until `ready` says yes; no child may die meanwhile. Raises ChildFailed, StopAsked."""
        deadline = time.monotonic() + within_s
        while not ready():
            for each in self._children:
                if each.returncode is not None:
                    raise ChildFailed(each, each.how_it_ended())
            if time.monotonic() > deadline:
                raise ChildFailed(child, f"was not ready within {within_s:.0f} seconds")
            self._pause(0.02)

    def keep_running(self) -> None:
        """Restart children that die, until a signal asks to stop. Raises ChildFailed when one dies too often."""
        policies = {child: RestartPolicy() for child in self._children}
        due: dict[Child, float] = {}
        with contextlib.suppress(StopAsked):
            while True:
                now = time.monotonic()
                for child in self._children:
                    child.log.keep_bounded()
                    if child in due:
                        if now >= due[child]:
                            del due[child]
                            child.start()
                    elif child.returncode is not None:
                        due[child] = now + self._bury(child, policies[child])
                self._pause(max(0.0, min([TICK_S, *(at - time.monotonic() for at in due.values())])))

    def _bury(self, child: Child, policy: RestartPolicy) -> float:
        delay_s = policy.delay_after(child.uptime_s)
        child.sweep()
        if delay_s is None:
            raise ChildFailed(child, f"{child.how_it_ended()}, {policy.patience} times in quick succession")
        self._say(f"The {child.name} {child.how_it_ended()}; starting it again in {delay_s:g} s.")
        return delay_s

    def _pause(self, seconds: float) -> None:
        """Sleep until a signal or a child's death rings, at most `seconds`. Raises StopAsked."""
        if not self._stop_asked:
            select.select([self._bell], [], [], seconds)
            with contextlib.suppress(BlockingIOError):
                self._bell.recv(4096)
        if self._stop_asked:
            raise StopAsked

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_asked = True
