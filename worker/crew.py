"""The crew of a worker: up to `concurrency` trainings at a time, each taking the queue's best job until it is empty."""

import threading
from dataclasses import dataclass, field

import structlog

from store.claims import Claim
from store.errors import BlobDamaged, NotFound, StaleAttempt, Unavailable
from worker.training import LeaseLapsed, TrainerLost, Training, Workshop

log = structlog.get_logger(__name__)
CANDIDATES = 8  # looked at in one query, so that workers who race for the first one find the next


@dataclass
class Crew:
    """Who trains on this worker. `owner` names the worker in events."""

    workshop: Workshop
    owner: str
    slots: threading.BoundedSemaphore = field(init=False)

    def __post_init__(self) -> None:
        self.slots = threading.BoundedSemaphore(self.workshop.settings.concurrency)

    def work(self) -> None:
        """Train job after job in this thread, best first, until none waits; returns at once when all are busy.

        A bell that finds everyone busy may be forgotten: whoever is busy now looks at the queue when done.
        """
        if not self.slots.acquire(blocking=False):
            return
        try:
            while not self.workshop.draining.is_set() and (claim := self._claim()) is not None:
                self._train(claim)
        except Unavailable as error:
            log.warning("queue.unavailable", detail=error.reason)
        finally:
            self.slots.release()

    def work_aside(self) -> bool:
        """Start a thread that works, if a slot is free; for bells that do not come through Celery."""
        if not self.slots.acquire(blocking=False):
            return False
        self.slots.release()
        threading.Thread(target=self.work, name="crew", daemon=True).start()
        return True

    def _claim(self) -> Claim | None:
        while candidates := self.workshop.claims.queued(CANDIDATES):
            for job_id in candidates:
                if (claim := self.workshop.claims.claim(job_id, self.owner)) is not None:
                    return claim
        return None

    def _train(self, claim: Claim) -> None:
        job = log.bind(job=claim.job_id, attempt=claim.attempt)
        job.info("job.claimed", epoch=claim.checkpoints[0].epoch if claim.checkpoints else 0)
        try:
            Training(self.workshop, claim).run()
            job.info("job.left")
        except StaleAttempt as error:
            job.warning("job.taken", detail=str(error))
        except LeaseLapsed:
            job.warning("job.lease_lapsed")
        except (NotFound, BlobDamaged) as error:
            self._end(claim, str(error))
        except (TrainerLost, Unavailable) as error:
            job.warning("job.trainer_lost", detail=str(error))
            self._hand_back(claim, str(error))
        except Exception as error:
            job.exception("job.error")
            self._hand_back(claim, f"the worker met an error: {type(error).__name__}: {error}")

    def _end(self, claim: Claim, detail: str) -> None:
        data = {"reason": "data_missing", "detail": detail}
        try:
            self.workshop.claims.end(claim, "fail", reason=f"data_missing: {detail}", data=data)
        except (Unavailable, StaleAttempt) as error:
            log.warning("job.left_to_rescue", job=claim.job_id, detail=str(error))

    def _hand_back(self, claim: Claim, detail: str) -> None:
        try:
            self.workshop.claims.hand_back(claim.job_id, claim.attempt, None, detail)
        except Unavailable as error:  # its lease runs out, and a rescuer finds it
            log.warning("job.left_to_rescue", job=claim.job_id, detail=str(error))
