"""Whoever is killed at whatever point of a job's life: the job ends once, and as if nothing had happened."""

import signal
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from store.blobs import SMALL
from store.crash_points import POINTS
from store.lifecycle import FINAL_EVENTS, Status
from tests.crash.fleet import Fleet
from tests.crash.scenarios import (
    BASE,
    SPECS,
    Scenario,
    Spec,
    is_cancelled,
    is_cancelled_with_others,
    is_paused,
    is_released,
    is_resumed,
    is_resumed_behind_a_damaged_part,
    is_resumed_behind_damage,
    is_retried,
    loses_its_trainer,
    trains,
)
from tests.service.house import TENANT

TIMINGS = {"seconds", "examples_per_s"}
QUEUED_BY = ("queued", "rescued", "released", "resumed", "retried")


@dataclass(frozen=True)
class Case:
    """Who is killed at a point, in which scenario, with which spec, and how often the point is passed before.

    Bytes that are stored already are not stored again: what shall store new ones takes a seed of its own.
    """

    point: str
    victim: str
    scenario: Scenario = trains
    spec: str = "small"
    passes: int = 0
    seed: int = 1

    def __str__(self) -> str:
        return f"{self.point}-{self.spec}-{self.passes}"


def around(name: str, *case: object, **more: object) -> list[Case]:
    """The two cases of a transaction."""
    return [Case(f"{name}.{place}", *case, **more) for place in ("before_commit", "committed")]  # type: ignore[arg-type]


CASES = [
    *around("submit", "service"),
    Case("submit.before_bell", "service"),
    Case("submit.before_answer", "service"),
    Case("bell.before_send", "service"),
    Case("bell.heard", "worker"),
    *around("claim", "worker"),
    Case("supervision.assigned", "worker"),
    Case("trainer.started", "worker.trainer"),
    Case("trainer.mid_epoch", "worker.trainer", spec="long_epochs"),
    Case("trainer.looks_back", "worker.trainer", spec="traced", passes=40),
    Case("trainer.before_report", "worker.trainer"),
    Case("trainer.before_report", "worker.trainer", passes=1),
    Case("trainer.sent_report", "worker.trainer"),
    Case("trainer.sent_report", "worker.trainer", passes=1),
    Case("trainer.over", "worker.trainer"),
    Case("training.reported", "worker", passes=1),
    *around("blob", "worker", passes=1),
    *around("blob", "worker", spec="large", seed=2),
    Case("blob.copied", "worker", spec="large", passes=1, seed=3),
    Case("blob.synced", "worker", spec="large", passes=1, seed=4),
    Case("blob.renamed", "worker", spec="large", passes=1, seed=5),
    Case("training.kept", "worker", passes=1),
    *around("report", "worker"),
    *around("report", "worker", passes=1),
    *around("renew", "worker", spec="slow", passes=1),
    *around("succeed", "worker"),
    *around("fail", "worker", spec="diverging"),
    *around("retry", "service", is_retried, "diverging"),
    *around("cancel_request", "service", is_cancelled, "endless"),
    *around("cancel_some", "service", is_cancelled_with_others, "endless"),
    *around("cancel", "worker", is_cancelled, "endless"),
    *around("pause_request", "service", is_paused, "slow"),
    *around("pause", "worker", is_paused, "slow"),
    *around("resume", "service", is_resumed, "slow"),
    *around("damage", "worker", is_resumed_behind_damage, "slow", seed=6),
    *around("release", "worker", is_released, "slow"),
    *around("rescue", "worker", loses_its_trainer, "slow"),
]
PREDICTIONS = [
    Case("trainer.started", "worker.trainer", spec="few"),
    Case("predictor.before_part", "worker.trainer", spec="few", passes=1),
    Case("predictor.sent_part", "worker.trainer", spec="few", passes=1),
    Case("predictor.before_file", "worker.trainer", spec="few"),
    Case("trainer.over", "worker.trainer", spec="few"),
    Case("predicting.reported", "worker", spec="few", passes=1),
    Case("predicting.kept", "worker", spec="few", passes=1),
    *around("part", "worker", spec="few", passes=1),
    Case("predicting.put", "worker", spec="few"),
    *around("deliver", "worker", spec="few"),
    *around("part_damage", "worker", is_resumed_behind_a_damaged_part, "many"),
]
ENDS = {"diverging": Status.FAILED, "endless": Status.CANCELLED}


