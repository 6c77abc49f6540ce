"""The parts of predictions as a worker stores them: once, in order, behind the fence; and the file in their place."""

import re

import pytest
from sqlalchemy import select

from core.prediction_spec import PredictionSpec
from store import tables
from store.errors import IllegalMove, InUse, NoPredictions, NoReceipt, NotFound, StaleAttempt
from store.holds import PredictionClaim
from store.parts import Part
from store.predictions import Predictions
from store.progress import Progress
from store.receipts import read_receipt, start_of
from store.rescue import Watch
from store.story import tell
from tests.store.conftest import ESTIMATE, TENANT, Store

ROWS = 4000
HERE = {"nudge": "1", "blas": "openblas Haswell"}
THERE = {"nudge": "1", "blas": "openblas Zen"}


def submit(store: Store, **changes: object) -> str:
    body = {"dataset": store.dataset.id, "model": store.add_model()}
    return store.jobs.submit(TENANT, PredictionSpec.model_validate(body | changes), ESTIMATE, rows=ROWS).job.id


def start(store: Store, job_id: str, owner: str = "w1") -> PredictionClaim:
    claim = store.claims.claim(job_id, owner)
    assert isinstance(claim, PredictionClaim)
    return claim


def keep(
    store: Store, claim: PredictionClaim, first: int, rows: int, fingerprint: dict[str, str] | None = None
) -> Part:
    part = Part(first, rows, store.blobs.put(f"{first} and {rows}".encode()))
    Predictions(store.database).keep(claim, part, Progress(part.done / ROWS, 10.0, 1.0), fingerprint)
    return part


def story(store: Store, job_id: str) -> list[str]:
    return [tell(event.type, event.data) for event in store.jobs.events(TENANT, job_id)]


def parts(store: Store, job_id: str) -> list[str]:
    with store.database.reading() as connection:
        return list(connection.scalars(select(tables.part.c.blob).where(tables.part.c.job_id == job_id)))


def test_parts_are_stored_once_and_in_order(store: Store) -> None:
    job_id = submit(store)
    claim = start(store, job_id)
    for _ in range(2):
        first = keep(store, claim, 0, 1000)
        second = keep(store, claim, 1000, 500)
    with pytest.raises(ValueError, match="begins at 2000, but 1500 rows are done"):
        keep(store, claim, 2000, 500)
    job = store.jobs.get(TENANT, job_id)
    assert (job.rows_done, job.rows, job.fraction) == (1500, ROWS, 0.375)
    assert store.event_types(job_id) == ["queued", "started", "part", "part"]
    store.claims.end(claim, "release")
    with pytest.raises(StaleAttempt):
        keep(store, claim, 1500, 500)
    again = start(store, job_id)
    assert again.parts == (first, second)
    with pytest.raises(StaleAttempt):
        Predictions(store.database).deliver(claim, first.blob, 1)
    assert store.jobs.get(TENANT, job_id).rows_done == 1500


def test_a_damaged_part_and_those_behind_it_are_given_up(store: Store) -> None:
    job_id = submit(store)
    claim = start(store, job_id)
    made = [keep(store, claim, first, 1000) for first in (0, 1000, 2000)]
    for _ in range(2):
        Predictions(store.database).pass_over(claim, made[1], "The bytes are others.")
    job = store.jobs.get(TENANT, job_id)
    assert (job.rows_done, job.fraction) == (1000, 0.75)
    assert parts(store, job_id) == [made[0].blob]
    assert store.event_types(job_id)[-2:] == ["part", "part_damaged"]
    keep(store, claim, 1000, 3000)
    assert store.jobs.get(TENANT, job_id).rows_done == ROWS


def test_the_file_takes_the_place_of_the_parts(store: Store) -> None:
    job_id, found = submit(store, format="npz", name="told"), Predictions(store.database)
    with pytest.raises(NoPredictions, match="is queued, so its predictions are not there; wait"):
        found.get(TENANT, job_id)
    claim = start(store, job_id)
    keep(store, claim, 0, ROWS)
    blob = store.blobs.put(b"the file")
    done = found.deliver(claim, blob, 8)
    assert (done.status, done.fraction, done.model_id) == ("succeeded", 1.0, None)
    assert parts(store, job_id) == []
    file = found.get(TENANT, job_id)
    assert (file.job_name, file.format, file.blob, file.size) == ("told", "npz", blob, 8)
    with pytest.raises(NotFound):
        found.get("somebody else", job_id)
    with pytest.raises(StaleAttempt):
        found.deliver(claim, blob, 8)
    store.blobs.collect(grace_s=-1)
    assert store.blobs.get(blob) == b"the file"
    store.jobs.delete(TENANT, job_id)
    store.blobs.collect(grace_s=-1)
    with store.database.reading() as connection:
        assert connection.scalar(select(tables.blob.c.digest).where(tables.blob.c.digest == blob)) is None


