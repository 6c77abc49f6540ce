"""When the server could not be expected to answer, so that a broken connection is no fault of its own."""

import math
import threading
import time

MARGIN_S = 0.5
START_S = 120.0  # a server that was started or woken and still does not answer after so long has no excuse


class Outages:
    """Spans on the monotonic clock, from a wound to the first answer after the last mending."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[list[float]] = []  # [begin, end], the last one perhaps open
        self._healed: float | None = None

    def begin(self) -> None:
        with self._lock:
            self._healed = None
            if not self._spans or self._spans[-1][1] < math.inf:
                self._spans.append([time.monotonic(), math.inf])

    @property
    def open(self) -> bool:
        """Whether no answer came since the last wound."""
        with self._lock:
            return bool(self._spans) and self._spans[-1][1] == math.inf

    def heal(self) -> None:
        """It was started, or woke up."""
        with self._lock:
            self._healed = time.monotonic()

    def answered(self, asked: float) -> None:
        """A request that was sent at this time has been answered."""
        with self._lock:
            if self._healed is not None and asked > self._healed and self._spans and self._spans[-1][1] == math.inf:
                self._spans[-1][1] = time.monotonic()

    def excuse(self, asked: float, failed: float) -> bool:
        """Whether a request between these times may have met no server."""
        with self._lock:
            for begin, end in reversed(self._spans):
                if end == math.inf and self._healed is not None:
                    end = self._healed + START_S  # noqa: PLW2901
                if asked - MARGIN_S < end and begin < failed + MARGIN_S:
                    return True
        return False