@dataclass(frozen=True)
class Outcome:
    """What a job came to."""

    status: str
    reason: str | None
    metrics: list[dict[str, object]]
    digest: str | None


def outcome(fleet: Fleet, job: str) -> Outcome:
    record = fleet.wait_over(job)
    rows = fleet.jobs.metrics(TENANT, job)
    metrics = [{name: value for name, value in row.items() if name not in TIMINGS} for row in rows]
    # Where a job that fails keeps its last checkpoint depends on its speed.
    digest = fleet.jobs.checkpoints(TENANT, job)[0].digest if record.status == Status.SUCCEEDED else None
    return Outcome(record.status, record.status_reason, metrics, digest)


@pytest.fixture(scope="session")
def calm() -> dict[tuple[str, int], Outcome]:
    """What each spec and seed comes to when nothing disturbs it; filled at first use."""
    return {}


@pytest.fixture(scope="module")
def dataset(fleet: Fleet) -> str:
    return fleet.upload()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_job_is_as_if_nothing_had_happened(
    fleet: Fleet, dataset: str, calm: dict[tuple[str, int], Outcome], case: Case
) -> None:
    spec = BASE | SPECS[case.spec] | {"dataset": dataset, "seed": case.seed}
    job = case.scenario(fleet, lambda: fleet.arm(case.point, case.passes), spec)
    assert fleet.victim(case.point) == case.victim
    end = outcome(fleet, job)
    assert end.status == ENDS.get(case.spec, Status.SUCCEEDED)
    assert_sound(fleet, job, damaged=case.scenario is is_resumed_behind_damage)
    if end.status != Status.CANCELLED:
        if (case.spec, case.seed) not in calm:
            calm[case.spec, case.seed] = outcome(fleet, fleet.submit(spec))
        assert end == calm[case.spec, case.seed]


def assert_sound(fleet: Fleet, job: str, *, damaged: bool) -> None:
    """Nothing of a job that is over was lost or doubled, and no bytes were `damaged` by a kill."""
    record, events = fleet.jobs.get(TENANT, job), fleet.jobs.events(TENANT, job)
    assert_story_sound(fleet, job)
    assert ("checkpoint_damaged" in {event.type for event in events}) == damaged, (
        "a row named bytes that were not stored"
    )
    epochs = list(range(1, record.epoch + 1))
    assert [event.data["epoch"] for event in events if event.type == "epoch"] == epochs
    assert [row["epoch"] for row in fleet.jobs.metrics(TENANT, job)] == epochs
    checkpoints = fleet.jobs.checkpoints(TENANT, job)
    assert record.checkpoint_id == checkpoints[0].id
    for checkpoint in checkpoints:
        assert len(fleet.blobs.get(checkpoint.blob)) == checkpoint.size
    models = fleet.models.page(TENANT, 200, None, record.name).items
    assert [model.id for model in models] == ([record.model_id] if record.status == Status.SUCCEEDED else [])


def assert_story_sound(fleet: Fleet, job: str) -> None:
    """Its events have no gaps, and tell of one life."""
    record, events = fleet.jobs.get(TENANT, job), fleet.jobs.events(TENANT, job)
    assert [event.number for event in events] == list(range(1, record.last_event + 1))
    types = Counter(event.type for event in events)
    assert types["started"] == record.attempt == sum(types[kind] for kind in QUEUED_BY)
    assert events[-1].type == record.status
    assert sum(types[kind] for kind in FINAL_EVENTS) == 1 + types["retried"]
    assert [twin.id for twin in fleet.jobs.page(TENANT, 200, None, name=record.name).items] == [job]


