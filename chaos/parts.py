"""A part of the house: a process that may be killed, frozen or told to stop, and that is started again."""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from chaos.agenda import Agenda
from tests.infrastructure.process import ServerProcess

OBEDIENCE_S = 30.0  # a part that was told to stop and still runs after so long is killed, and that is told
LONGEST_DOWN_S = 1.0


class Part:
    """`wound` is called when it is hurt, `heal` when it may work again."""

    def __init__(
        self,
        name: str,
        process: ServerProcess,
        draw: random.Random,
        wound: Callable[[], None] = lambda: None,
        heal: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.process = process
        self.wound, self.heal = wound, heal
        self.disobeyed = 0
        self.unasked = 0  # ends that nobody caused
        self._draw = draw
        self._frozen = 0
        self._told: float | None = None
        self._hurt = False
        self._due: float | None = None

    @property
    def up(self) -> bool:
        """Whether it runs, awake, and nobody asked it to end."""
        return self.running and not self._frozen and self._told is None

    @property
    def running(self) -> bool:
        """Whether there is a process, be it frozen."""
        return self.process.returncode is None

    def tree(self) -> list[psutil.Process]:
        """The process and all its descendants."""
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        return []

    def trainers(self) -> list[psutil.Process]:
        """A worker's trainers: the grandchildren that its warm parent forked."""
        with suppress(psutil.NoSuchProcess):
            return [trainer for parent in psutil.Process(self.process.pid).children() for trainer in parent.children()]
        return []

    def kill(self) -> None:
        """SIGKILL to it and all its descendants."""
        self._begin()
        self.process.kill()

    def kill_alone(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it at once; what becomes of its descendants is their own affair."""
        self._begin()
        self.process.send(number)

    def tell_to_stop(self) -> None:
        """SIGTERM."""
        self._begin()
        self._told = time.monotonic()
        self.process.send(signal.SIGTERM)

    def freeze(self, agenda: Agenda, seconds: float, *, alone: bool = False) -> None:
        """SIGSTOP to it (and its descendants), SIGCONT after some seconds."""
        self._begin()
        self._frozen += 1

        def thaw() -> None:
            self._frozen -= 1
            self.heal()

        hold(self.tree()[:1] if alone else self.tree(), agenda, seconds, thaw)

    def care(self) -> None:
        """Start it again, a moment after it ended."""
        now = time.monotonic()
        if self.running:
            if self._told is not None and now - self._told > OBEDIENCE_S and not self._frozen:
                self.disobeyed += 1
                self._told = now
                self.process.send(signal.SIGABRT)  # its log then shows where each thread stands
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(5)
                self.process.kill()
            return
        if self._due is None:
            self.unasked += not self._hurt
            self.wound()
            self._due = now + self._draw.uniform(0.0, LONGEST_DOWN_S)
        elif now >= self._due:
            self._due, self._told, self._hurt = None, None, False
            self.process.launch()
            self.heal()

    def _begin(self) -> None:
        self._hurt = True
        self.wound()


def hold(
    processes: list[psutil.Process], agenda: Agenda, seconds: float, then: Callable[[], None] = lambda: None
) -> None:
    """SIGSTOP to all of them, parents first; SIGCONT after some seconds to those that still are."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.suspend()

    def wake() -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        then()

    agenda.after(seconds, wake)
