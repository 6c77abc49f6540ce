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
    """The end of an undisturbed job, and the digest at every place that any job of its kind was seen at."""

    digest: str
    model: str
    curve: list[dict[str, Any]]
    places: dict[tuple[int, int], str] = field(default_factory=dict)


def outcome(books: Books) -> Outcome:
    """What a succeeded job came to."""
    last = next(row for row in books.checkpoints if row.id == books.job.checkpoint_id)
    places = {(row.epoch, row.step): row.digest for row in books.checkpoints}
    return Outcome(last.digest, books.models[0].digest, books.curve, places)


def train_calmly(
    caller: Caller, database: Database, dataset: str, kinds: Sequence[str], ledger: Ledger
) -> dict[str, Outcome]:
    """Each kind once, before any fault; raises RuntimeError when one does not succeed."""
    jobs = {}
    for kind in kinds:
        answer = caller.insist("POST", "/v1/jobs", {202}, json=work.spec(kind, dataset))
        jobs[kind] = str(answer.json()["id"])
        ledger.accept(jobs[kind], kind, None)
    outcomes = {}
    for kind, job_id in jobs.items():
        for _ in range(60):
            view = caller.insist("GET", f"/v1/jobs/{job_id}", {200}, params={"wait": 5}).json()
            if view["status"] in ("succeeded", "failed", "cancelled"):
                break
        ledger.see(view)
        books = read(database, job_id)
        if books is None or books.job.status != "succeeded":
            raise RuntimeError(f"an undisturbed job of kind {kind} did not succeed: {view}")
        outcomes[kind] = outcome(books)
    return outcomes
