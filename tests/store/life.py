"""How a job must stand, told without SQL by what was asked of it; and the laws that hold whatever was asked."""

from dataclasses import dataclass, field
from typing import Any

from store.holds import Orders
from store.lifecycle import NOTICES, OVER, TRANSITIONS, Status

Place = tuple[int, int]  # whole epochs, batches of the next one
Sign = tuple[int, int]  # attempt, heartbeat


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
    events: list[str] = field(default_factory=lambda: ["queued"])
    # Of a training.
    epoch: int = 0
    measured: dict[int, int] = field(default_factory=dict)  # epoch: the attempt that reported it first
    kept: dict[Place, str] = field(default_factory=dict)  # place: digest
    newest: Place | None = None
    best: Place | None = None
    model: str | None = None  # digest
    # Of predictions.
    rows: int | None = None
    done: int | None = None
    parts: dict[int, tuple[int, str]] = field(default_factory=dict)  # first row: rows, blob
    file: str | None = None  # blob


class Life:
    """The model of one job of either kind: each method is what the store promises of the call with its name."""

    def __init__(self, number: int, job_id: str, body: Any, queued_at: float) -> None:
        self.number = number
        self.job_id = job_id
        self.body = body  # what its client asked for; `attempts` is how many lost workers are allowed
        self.queued_at = queued_at
        self.standing = Standing()
        self.damaged: set[Any] = set()  # where bytes lie that cannot be read
        self.once_damaged: set[Any] = set()
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

    def damage(self, place: Any) -> None:
        """The bytes that are kept of a place cannot be read any more."""
        self.damaged.add(place)
        self.once_damaged.add(place)

    def renew(self) -> None:
        """Its worker gives a sign of life."""
        self.standing.heartbeat += 1

    def succeed(self, now: float) -> None:
        """Its worker came to the end; a cancel that was asked before wins."""
        self._move("cancel" if self.standing.cancel else "succeed", now)

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
    assert (seen.owner is not None) == (seen.status == "running")
    assert (seen.model is not None or seen.file is not None) == (seen.status == "succeeded")
    assert seen.events.count("epoch") == seen.epoch
    assert list(seen.measured) == list(range(1, seen.epoch + 1)), "not one row for each epoch"
    end = 0
    for first, (rows, _) in seen.parts.items():
        assert first == end, "a gap or an overlap between parts"
        end += rows
    if seen.file is not None:
        assert (seen.model, seen.parts, seen.done) == (None, {}, seen.rows), "a file beside parts, or too early"
    else:
        assert end == (seen.done or 0), "the position is not the end of the parts"


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
    if before.done is not None and "part_damaged" not in after.events[len(before.events) :]:
        assert after.done is not None
        assert after.done >= before.done, "predicted rows went backward"
        assert after.file or before.parts.items() <= after.parts.items(), "a part was rewritten"
    if before.status in OVER and after.status != before.status:
        assert (before.status, after.events[len(before.events)]) == ("failed", "retried")
