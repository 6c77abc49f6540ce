"""A lease is kept whatever its supervisor does, and given up when the trainer or the store does not answer."""

import signal
import threading
import time

import pytest

from store.claims import Claims
from store.errors import StaleAttempt
from store.holds import Claim
from store.rescue import Watch
from tests.infrastructure.processes import eventually
from tests.worker.conftest import TENANT, Plant
from worker.lease import Lease, TrainerLost
from worker.settings import WorkerSettings

LEASE_S = 4.0  # twenty renewals: a machine that is busy elsewhere for seconds loses nothing
QUICK = WorkerSettings(lease_s=LEASE_S, renew_s=0.2, hang_s=0.5)


def _claim(plant: Plant) -> Claim:
    claim = Claims(plant.database).claim(plant.submit(ring=False), "owner")
    assert claim is not None
    return claim


def test_a_supervisor_that_is_busy_for_long_is_not_lost(plant: Plant) -> None:
    watch = Watch(Claims(plant.database), lease_s=LEASE_S)
    with Lease(Claims(plant.database), _claim(plant), QUICK) as lease:
        end = time.monotonic() + 1.5 * LEASE_S
        while time.monotonic() < end:
            assert watch.rescue() == []
            time.sleep(0.1)
        lease.check()
    eventually(lambda: len(watch.rescue()) == 1, 30, "its silence is noticed")


def test_a_trainer_that_hangs_is_killed(plant: Plant) -> None:
    killed = threading.Event()
    with Lease(Claims(plant.database), _claim(plant), QUICK) as lease:
        lease.watch(killed.set)
        assert killed.wait(30)
        with pytest.raises(TrainerLost, match="no progress"):
            lease.check()


def test_a_trainer_whose_news_are_being_stored_does_not_hang(plant: Plant) -> None:
    killed = threading.Event()
    with Lease(Claims(plant.database), _claim(plant), QUICK) as lease:
        lease.storing(True)
        lease.watch(killed.set)
        assert not killed.wait(1.5)
        lease.storing(False)
        assert killed.wait(30)


def test_an_owner_that_lost_the_job_kills_its_trainer(plant: Plant) -> None:
    killed = threading.Event()
    claim = _claim(plant)
    with Lease(Claims(plant.database), claim, WorkerSettings(lease_s=LEASE_S, renew_s=0.2)) as lease:
        lease.watch(killed.set)
        Claims(plant.database).hand_back(claim.job_id, claim.attempt, None, "somebody thought so")
        assert killed.wait(30)
        with pytest.raises(StaleAttempt):
            lease.check()


def test_a_trainer_frozen_in_the_middle_of_a_message_is_noticed(lone_plant: Plant) -> None:
    plant = lone_plant
    with plant.worker(NUDGE_HANG_S="6") as worker:
        wide = {"layers": [{"type": "dense", "units": 200_000}, {"type": "tanh"}, {"type": "dense", "units": 2}]}
        job = plant.submit(network=wide, epochs=100_000, batch_size=4)  # its checkpoints are megabytes
        before = plant.wait(job, lambda found: found.epoch >= 1)
        plant.wait_trainer(worker).send_signal(signal.SIGSTOP)
        found = plant.wait(job, lambda found: found.attempt > before.attempt)
        assert "rescued" in plant.events(job)
        plant.jobs.cancel(TENANT, found.id)
        plant.wait_over(job)
