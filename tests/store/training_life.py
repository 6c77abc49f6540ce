"""The model of one training, and the worker that trains it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from tests.store.actors import Hold
from tests.store.life import Life, Place

START: Place = (0, 0)
STEPS = 5  # checkpoints within an epoch, at most


@dataclass(frozen=True)
class Body:
    """What a client asks for: epochs, lost workers that are allowed, checkpoints that are kept."""

    epochs: int
    attempts: int
    keep: int


class TrainingLife(Life):
    """A training; what may be damaged are its checkpoints."""

    body: Body

    def resume_from(self) -> Place:
        """Where a worker that takes it now begins: the newest checkpoint that can be read."""
        return max(self.standing.kept.keys() - self.damaged, default=START)

    def report(self, epochs: Sequence[int], checkpoints: Sequence[tuple[Place, str]], best: Place | None) -> None:
        """Its worker reports finished epochs, and checkpoints as (place, digest) in the order of training."""
        standing = self.standing
        standing.heartbeat += 1
        for epoch in epochs:
            if epoch > standing.epoch:
                standing.epoch = epoch
                standing.measured[epoch] = standing.attempt
                standing.events.append("epoch")
        for place, digest in checkpoints:
            self.damaged.discard(place)
            if standing.kept.get(place) != digest:
                standing.kept[place] = digest
                standing.fruitless = 0
                standing.events.append("checkpoint")
            standing.newest = place
        if checkpoints:
            standing.best = best or standing.best
            self._forget()

    def finish(self, from_best: bool, now: float) -> None:
        """Its worker came to the end, and its model is there unless it is cancelled."""
        standing = self.standing
        if not standing.cancel:
            source = standing.best if from_best and standing.best else standing.newest
            assert source is not None
            standing.model = standing.kept[source]
        self.succeed(now)

    def _forget(self) -> None:
        """Keep the newest places between epochs, two of the running epoch, and those that have a name."""
        standing = self.standing
        newest_first = sorted(standing.kept, reverse=True)
        between = [place for place in newest_first if place[1] == 0][: self.body.keep]
        within = list(takewhile(lambda place: place[1] > 0, newest_first))[:2]
        for place in {*newest_first} - {*between, *within, standing.newest, standing.best}:
            del standing.kept[place]


@dataclass(eq=False, kw_only=True)
class TrainingHold(Hold):
    """A worker that trains."""

    life: TrainingLife
    place: Place  # where its training stands
    kept: Place  # where its newest checkpoint stands
    trained: bool = False  # anything at all

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
