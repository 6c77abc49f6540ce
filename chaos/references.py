"""What each kind of job comes to when nothing disturbs it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos import work
from chaos.books import Books, read
from chaos.caller import Caller
from chaos.ledger import Ledger
from store.database import Database


@dataclass
class Outcome:
    """The end of an undisturbed job, and the digest at every place that any job of its kind was seen at.

    Of predictions `digest` is that of the file, and there is nothing else.
    """

    digest: str
    model: str | None = None
    curve: list[dict[str, Any]] = field(default_factory=list)
    places: dict[tuple[int, int], str] = field(default_factory=dict)


def outcome(books: Books) -> Outcome:
    """What a succeeded job came to."""
    if books.predicts:
        return Outcome(books.files[0].blob)
    last = next(row for row in books.checkpoints if row.id == books.job.checkpoint_id)
    places = {(row.epoch, row.step): row.digest for row in books.checkpoints}
    return Outcome(last.digest, books.models[0].digest, books.curve, places)


def calmly(
    caller: Caller, database: Database, kinds: Sequence[str], ledger: Ledger
) -> tuple[work.Ground, dict[str, Outcome]]:
    """Each kind once, before any fault, and what jobs are about; raises RuntimeError when one does not succeed."""
    predictions = [kind for kind in kinds if kind in work.PREDICTIONS]
    ground = work.Ground(_upload(caller, work.rings()))
    jobs = _do(caller, database, [kind for kind in kinds if kind in work.TRAININGS], ground, ledger)
    if predictions:
        model = jobs[work.PREDICTED].models[0].id
        ledger.asked.add(model)
        ground = work.Ground(ground.dataset, _upload(caller, work.rings("many", work.MANY_ROWS)), model)
        jobs |= _do(caller, database, predictions, ground, ledger)
    return ground, {kind: outcome(books) for kind, books in jobs.items()}


def _upload(caller: Caller, data: dict[str, Any]) -> str:
    return str(caller.insist("POST", "/v1/datasets", {201}, json=data).json()["id"])


def _do(
    caller: Caller, database: Database, kinds: Sequence[str], ground: work.Ground, ledger: Ledger
) -> dict[str, Books]:
    jobs = {}
    for kind in kinds:
        path, body = work.request(kind, ground)
        jobs[kind] = str(caller.insist("POST", path, {202}, json=body).json()["id"])
        ledger.accept(jobs[kind], kind, None)
    done = {}
    for kind, job_id in jobs.items():
        for _ in range(60):
            view = caller.insist("GET", f"/v1/jobs/{job_id}", {200}, params={"wait": 5}).json()
            if view["status"] in ("succeeded", "failed", "cancelled"):
                break
        ledger.see(view)
        books = read(database, job_id)
        if books is None or books.job.status != "succeeded":
            raise RuntimeError(f"an undisturbed job of kind {kind} did not succeed: {view}")
        done[kind] = books
    return done
