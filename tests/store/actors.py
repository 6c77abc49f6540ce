"""Who acts on jobs besides their clients, with what each of them knows: workers and watchers."""

from collections.abc import Callable
from dataclasses import dataclass

from store.holds import Hold as Claim
from tests.store.life import Life, Sign


@dataclass(eq=False, kw_only=True)
class Hold:
    """A worker that claimed a job of either kind. Whether the job is still its own, it does not know."""

    life: Life
    claim: Claim
    signed_at: float  # its last sign of life on the monotonic clock
    dead: bool = False
    report: Callable[[], None] | None = None  # its last one, to be repeated

    def __repr__(self) -> str:
        return f"attempt {self.claim.attempt} of {self.life}"

    @property
    def holds(self) -> bool:
        """Whether the job is its own."""
        standing = self.life.standing
        return not self.life.deleted and (standing.status, standing.attempt) == ("running", self.claim.attempt)


class Looks:
    """All that one watcher ever saw: it may take a job that stood unchanged for a lease in which it kept looking."""

    def __init__(self, lease_s: float, longest_pause_s: float) -> None:
        self.lease_s = lease_s
        self.longest_pause_s = longest_pause_s
        self._looks: list[tuple[float, dict[str, Sign]]] = []

    def look(self, now: float, running: dict[str, Sign]) -> set[str]:
        """See the signs of life of every running job; gives those jobs that may be taken."""
        self._looks.append((now, running))
        return {job_id for job_id, sign in running.items() if now - self._since(job_id, sign) >= self.lease_s}

    def _since(self, job_id: str, sign: Sign) -> float:
        since = self._looks[-1][0]
        for moment, seen in reversed(self._looks):
            if since - moment > self.longest_pause_s or seen.get(job_id) != sign:
                break
            since = moment
        return since