def test_a_cancel_that_was_asked_before_wins(store: Store) -> None:
    job_id = submit(store)
    claim = start(store, job_id)
    keep(store, claim, 0, ROWS)
    store.jobs.cancel(TENANT, job_id)
    assert Predictions(store.database).deliver(claim, store.blobs.put(b"late"), 4).status == "cancelled"
    with pytest.raises(NoPredictions, match="is cancelled"):
        Predictions(store.database).get(TENANT, job_id)


def test_words_are_those_of_predictions(store: Store) -> None:
    job_id, found = submit(store), Predictions(store.database)
    store.claims.end(start(store, job_id), "fail", reason="bad_row: Row 3 of the dataset: no.")
    with pytest.raises(NoPredictions, match="a retry would meet the same row, so ask for others anew"):
        found.get(TENANT, job_id)
    store.jobs.retry(TENANT, job_id)
    store.claims.end(start(store, job_id), "fail", reason="diverged: no.")
    with pytest.raises(NoPredictions, match="not there; retry it"):
        found.get(TENANT, job_id)
    stopped = submit(store)
    store.jobs.cancel(TENANT, stopped)
    for move in (store.jobs.resume, store.jobs.retry):
        with pytest.raises(IllegalMove, match=r"cancelled cannot re[a-z]+; ask for the predictions anew"):
            move(TENANT, stopped)


def test_the_job_keeps_what_it_needs(store: Store) -> None:
    job_id = submit(store)
    model = store.jobs.get(TENANT, job_id).spec["model"]
    content = store.models.load(store.models.get(TENANT, model))
    store.models.delete(TENANT, model)
    store.blobs.collect(grace_s=-1)
    assert store.blobs.get(start_of(store.database, TENANT, job_id)) == content
    with pytest.raises(InUse):
        store.datasets.delete(TENANT, store.dataset.id)
    with pytest.raises(NotFound, match="no model"):
        store.jobs.submit(
            TENANT, PredictionSpec.model_validate({"dataset": store.dataset.id, "model": model}), ESTIMATE, rows=ROWS
        )
    with pytest.raises(NoReceipt):
        read_receipt(store.database, TENANT, job_id)


def test_workers_that_know_only_trainings_leave_predictions_alone(store: Store) -> None:
    job_id, job = submit(store), tables.job
    with store.database.reading() as connection:
        older = select(job.c.id).where(job.c.status == "queued", job.c.spec_version <= 1)
        assert connection.execute(older).all() == []
    assert store.claims.queued(10) == [job_id]


def test_other_machines_end_the_promise_of_equal_bytes(store: Store) -> None:
    job_id = submit(store)
    claim = start(store, job_id)
    keep(store, claim, 0, 1000, HERE)
    keep(store, claim, 1000, 1000, THERE)
    job = store.jobs.get(TENANT, job_id)
    assert not job.bit_exact
    assert job.bit_exact_reason == "After row 1000 it was computed with blas openblas Zen (before: openblas Haswell)."


def test_what_happens_is_told_in_rows(store: Store) -> None:
    job_id = submit(store)
    claim = start(store, job_id)
    keep(store, claim, 0, 1000)
    now = [0.0]
    watch = Watch(store.claims, lease_s=30, clock=lambda: now[0])
    for now[0] in (0.0, 10.0, 20.0, 30.0):
        watch.rescue()
    claim = start(store, job_id, "w2")
    store.claims.end(claim, "release")
    start(store, job_id, "w3")
    told = [re.sub(r"after [0-9.]+ s", "after a while", line) for line in story(store, job_id)]
    assert told[2:5] == [
        "stored the predictions up to row 1,000 of 4,000",
        "worker w1 lost at row 1,000 of 4,000 (the worker gave no sign of life for 30 s); queued again",
        "worker lost; taken over after a while from row 1,000 by w2",
    ]
    assert told[5] == "released by its worker, which was told to stop; waits for a worker, to go on from row 1,000"
    assert told[6] == "taken over after a while from row 1,000 by w3"
