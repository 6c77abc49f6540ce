"""The model of one job of predictions, and the worker that predicts."""

from dataclasses import dataclass

from store.parts import Part
from tests.store.actors import Hold
from tests.store.life import Life


@dataclass(frozen=True)
class Body:
    """What a client asks for: rows, and lost workers that are allowed."""

    rows: int
    attempts: int


class PredictionLife(Life):
    """A job of predictions; what may be damaged are its parts, by their first rows."""

    body: Body

    def __init__(self, number: int, job_id: str, body: Body, queued_at: float) -> None:
        super().__init__(number, job_id, body, queued_at)
        self.standing.rows, self.standing.done = body.rows, 0

    def pass_over(self, first: int) -> None:
        """Its worker gives up the part that begins at a row, and those behind it."""
        standing = self.standing
        if behind := {place for place in standing.parts if place >= first}:
            standing.parts = {place: part for place, part in standing.parts.items() if place < first}
            standing.done = first
            standing.events.append("part_damaged")
            self.damaged -= behind

    def keep(self, part: Part) -> None:
        """Its worker stores a part, which begins where the one before ends; again it changes nothing."""
        standing = self.standing
        standing.heartbeat += 1
        if part.done > standing.done:
            standing.parts[part.first_row] = (part.rows, part.blob)
            standing.done, standing.fruitless = part.done, 0
            standing.events.append("part")

    def deliver(self, blob: str, now: float) -> None:
        """Its worker brings the file, which takes the place of the parts unless the job is cancelled."""
        if not self.standing.cancel:
            self.standing.file, self.standing.parts = blob, {}
        self.succeed(now)


@dataclass(eq=False, kw_only=True)
class PredictionHold(Hold):
    """A worker that predicts."""

    life: PredictionLife
    done: int  # rows whose predictions it has
    damaged: Part | None  # what it could not read when it began, until it said so

    @property
    def left(self) -> int:
        """How many rows are still to be predicted."""
        return self.life.body.rows - self.done

    @property
    def orders(self) -> str | None:
        """What it was told to do: it pauses at any row."""
        standing = self.life.standing
        return "cancel" if standing.cancel else "pause" if standing.pause else None
