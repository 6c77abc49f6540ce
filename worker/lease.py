"""The lease of a claimed job, renewed by a thread of its own from the claim to the end.

Whatever its supervisor does meanwhile (fetching a dataset, storing a checkpoint, waiting for half a message), the owner
shows that it lives. It stops doing so, and kills the trainer, when the trainer hangs, does not stop when asked to, or
when the store could not be reached for so long that somebody else may have the job.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from store.claims import Claims
from store.errors import StaleAttempt, Unavailable
from store.holds import Hold, Orders
from store.progress import Progress
from worker.settings import WorkerSettings

STOP_PATIENCE_S = 8.0  # a trainer that is asked to stop gets so long to bring its checkpoint


class LeaseLapsed(Exception):
    """The lease was not renewed for so long that another worker may have the job by now."""


class TrainerLost(Exception):
    """The trainer died, hung, or did not obey; the message says how."""


class Lease:
    """Use as a context manager around everything that is done with a claim."""

    def __init__(self, claims: Claims, claim: Hold, settings: WorkerSettings) -> None:
        self._claims, self._claim, self._settings = claims, claim, settings
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._renewed = self._moved = time.monotonic()
        self._stopping: float | None = None
        self._trouble: Exception | None = None
        self._kill: Callable[[], None] | None = None
        self._busy = False
        self.progress: Progress | None = None
        self.orders = Orders(cancel=False, pause=False)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Raise what ended the lease: StaleAttempt, LeaseLapsed or TrainerLost."""
        if self._trouble is not None:
            raise self._trouble

    def watch(self, kill: Callable[[], None]) -> None:
        """A trainer runs from now on; `kill` ends it."""
        self.moved()
        self._kill = kill

    def moved(self, progress: Progress | None = None) -> None:
        """The trainer gave a sign of life."""
        self._moved = time.monotonic()
        self.progress = progress or self.progress

    def storing(self, busy: bool) -> None:
        """While its supervisor stores what it brought, a trainer may have to wait without being hung."""
        self._busy = busy
        self._moved = time.monotonic()

    def written(self, orders: Orders | None = None) -> None:
        """A write of this claim was accepted: that is as good as a renewal."""
        self._renewed = time.monotonic()
        self.orders = orders or self.orders

    def stopping(self) -> None:
        """The trainer was asked to stop."""
        self._stopping = time.monotonic()

    def _run(self) -> None:
        patience_s = min(self._settings.renew_s, self._settings.lease_s / 6)
        while not self._over.wait(patience_s):
            try:
                self._look()
                self._renew()
            except Exception as trouble:
                self._trouble = trouble
                if self._kill is not None:
                    self._kill()
                return

    def _look(self) -> None:
        now, settings = time.monotonic(), self._settings
        if self._kill is None or self._busy:
            return
        if self._stopping is not None and now - self._stopping > STOP_PATIENCE_S:
            raise TrainerLost(f"the trainer did not stop within {STOP_PATIENCE_S:.0f} s")
        if now - self._moved > settings.hang_s:
            raise TrainerLost(f"the trainer made no progress for {settings.hang_s:.0f} s")

    def _renew(self) -> None:
        if time.monotonic() - self._renewed < self._settings.renew_s / 2:
            return  # a report was just as good
        try:
            self.written(self._claims.renew(self._claim, self.progress))
        except StaleAttempt:
            if not self._over.is_set():  # the supervisor may have ended the job in this moment
                raise
        except Unavailable as error:
            if time.monotonic() - self._renewed > self._settings.lease_s * 2 / 3:
                raise LeaseLapsed(str(error)) from error
