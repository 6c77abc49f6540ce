"""Where the state machine lives: a database whose statements can be broken, and clocks that are set by hand."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, event, select

from store import tables
from store.checkpoints import NewCheckpoint
from store.database import Database
from store.holds import Hold
from store.parts import Part
from tests.store.conftest import Store
from tests.store.life import Place, Standing
from tests.store.training_life import STEPS

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
PLACES = [(epoch, step) for epoch in range(4) for step in range(STEPS + 2)]
PARTS = [(first, rows) for first in range(10) for rows in range(1, 4)]


class Broken(Exception):
    """The statement that was chosen to fail."""


class World:
    """One store for many lives, emptied before each."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.store = Store(database, folder)
        self.wall = 0.0  # seconds; jumps
        self.monotonic = 0.0  # seconds; only grows
        self.break_at: int | None = None  # the statement, or commit, of the next write transaction that fails
        self._blobs = {
            (place, other): self.store.blobs.put(f"{place} {other}".encode())
            for place in PLACES
            for other in (False, True)
        }
        self._parts = {place: Part(*place, self.store.blobs.put(f"rows {place}".encode())) for place in PARTS}
        self.file = self.store.blobs.put(b"the file")
        self.model = self.store.add_model()
        event.listen(database.engine, "before_cursor_execute", self._before_statement)
        event.listen(database.engine, "commit", self._before_statement)

    def empty(self) -> None:
        """Forget every job, and every model but the one that is asked for predictions."""
        self.break_at = None
        with self.store.database.transaction() as connection:
            connection.execute(delete(tables.job))
            connection.execute(delete(tables.model).where(tables.model.c.id != self.model))

    def now(self) -> datetime:
        """The wall clock."""
        return EPOCH + timedelta(seconds=self.wall)

    def pass_time(self, seconds: float) -> None:
        """Let both clocks go on."""
        self.wall += seconds
        self.monotonic += seconds

    def checkpoint(self, place: Place, *, other: bool, best: bool) -> NewCheckpoint:
        """A checkpoint to report; `other` says that its bytes differ from the usual ones of its place."""
        blob = self._blobs[place, other]
        return NewCheckpoint(*place, blob, {}, blob, 1, best)

    def part(self, first: int, rows: int) -> Part:
        """Predictions to store; those of the same rows have the same bytes."""
        return self._parts[first, rows]

    def look(self) -> dict[str, Standing]:
        """Every job, and nothing of it that contradicts itself."""
        with self.store.database.reading() as connection:
            kept = _by_job(connection, tables.checkpoint, "epoch", "step")
            events = _by_job(connection, tables.event, "number")
            metrics = _by_job(connection, tables.metric, "epoch")
            parts = _by_job(connection, tables.part, "first_row")
            files = {row.job_id: row.blob for row in connection.execute(select(tables.predictions))}
            models = {row.id: row.digest for row in connection.execute(select(tables.model))}
            standings = {}
            for row in connection.execute(select(tables.job)).all():
                places = {found.id: (found.epoch, found.step) for found in kept.get(row.id, [])}
                told = events[row.id]
                assert [found.number for found in told] == list(range(1, row.last_event + 1)), "gaps between events"
                standings[row.id] = Standing(
                    status=row.status,
                    attempt=row.attempt,
                    fruitless=row.fruitless_attempts,
                    heartbeat=row.heartbeat,
                    owner=row.owner,
                    cancel=row.cancel_requested,
                    pause=row.pause_requested,
                    epoch=row.epoch,
                    measured={found.epoch: found.measurements["attempt"] for found in metrics.get(row.id, [])},
                    kept={places[found.id]: found.digest for found in kept.get(row.id, [])},
                    newest=places[row.checkpoint_id] if row.checkpoint_id else None,
                    best=places[row.best_checkpoint_id] if row.best_checkpoint_id else None,
                    model=models[row.model_id] if row.model_id else None,
                    rows=row.rows,
                    done=row.rows_done,
                    parts={found.first_row: (found.rows, found.blob) for found in parts.get(row.id, [])},
                    file=files.get(row.id),
                    events=[found.type for found in told],
                )
                assert len(places) == len(standings[row.id].kept), "two checkpoints of one place"
            return standings

    def writers(self, claims: list[Hold]) -> list[Hold]:
        """The claims whose writes would land."""
        with self.store.database.reading() as connection:
            return [claim for claim in claims if connection.execute(select(tables.job.c.id).where(claim.fence)).first()]

    def _before_statement(self, connection: Connection, *_: Any) -> None:
        if self.break_at is None or not connection.get_execution_options().get("writes"):
            return
        self.break_at -= 1
        if self.break_at == 0:
            self.break_at = None
            raise Broken


def _by_job(connection: Connection, table: Any, *order: str) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in connection.execute(select(table).order_by(*(table.c[name] for name in order))):
        found.setdefault(row.job_id, []).append(row)
    return found
