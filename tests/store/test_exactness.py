"""What computed a job is kept; when that changes nobody promises its bits; and what a version cannot read it leaves."""

import time

from sqlalchemy import update

from core.receipt import metrics_digest
from store import tables
from store.progress import EpochReport, Progress
from store.receipts import read_receipt
from tests.store.conftest import TENANT, Store

HERE = {"nudge": "1", "kernels": "x86-64-v3 1", "blas": "openblas Haswell", "threads": 1}
THERE = HERE | {"blas": "openblas SkylakeX"}
PROGRESS = Progress(0.1, None, None)


def test_a_job_that_one_kind_of_machine_computes_is_exact(store: Store) -> None:
    job_id = store.submit()
    claim = store.start(job_id)
    for epoch in (1, 2):
        reports = [EpochReport(epoch, {"train_loss": 1.0})]
        store.claims.report(claim, reports, [store.new_checkpoint(epoch)], PROGRESS, HERE)
    job = store.jobs.get(TENANT, job_id)
    assert (job.bit_exact, job.bit_exact_reason, job.fingerprint) == (True, None, HERE)
    assert {record.epoch: record.fingerprint for record in store.jobs.checkpoints(TENANT, job_id)} == {1: HERE, 2: HERE}


def test_another_kind_of_machine_ends_the_promise_and_says_why(store: Store) -> None:
    job_id = store.submit()
    for epoch, fingerprint in ((1, HERE), (2, THERE), (3, HERE)):
        claim = store.start(job_id)
        reports = [EpochReport(epoch, {"train_loss": 1.0})]
        new = store.new_checkpoint(epoch)
        for _ in range(2):  # a report that is repeated says it once
            store.claims.report(claim, reports, [new], PROGRESS, fingerprint)
        store.claims.end(claim, "release")
    job = store.jobs.get(TENANT, job_id)
    assert not job.bit_exact
    assert store.event_types(job_id).count("fingerprint_changed") == 2
    said = [event.data for event in store.jobs.events(TENANT, job_id) if event.type == "fingerprint_changed"]
    assert said[0] == {
        "epoch": 1,
        "detail": "After epoch 1 it was computed with blas openblas SkylakeX (before: openblas Haswell).",
    }
    assert job.bit_exact_reason == said[1]["detail"]


def test_a_newer_checkpoint_is_left_to_newer_workers(store: Store) -> None:
    job_id = store.submit()
    store.report(store.start(job_id), 1)
    job = tables.job
    with store.database.transaction() as connection:
        connection.execute(update(job).values(status="queued", checkpoint_format=job.c.checkpoint_format + 1))
    assert store.claims.queued(10) == []
    assert store.claims.claim(job_id, "an older worker") is None
    assert store.jobs.get(TENANT, job_id).status == "queued"
    with store.database.transaction() as connection:
        connection.execute(update(job).values(checkpoint_format=job.c.checkpoint_format - 1))
    assert store.claims.queued(10) == [job_id]
    assert store.claims.claim(job_id, "a newer worker") is not None


def test_the_time_of_all_attempts_counts_until_a_retry(store: Store) -> None:
    job_id = store.submit()
    spent = 0.0
    for end in ("release", "fail"):
        claim = store.start(job_id)
        time.sleep(0.05)
        store.claims.renew(claim)
        renewed = store.jobs.get(TENANT, job_id).runtime_s
        assert renewed >= spent + 0.05
        store.claims.end(claim, end, reason="a reason")
        spent = store.jobs.get(TENANT, job_id).runtime_s
        assert spent >= renewed
    assert store.jobs.retry(TENANT, job_id).runtime_s == 0


def test_a_receipt_tells_of_every_checkpoint_kept_or_not(store: Store) -> None:
    job_id = store.submit()
    before = read_receipt(store.database, TENANT, job_id)
    assert (before.status, before.checkpoints, before.epochs, before.fingerprint) == ("queued", [], 0, None)
    claim = store.start(job_id)
    rows = []
    for epoch in (1, 2, 3):
        rows.append({"epoch": epoch, "train_loss": 1 / epoch})
        middle = store.new_checkpoint(epoch, step=1) if epoch == 2 else None
        kept = [store.new_checkpoint(epoch), *([middle] if middle else [])]
        reports = [EpochReport(epoch, {"train_loss": 1 / epoch, "seconds": time.monotonic()})]
        store.claims.report(claim, reports, kept, PROGRESS, HERE)
    model = store.claims.succeed(claim).model_id
    receipt = read_receipt(store.database, TENANT, job_id)
    assert receipt.is_whole()
    assert [(mark.epoch, mark.step) for mark in receipt.checkpoints] == [(1, 0), (2, 0), (2, 1), (3, 0)]
    assert len(store.jobs.checkpoints(TENANT, job_id)) == 2
    assert receipt.metrics_digest == metrics_digest(rows)
    assert (receipt.model, receipt.fingerprint, receipt.nudge) == (model, HERE, "1")
    assert receipt.model_digest == receipt.checkpoints[-1].digest
    assert receipt.dataset.digest == store.dataset.digest
    assert receipt.dataset.rows == 4
    assert receipt.spec == store.jobs.get(TENANT, job_id).spec


def test_a_receipt_names_the_checkpoint_it_began_with(store: Store) -> None:
    claim = store.start(store.submit())
    store.report(claim, 1)
    [first] = store.jobs.checkpoints(TENANT, claim.job_id)
    other = store.add_dataset("others")
    job_id = store.submit(from_checkpoint=first.id, validation={"dataset": other.id})
    receipt = read_receipt(store.database, TENANT, job_id)
    assert receipt.start is not None
    assert (receipt.start.checkpoint, receipt.start.content) == (first.id, first.blob)
    assert receipt.validation_dataset is not None
    assert receipt.validation_dataset.digest == other.digest
