"""Who acts on jobs besides their clients, with what each of them knows: workers and watchers."""

from collections.abc import Callable
from dataclasses import dataclass

from store.holds import Claim
from tests.store.life import STEPS, Life, Place, Sign


@dataclass(eq=False)
class Hold:
    """A worker that claimed a job. Whether the job is still its own, it does not know."""

    life: Life
    claim: Claim
    place: Place  # where its training stands
    kept: Place  # where its newest checkpoint stands
    signed_at: float  # its last sign of life on the monotonic clock
    trained: bool = False  # anything at all
    dead: bool = False
    report: Callable[[], None] | None = None  # its last one, to be repeated

    def __repr__(self) -> str:
        return f"attempt {self.claim.attempt} of {self.life}"

    @property
    def holds(self) -> bool:
        """Whether the job is its own."""
        standing = self.life.standing
        return not self.life.deleted and (standing.status, standing.attempt) == ("running", self.claim.attempt)

    @property
    def finished(self) -> bool:
        """Whether its training came to its end, or may stop early, with a checkpoint there."""
        at_end = self.trained or self.place[0] == self.life.body.epochs
        return at_end and self.kept == self.place and self.place[1] == 0

    @property
    def orders(self) -> str | None:
        """What it was told to do, and can do: it pauses with a new checkpoint only."""
        standing = self.life.standing
        if standing.cancel:
            return "cancel"
        return "pause" if standing.pause and self.trained and self.kept == self.place else None

    def train(self, epochs: int, keep: str, best: bool) -> tuple[range, Place, list[Place], Place | None]:
        """What some epochs of training, or a part of one, lead to.

        Gives the epochs that end, where training stands then, the places of its checkpoints, and the best one of these.
        """
        most = self.life.body.epochs
        done = range(self.place[0] + 1, min(self.place[0] + epochs, most) + 1)
        end = (done[-1], 0) if done else self.place
        if keep == "step" and end[0] < most and end[1] < STEPS:
            end = (end[0], end[1] + 1)
        best_place = (done[0], 0) if best and done else None
        places = {best_place} if best_place else set()
        if keep != "nothing" and end != self.place:
            places.add(end)
        return done, end, sorted(places), best_place


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
