"""What is to be done when: everything that starts or ends a process happens in one thread, in order."""

import heapq
import itertools
import time
from collections.abc import Callable


class Agenda:
    """Actions with their times, on the monotonic clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do it in `delay_s` seconds."""
        heapq.heappush(self._heap, (time.monotonic() + delay_s, next(self._count), action))

    def every(self, period_s: float, action: Callable[[], None]) -> None:
        """Do it now and then, until the run ends."""

        def again() -> None:
            action()
            self.after(period_s, again)

        self.after(0.0, again)

    def run(self, until: Callable[[], bool]) -> None:
        """Do what is due until `until` says so."""
        while not until():
            now = time.monotonic()
            if self._heap and self._heap[0][0] <= now:
                heapq.heappop(self._heap)[2]()
            else:
                time.sleep(min(0.05, max(0.0, self._heap[0][0] - now)) if self._heap else 0.05)
