"""When to start a child again, and when to give up."""

from dataclasses import dataclass


@dataclass
class RestartPolicy:
    """Waits twice as long after each quick death; after `patience` of them in a row there is no hope.

    A child that lived for `quick_s` seconds is forgiven its past.
    """

    first_delay_s: float = 0.25
    longest_delay_s: float = 5.0
    quick_s: float = 10.0
    patience: int = 5
    quick_deaths: int = 0

    def delay_after(self, uptime_s: float) -> float | None:
        """Seconds to wait before the next start of a child that lived `uptime_s`; None means give up."""
        self.quick_deaths = self.quick_deaths + 1 if uptime_s < self.quick_s else 1
        if self.quick_deaths >= self.patience:
            return None
        return min(self.longest_delay_s, self.first_delay_s * 2.0 ** (self.quick_deaths - 1))
