"""How a job stands, in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from client.schemas import CheckpointRecord, JobRecord
from client.standing import facts, place, silence

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def job(**changes: Any) -> JobRecord:
    standing = {
        "id": "job_1",
        "name": "rings",
        "status": "running",
        "spec": {"dataset": "ds_1"},
        "estimate": {"parameters": 1234, "flops_per_epoch": 1, "memory_bytes": 1},
        "progress": {"epoch": 0, "epochs": 1, "fraction": 0.308},
        "created_at": NOW,
    }
    return JobRecord.model_validate(standing | changes)


def checkpoint(epoch: int, step: int = 0, steps: int | None = 120) -> CheckpointRecord:
    return CheckpointRecord(id="ckpt_1", epoch=epoch, step=step, steps=steps, digest="sha256:1")


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (checkpoint(3), "after epoch 3"),
        (checkpoint(0, 37), "in epoch 1, after 37 of 120 mini-batches"),
        (checkpoint(1, 1234, 2000), "in epoch 2, after 1,234 of 2,000 mini-batches"),
        (checkpoint(1, 7, None), "in epoch 2, after 7 mini-batches"),
        (checkpoint(1, 1, 1), "in epoch 2, after 1 of 1 mini-batch"),
    ],
)
def test_a_place_within_an_epoch_is_told(kept: CheckpointRecord, words: str) -> None:
    assert place(kept) == words


def test_how_far_it_came_and_where_its_checkpoint_stands() -> None:
    told = facts(job(status="paused", checkpoint="ckpt_1"), checkpoint(0, 37), NOW)
    assert told["progress"] == "31 %, 0 of 1 epoch finished"
    assert told["checkpoint"] == "ckpt_1, in epoch 1, after 37 of 120 mini-batches"
    assert facts(job(checkpoint="ckpt_2"), None, NOW)["checkpoint"] == "ckpt_2"


@pytest.mark.parametrize(
    ("silent_s", "words"),
    [
        (14, None),
        (21, "no sign of life for 21 s; after 30 s the job goes to another"),
        (45, "no sign of life for 45 s, and 30 s are allowed: the job goes to another, as soon as there is one"),
    ],
)
def test_a_worker_that_is_silent_for_half_of_its_lease_is_told_of(silent_s: int, words: str | None) -> None:
    running = job(last_sign_of_life_at=NOW - timedelta(seconds=silent_s), lease_s=30.0)
    assert silence(running, NOW) == facts(running, None, NOW)["worker"] == words
    assert silence(job(status="queued"), NOW) is None
