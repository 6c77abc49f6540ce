"""What a report writes: metric rows, checkpoints, the job's pointers and progress, and an event for each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, insert, update

from core.checkpoint import FORMAT
from core.fingerprint import Fingerprint, differences
from store import tables
from store.checkpoints import NewCheckpoint, add_checkpoints, forget_old_checkpoints
from store.moves import record_events
from store.plain import plain
from store.progress import EpochReport, Progress

job, metric = tables.job, tables.metric


@dataclass(frozen=True)
class Report:
    """What a worker brings: finished epochs, checkpoints whose bytes are stored, and what computed them."""

    epochs: Sequence[EpochReport]
    checkpoints: Sequence[NewCheckpoint]
    progress: Progress
    fingerprint: Fingerprint | None


def moved_on(progress: Progress) -> dict[str, Any]:
    """What progress changes in the job's row. A job that was taken over does epochs again; its fraction never falls."""
    fraction = case((job.c.fraction < progress.fraction, progress.fraction), else_=job.c.fraction)
    return {"fraction": fraction, "examples_per_s": progress.examples_per_s, "eta_s": progress.eta_s}


def write_report(
    connection: Connection,
    row: Any,
    fence: ColumnElement[bool],
    report: Report,
    values: dict[str, Any],
    keep: int,
    now: datetime,
) -> None:
    """Write a report for the locked job `row`, and `values` besides; the newest `keep` checkpoints stay."""
    fresh = [finished for finished in report.epochs if finished.epoch > row.epoch]
    kept, told = add_checkpoints(connection, row, report.checkpoints, now, report.fingerprint)
    changed, events = exactness(row, report.fingerprint)
    for finished in fresh:
        events.append(("epoch", {"epoch": finished.epoch, "epochs": row.epochs, **finished.metrics}))
        events += [("finding", finding) for finding in finished.findings]
    events += [
        (
            "checkpoint",
            {
                "checkpoint": new.id,
                "epoch": new.epoch,
                "step": new.step,
                "steps": new.steps,
                "digest": new.digest,
                "best": new.best,
            },
        )
        for new in told
    ]
    values |= {**moved_on(report.progress), "last_event": row.last_event + len(events), **changed}
    if fresh:
        values |= {"epoch": fresh[-1].epoch, "metrics": fresh[-1].metrics}
    if told:
        values |= {"fruitless_attempts": 0, "checkpoint_format": FORMAT}
    if kept:
        values["checkpoint_id"] = max(kept, key=lambda new: (new.epoch, new.step)).id
        if best := [new.id for new in kept if new.best]:
            values["best_checkpoint_id"] = best[-1]
    connection.execute(update(job).where(fence).values(values))
    if fresh:
        rows = [
            {
                "job_id": row.id,
                "epoch": finished.epoch,
                "tenant_id": row.tenant_id,
                "measurements": finished.metrics,
            }
            for finished in fresh
        ]
        connection.execute(insert(metric), rows)
    if events:
        record_events(connection, row.tenant_id, row.id, values["last_event"], events, now)
    if kept:
        named = {values["checkpoint_id"], values.get("best_checkpoint_id", row.best_checkpoint_id)}
        forget_old_checkpoints(connection, row.id, keep, named)


def exactness(row: Any, fingerprint: Fingerprint | None) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """What a report changes of a job's exactness, and the event that tells it."""
    if fingerprint is None or fingerprint == row.fingerprint:
        return {}, []
    if row.fingerprint is None:
        return {"fingerprint": fingerprint}, []
    place = {"epoch": row.epoch} if row.rows is None else {"row": row.rows_done}
    [(unit, number)] = place.items()
    reason = plain(f"After {unit} {number} it was computed with {differences(row.fingerprint, fingerprint)}.")
    values = {"fingerprint": fingerprint, "bit_exact": False, "bit_exact_reason": reason}
    return values, [("fingerprint_changed", place | {"detail": reason})]
