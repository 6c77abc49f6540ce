"""How a job must stand, told without SQL by what was asked of it; and the laws that hold whatever was asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from store.holds import Orders
from store.lifecycle import NOTICES, OVER, TRANSITIONS, Status

Place = tuple[int, int]  # whole epochs, batches of the next one
Sign = tuple[int, int]  # attempt, heartbeat
START: Place = (0, 0)
STEPS = 5  # checkpoints within an epoch, at most


@dataclass(frozen=True)
class Body:
    """What a client asks for: epochs, lost workers that are allowed, checkpoints that are kept."""

    epochs: int
    attempts: int
    keep: int


@dataclass
class Standing:
    """One job in the database, or in the model of it."""

    status: str = "queued"
    attempt: int = 0
    fruitless: int = 0
    heartbeat: int = 0
    owner: str | None = None
    cancel: bool = False
    pause: bool = False
    epoch: int = 0
    measured: dict[int, int] = field(default_factory=dict)  # epoch: the attempt that reported it first
    kept: dict[Place, str] = field(default_factory=dict)  # place: digest
    newest: Place | None = None
    best: Place | None = None
    model: str | None = None  # digest
    events: list[str] = field(default_factory=lambda: ["queued"])


class Life:
    """The model of one job: each method is what the store promises of the call with its name."""

    def __init__(self, number: int, job_id: str, body: Body, queued_at: float) -> None:
        self.number = number
        self.job_id = job_id
        self.body = body
        self.queued_at = queued_at
        self.standing = Standing()
        self.damaged: set[Place] = set()
        self.once_damaged: set[Place] = set()
        self.deleted = False

    def __repr__(self) -> str:
        return f"job {self.number}"

    @property
    def waits(self) -> bool:
        """Whether a worker can take it."""
        return not self.deleted and self.standing.status == "queued"

    @property
    def sign(self) -> Sign:
        """What a watcher sees while it runs."""
        return self.standing.attempt, self.standing.heartbeat

    @property
    def orders(self) -> Orders:
        """What its worker must hear."""
        return Orders(self.standing.cancel, self.standing.pause)

    def legal(self, name: str) -> bool:
        """Whether its owner may ask for `name` now."""
        standing = self.standing
        if name == "delete":
            return standing.status in OVER
        if standing.status == "running":
            if name == "resume":  # a pause that is pending is taken back
                return standing.pause and not standing.cancel
            if name == "pause" and standing.cancel:
                return False
        return standing.status in TRANSITIONS[name].sources

    def ask(self, name: str, now: float) -> None:
        """Cancel, pause, resume, retry or delete, as its owner, which is legal."""
        standing = self.standing
        if name == "delete":
            self.deleted = True
        elif name == "resume" and standing.status == "running":
            standing.pause = False
            standing.events.append("pause_withdrawn")
        elif standing.status == "running":
            if not getattr(standing, name):
                setattr(standing, name, True)
                standing.events.append(f"{name}_requested")
        else:
            if name == "retry":
                standing.fruitless = 0
            self._move(name, now)

    def claim(self, owner: str) -> None:
        """A worker takes it."""
        standing = self.standing
        standing.attempt += 1
        standing.fruitless += 1
        standing.heartbeat += 1
        standing.owner = owner
        self._move("start")

    def damage(self, place: Place) -> None:
        """The bytes of a checkpoint cannot be read any more."""
        self.damaged.add(place)
        self.once_damaged.add(place)

    def resume_from(self) -> Place:
        """Where a worker that takes it now begins: the newest checkpoint that can be read."""
        return max(self.standing.kept.keys() - self.damaged, default=START)

    def renew(self) -> None:
        """Its worker gives a sign of life."""
        self.standing.heartbeat += 1

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

    def _forget(self) -> None:
        """Keep the newest places between epochs, two of the running epoch, and those that have a name."""
        standing = self.standing
        newest_first = sorted(standing.kept, reverse=True)
        between = [place for place in newest_first if place[1] == 0][: self.body.keep]
        within = list(takewhile(lambda place: place[1] > 0, newest_first))[:2]
        for place in {*newest_first} - {*between, *within, standing.newest, standing.best}:
            del standing.kept[place]

    def succeed(self, from_best: bool, now: float) -> None:
        """Its worker came to the end; a cancel that was asked before wins."""
        standing = self.standing
        if not standing.cancel:
            source = standing.best if from_best and standing.best else standing.newest
            assert source is not None
            standing.model = standing.kept[source]
        self._move("cancel" if standing.cancel else "succeed", now)

    def end(self, name: str, now: float) -> None:
        """Its worker lets go: fail, cancel, pause or release. What was asked of it meanwhile is done."""
        standing = self.standing
        if name == "pause" and not standing.pause:  # it was taken back
            name = "release"
        if name == "release":
            standing.fruitless = max(0, standing.fruitless - 1)
        if name != "fail":
            name = self._asked() or name
        self._move(name, now)

    def lose(self, now: float) -> None:
        """Its worker is lost."""
        standing = self.standing
        last = standing.fruitless >= self.body.attempts
        self._move(self._asked() or ("fail" if last else "rescue"), now)

    def _asked(self) -> str | None:
        return "cancel" if self.standing.cancel else "pause" if self.standing.pause else None

    def _move(self, name: str, now: float = 0.0) -> None:
        standing, transition = self.standing, TRANSITIONS[name]
        standing.status = str(transition.target)
        standing.events.append(transition.event)
        if transition.target is Status.QUEUED and name not in ("rescue", "release"):
            self.queued_at = now
        if transition.target is not Status.RUNNING:
            standing.owner, standing.cancel, standing.pause = None, False, False


def check_alone(seen: Standing) -> None:
    """What holds for a job at any moment."""
    assert seen.events[0] == "queued"
    status: str = Status.QUEUED
    targets = {move.event: move for move in TRANSITIONS.values()}
    for event in seen.events[1:]:
        if event in targets:
            assert status in targets[event].sources, f"no move leads from {status} to {event}"
            status = targets[event].target
        else:
            assert event in NOTICES
            assert status == "running", f"{event} while {status}"
    assert seen.status == status, "a move without its event"
    assert seen.events.count("epoch") == seen.epoch
    assert list(seen.measured) == list(range(1, seen.epoch + 1)), "not one row for each epoch"
    assert (seen.owner is not None) == (seen.status == "running")
    assert (seen.model is not None) == (seen.status == "succeeded")


def check_step(before: Standing, after: Standing, damaged: set[Place]) -> None:
    """What holds between a moment and a later one; from places whose bytes were `damaged` a job may go back."""
    assert after.attempt >= before.attempt
    assert after.heartbeat >= before.heartbeat
    assert after.epoch >= before.epoch
    assert after.events[: len(before.events)] == before.events, "history was rewritten"
    assert before.measured.items() <= after.measured.items(), "a metric row was rewritten"
    if before.newest is not None and before.newest not in damaged:
        assert after.newest is not None
        assert after.newest >= before.newest, "the checkpoint went backward"
    if before.status in OVER and after.status != before.status:
        assert (before.status, after.events[len(before.events)]) == ("failed", "retried")