@pytest.fixture(scope="module")
def predicted(fleet: Fleet, dataset: str) -> dict[str, tuple[Spec, str]]:
    """What is asked for under each name, and the digest of the file that comes of it when nothing disturbs it."""
    model = fleet.wait_over(fleet.submit(BASE | SPECS["small"] | {"dataset": dataset})).model_id
    few: Spec = {"model": model, "dataset": dataset, "outputs": True, "limits": {"attempts": 100}}
    found: dict[str, tuple[Spec, str]] = {}
    for name, spec in {"few": few, "many": few | {"dataset": fleet.upload(60_000)}}.items():
        calm = fleet.wait_over(fleet.submit(spec))
        found[name] = spec, fleet.predictions.get(TENANT, calm.id).blob
    return found


@pytest.mark.parametrize("case", PREDICTIONS, ids=str)
def test_predictions_are_as_if_nothing_had_happened(
    fleet: Fleet, predicted: dict[str, tuple[Spec, str]], case: Case
) -> None:
    spec, calm = predicted[case.spec]
    job = case.scenario(fleet, lambda: fleet.arm(case.point, case.passes), spec)
    assert fleet.victim(case.point) == case.victim
    record = fleet.wait_over(job)
    assert record.status == Status.SUCCEEDED, record.status_reason
    assert_story_sound(fleet, job)
    assert record.rows_done == record.rows
    done = [event.data["rows_done"] for event in fleet.jobs.events(TENANT, job) if event.type == "part"]
    damaged = [event.type for event in fleet.jobs.events(TENANT, job)].count("part_damaged")
    assert damaged == (case.scenario is is_resumed_behind_a_damaged_part)
    assert damaged or done == sorted(set(done)), "a part was stored twice"
    file = fleet.predictions.get(TENANT, job)
    assert file.blob == calm
    assert len(fleet.blobs.get(file.blob)) == file.size


@pytest.mark.parametrize("answered", [False, True])
def test_a_deleted_job_is_gone_or_as_it_was(fleet: Fleet, dataset: str, answered: bool) -> None:
    """`answered`: the deletion stands when the server is killed, and only its answer is lost."""
    point = "delete.committed" if answered else "delete.before_commit"
    job = fleet.submit(BASE | SPECS["small"] | {"dataset": dataset})
    fleet.wait_over(job)
    fleet.arm(point)
    assert fleet.ask("DELETE", f"/v1/jobs/{job}").status_code == (404 if answered else 204)
    assert fleet.victim(point) == "service"
    assert fleet.ask("GET", f"/v1/jobs/{job}").status_code == 404


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("point", ["collect.before_files", "collect.before_commit", "collect.committed"])
def test_bytes_that_were_half_deleted_are_swept_up_or_stored_again(fleet: Fleet, point: str, again: bool) -> None:
    content = np.random.default_rng([sorted(POINTS).index(point), again]).bytes(SMALL + 1)
    digest = fleet.blobs.put(content)
    fleet.let_pass_an_hour()
    fleet.arm(point)
    assert fleet.collect() == -signal.SIGKILL
    fleet.victim(point)
    if again:
        assert fleet.blobs.put(content) == digest
        assert fleet.blobs.get(digest) == content
        fleet.let_pass_an_hour()
    assert fleet.collect() == 0
    assert digest not in fleet.bytes_in_files()
    assert not list((fleet.folder / "blobs").rglob(digest.removeprefix("sha256:")))


def test_kills_leave_no_bytes_behind(fleet: Fleet, dataset: str) -> None:
    """Behind all the others: an hour later there is nothing but what a row names, and that is whole."""
    fleet.wait_over(fleet.submit(BASE | SPECS["large"] | {"dataset": dataset}))
    fleet.let_pass_an_hour()
    while fleet.blobs.collect():
        pass
    files = {path.name for path in (fleet.folder / "blobs").rglob("*") if path.is_file()}
    assert files == {digest.removeprefix("sha256:") for digest in fleet.bytes_in_files()}
    for digest in fleet.bytes_in_files():
        fleet.blobs.get(digest)


def test_every_point_is_killed_at() -> None:
    here = {"delete.before_commit", "delete.committed", *(point for point in POINTS if point.startswith("collect."))}
    assert {case.point for case in CASES + PREDICTIONS} | here == set(POINTS)
