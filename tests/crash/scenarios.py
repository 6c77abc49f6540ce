"""What can happen to a job, told so that a crash point is armed just before the step that reaches it."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import update

from store.lifecycle import Status
from store.parts import parts_of
from store.tables import blob
from tests.crash.fleet import Fleet
from tests.service.house import TENANT

Arm = Callable[[], None]
Spec = dict[str, Any]
Scenario = Callable[[Fleet, Arm, Spec], str]


def _dense(*units: int) -> Spec:
    hidden = [layer for width in units for layer in ({"type": "dense", "units": width}, {"type": "tanh"})]
    return {"layers": [*hidden, {"type": "dense", "units": 2}]}


SPECS: dict[str, Spec] = {
    # Two reports: the first epoch, and the rest. Its checkpoints are in the database.
    "small": {"network": _dense(8), "optimizer": {"type": "sgd", "learning_rate": 0.1, "momentum": 0.9}},
    # The same with checkpoints in files.
    "large": {"network": _dense(160, 160), "optimizer": {"type": "adam", "learning_rate": 0.01}},
    # A second, so that there is time to interfere; checkpoints in files.
    "slow": {"network": _dense(256, 256), "batch_size": 1, "epochs": 60},
    "endless": {"network": _dense(8), "epochs": 1_000_000},
    # Time within an epoch.
    "long_epochs": {"network": _dense(1600, 1600), "batch_size": 1, "epochs": 2},
    # It looks back in the end.
    "traced": {"network": _dense(8), "batch_size": 50, "trace": {"surface": True}},
    # Out of all bounds, but not in the first epoch.
    "diverging": {
        "network": _dense(),
        "loss": {"type": "quadratic"},
        "optimizer": {"type": "sgd", "learning_rate": 1e3},
        "batch_size": 450,
        "epochs": 300,
    },
}
BASE: Spec = {"validation": {"fraction": 0.25}, "loss": {"type": "cross_entropy"}, "epochs": 5, "seed": 3}
# On a busy machine a lease of one second may run out though nobody was killed.
BASE |= {"optimizer": {"type": "sgd", "learning_rate": 0.01}, "limits": {"attempts": 100}}


def trains(fleet: Fleet, arm: Arm, spec: Spec) -> str:
    arm()
    return fleet.submit(spec)


def loses_its_trainer(fleet: Fleet, arm: Arm, spec: Spec) -> str:
    job = fleet.submit(spec)
    fleet.wait_training(job)
    owner = fleet.owner(job)
    arm()
    for parent in owner.children():
        for trainer in parent.children():
            trainer.kill()
    return job


def is_released(fleet: Fleet, arm: Arm, spec: Spec) -> str:
    job = fleet.submit(spec)
    fleet.wait_training(job)
    owner = fleet.owner(job)
    arm()
    owner.terminate()
    return job


def is_cancelled(fleet: Fleet, arm: Arm, spec: Spec) -> str:
    job = fleet.submit(spec)
    fleet.wait_training(job)
    arm()
    _ask_for(fleet, job, "cancel")
    return job


def is_cancelled_with_others(fleet: Fleet, arm: Arm, spec: Spec) -> str:
    job = fleet.submit(spec)
    name = fleet.wait_training(job).name
    arm()
    assert fleet.ask("POST", "/v1/jobs/cancel", params={"name": name}).is_success
    return job


def is_paused(fleet: Fleet, arm: Arm, spec: Spec) -> str:
    job = fleet.submit(spec)
    fleet.wait_training(job)
    arm()
    _ask_for(fleet, job, "pause")
    fleet.wait(job, lambda record: record.status == Status.PAUSED)
    _ask_for(fleet, job, "resume")
    return job


def is_resumed(fleet: Fleet, arm: Arm, spec: Spec) -> str:
    job = _paused(fleet, spec)
    arm()
    _ask_for(fleet, job, "resume")
    return job


def is_resumed_behind_damage(fleet: Fleet, arm: Arm, spec: Spec) -> str:
    job = _paused(fleet, spec)
    newest = fleet.jobs.checkpoints(TENANT, job)[0]
    fleet.blobs.path(newest.blob).write_bytes(b"damaged")
    arm()
    _ask_for(fleet, job, "resume")
    return job


def is_resumed_behind_a_damaged_part(fleet: Fleet, arm: Arm, spec: Spec) -> str:
    job = _paused(fleet, spec)
    with fleet.database.transaction() as connection:
        first = parts_of(connection, job)[0]
        damage = update(blob).where(blob.c.digest == first.blob).values(content=b"damaged")
        connection.execute(damage)
    for copy in fleet.folder.rglob(first.blob.removeprefix("sha256:")):
        copy.write_bytes(b"damaged")
    arm()
    _ask_for(fleet, job, "resume")
    return job


def is_retried(fleet: Fleet, arm: Arm, spec: Spec) -> str:
    job = fleet.submit(spec)
    fleet.wait_over(job)
    arm()
    _ask_for(fleet, job, "retry")
    fleet.wait(job, lambda record: record.attempt > 1)
    return job


def _paused(fleet: Fleet, spec: Spec) -> str:
    """A job that was trained for a while, and waits to be resumed."""
    job = fleet.submit(spec)
    fleet.wait_training(job)
    _ask_for(fleet, job, "pause")
    fleet.wait(job, lambda record: record.status == Status.PAUSED)
    return job


def _ask_for(fleet: Fleet, job: str, move: str) -> None:
    """Ask for a move until it is answered; 409 says that an earlier request was heard, and its answer lost."""
    assert fleet.ask("POST", f"/v1/jobs/{job}/{move}").status_code in {202, 409}
