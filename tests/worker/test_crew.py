"""No bell is forgotten: one that rings in the moment between the last look and the free slot is heard."""

import multiprocessing
import threading
from dataclasses import dataclass, field

from store.claims import Claims
from store.holds import Claim
from tests.worker.conftest import Plant
from worker.crew import Crew
from worker.settings import WorkerSettings
from worker.supervision import Workshop


@dataclass
class Noting(Crew):
    """A crew that notes what it would train."""

    trained: list[str] = field(default_factory=list)

    def _train(self, claim: Claim) -> bool:
        self.trained.append(claim.job_id)
        return False


def test_a_bell_between_the_last_look_and_the_free_slot_is_heard(lone_plant: Plant) -> None:
    plant = lone_plant
    late: list[str] = []

    class LookingOnce(Claims):
        def queued(self, limit: int, older_than_s: float = 0.0) -> list[str]:
            found = super().queued(limit, older_than_s)
            if not found and not late:
                late.append(plant.submit())
                crew.work()  # its bell, while the only slot is still taken
            return found

    context = multiprocessing.get_context("forkserver")
    settings, draining = WorkerSettings(concurrency=1), threading.Event()
    claims = LookingOnce(plant.database)
    workshop = Workshop(claims, plant.predictions, plant.datasets, plant.blobs, settings, context, draining, plant.bell)
    crew = Noting(workshop, owner="test")
    crew.work()
    assert crew.trained == late
