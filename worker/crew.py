"""The crew of a worker: up to `concurrency` trainings at a time, each taking the queue's best job until it is empty."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import structlog

from store.errors import BlobDamaged, NotFound, StaleAttempt, Unavailable
from store.holds import Claim, Hold, PredictionClaim
from worker.lease import LeaseLapsed, TrainerLost
from worker.predicting import Predicting
from worker.supervision import Workshop
from worker.training import Training

log = structlog.get_logger(__name__)
LONGEST_PAUSE_S = 30.0
CANDIDATES = 8  # looked at in one query, so that workers who race for the first one find the next


@dataclass
class Crew:
    """Who trains on this worker. `owner` names the worker in events."""

    workshop: Workshop
    owner: str
    slots: threading.BoundedSemaphore = field(init=False)
    rung: threading.Event = field(default_factory=threading.Event)
    trainings: set[Training | Predicting] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.slots = threading.BoundedSemaphore(self.workshop.settings.concurrency)

    def work(self) -> None:
        """Train job after job in this thread, best first, until none waits; returns at once when all are busy.

        A bell that finds everyone busy is not forgotten: who puts a slot back looks whether it rang meanwhile.
        """
        self.rung.set()
        while self.rung.is_set() and not self.workshop.draining.is_set():
            if not self.slots.acquire(blocking=False):
                return
            self.rung.clear()
            try:
                self._work_off()
            except Unavailable as error:
                log.warning("queue.unavailable", detail=error.reason)
            finally:
                self.slots.release()

    def _work_off(self) -> None:
        pause_s = 0.0
        while not self.workshop.draining.wait(pause_s) and (claim := self._claim()) is not None:
            trouble = self._train(claim)
            # When the store is in trouble, the next job would only meet the same: wait, and longer each time.
            pause_s = min(LONGEST_PAUSE_S, max(1.0, 2 * pause_s)) if trouble else 0.0

    def work_aside(self) -> bool:
        """Start a thread that works, if a slot is free; for bells that do not come through Celery."""
        if not self.slots.acquire(blocking=False):
            return False
        self.slots.release()
        threading.Thread(target=self.work, name="crew", daemon=True).start()
        return True

    def rest(self, within_s: float) -> bool:
        """Wait until nobody works here any more; False when that takes longer."""
        end = time.monotonic() + within_s
        return all(
            self.slots.acquire(timeout=max(0.0, end - time.monotonic()))
            for _ in range(self.workshop.settings.concurrency)
        )

    def release(self, within_s: float) -> bool:
        """Release, as they were last stored, the jobs whose supervisors are not done; False when that takes longer."""
        pool = ThreadPoolExecutor(self.workshop.settings.concurrency)
        releases = [pool.submit(training.release) for training in tuple(self.trainings)]
        done, late = wait(releases, within_s)
        return not late and all(release.exception() is None for release in done)

    def _claim(self) -> Claim | PredictionClaim | None:
        while candidates := self.workshop.claims.queued(CANDIDATES):
            for job_id in candidates:
                if (
                    claim := self.workshop.claims.claim(job_id, self.owner, self.workshop.settings.lease_s)
                ) is not None:
                    return claim
        return None

    def _train(self, claim: Claim | PredictionClaim) -> bool:
        """Do one job; True when the store was in the way."""
        job = log.bind(job=claim.job_id, attempt=claim.attempt)
        if isinstance(claim, Claim):
            training: Training | Predicting = Training(self.workshop, claim)
            job.info("job.claimed", epoch=claim.checkpoints[0].epoch if claim.checkpoints else 0)
        else:
            training = Predicting(self.workshop, claim)
            job.info("job.claimed", row=claim.parts[-1].done if claim.parts else 0)
        self.trainings.add(training)
        try:
            training.run()
            job.info("job.left")
        except StaleAttempt as error:
            job.warning("job.taken", detail=str(error))
        except LeaseLapsed:
            job.warning("job.lease_lapsed")
        except (NotFound, BlobDamaged) as error:
            self._end(claim, "fail", {"reason": "data_missing", "detail": str(error)})
        except TrainerLost as error:
            job.warning("job.trainer_lost", detail=str(error))
            self._hand_back(claim, str(error))
        except Unavailable as error:
            job.warning("job.store_unavailable", detail=error.reason)
            self._end(claim, "release", {"detail": str(error)})
            return True
        except Exception as error:
            job.exception("job.error")
            self._hand_back(claim, f"the worker met an error: {type(error).__name__}")
        finally:
            self.trainings.discard(training)
        return False

    def _end(self, claim: Hold, move: str, data: dict[str, str]) -> None:
        reason = f"{data['reason']}: {data['detail']}" if "reason" in data else None
        try:
            self.workshop.claims.end(claim, move, reason=reason, data=data)
        except (Unavailable, StaleAttempt) as error:
            log.warning("job.left_to_rescue", job=claim.job_id, detail=str(error))

    def _hand_back(self, claim: Hold, detail: str) -> None:
        try:
            self.workshop.claims.hand_back(claim.job_id, claim.attempt, None, detail)
        except Unavailable as error:  # its lease runs out, and a rescuer finds it
            log.warning("job.left_to_rescue", job=claim.job_id, detail=str(error))
