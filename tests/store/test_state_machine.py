"""Anything that may happen to trainings, in any order: no job is lost, doubled or moved against the rules.

`pytest --hypothesis-profile deep tests/store/test_state_machine.py` looks for longer, and elsewhere each time.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from core.training_spec import TrainingSpec
from store.database import Database
from store.holds import Claim
from store.progress import EpochReport, Progress
from tests.store.lives import WORKERS, Lives, a_job_to_do, live
from tests.store.training_life import Body, TrainingHold, TrainingLife

NO_PROGRESS = Progress(0.0, None, None)


class Trainings(Lives):
    """Jobs that train: epochs, checkpoints within and between them, the best one, and damaged ones."""

    bodies = (Body(epochs=2, attempts=1, keep=1), Body(epochs=3, attempts=2, keep=2))
    life_of = TrainingLife

    def asked(self, body: Body) -> tuple[TrainingSpec, None]:
        limits, kept = {"attempts": body.attempts}, {"keep": body.keep}
        return self.store.spec(epochs=body.epochs, limits=limits, checkpoints=kept), None

    def hold_of(self, life: TrainingLife, claim: Claim) -> TrainingHold:
        kept = sorted(life.standing.kept, reverse=True)
        assert [(found.epoch, found.step) for found in claim.checkpoints] == kept
        place = life.resume_from()
        return TrainingHold(life=life, claim=claim, place=place, kept=place, signed_at=self.world.monotonic)

    @precondition(lambda self: self.to_do)
    @rule(
        life=a_job_to_do,
        worker=st.sampled_from(WORKERS),
        turns=st.integers(1, 4),
        stop=st.booleans(),
        epochs=st.sampled_from([1, 2, 0]),
        keep=st.sampled_from(["epoch", "step", "nothing"]),
        best=st.booleans(),
        other=st.booleans(),
    )
    def work(self, life: TrainingLife, worker: str, turns: int, stop: bool, **training: Any) -> None:
        """What comes next for a job, some times: it is claimed, or trained, or finished or stopped when it can be."""
        for _ in range(turns):
            hold = self.holder(life)
            if hold is None:
                self.claim(life, worker)
            elif stop and hold.orders:
                self.end(hold, hold.orders)
            elif stop and hold.finished:
                self._succeed(hold, from_best=training["best"])
            else:
                self._train(hold, **training)

    def _train(self, hold: TrainingHold, epochs: int, keep: str, best: bool, other: bool) -> None:
        """Train some epochs, or a part of one, and report them; a checkpoint may have `other` bytes than before."""
        life, claim = hold.life, hold.claim
        done, end, places, best_place = hold.train(epochs, keep, best)
        new = [self.world.checkpoint(place, other=other, best=place == best_place) for place in places]
        reports = [EpochReport(epoch, {"attempt": claim.attempt}) for epoch in done]

        def report() -> None:
            if self.lands(lambda: self.store.claims.report(claim, reports, new, NO_PROGRESS)):
                assert self.answer == life.orders
                life.report(done, [((found.epoch, found.step), found.digest) for found in new], best_place)
                hold.report, hold.signed_at = report, self.world.monotonic
                hold.trained |= end != hold.place
                hold.place, hold.kept = end, max(places, default=hold.kept)

        report()

    def _succeed(self, hold: TrainingHold, from_best: bool) -> None:
        if self.lands(lambda: self.store.claims.succeed(hold.claim, model_from_best=from_best)):
            hold.life.finish(from_best, self.world.wall)

    def late_writes(self, hold: TrainingHold) -> Sequence[Callable[[], Any]]:
        claims, claim = self.store.claims, hold.claim
        epoch, step = hold.place
        epochs = [EpochReport(epoch + 1, {"attempt": claim.attempt})]
        checkpoints = [self.world.checkpoint((epoch, step + 1), other=False, best=True)]
        return [
            lambda: claims.report(claim, epochs, checkpoints, NO_PROGRESS),
            lambda: claims.report(claim, [], [], NO_PROGRESS),
            lambda: claims.succeed(claim),
        ]

    def finish(self, hold: TrainingHold) -> None:
        while not hold.finished:
            self._train(hold, epochs=1, keep="epoch", best=False, other=False)
        self._succeed(hold, from_best=False)

    @precondition(lambda self: any(life.standing.kept for life in self.alive))
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        """The bytes of a checkpoint cannot be read any more."""
        life = data.draw(st.sampled_from([life for life in self.alive if life.standing.kept]))
        life.damage(data.draw(st.sampled_from(sorted(life.standing.kept))))


def test_no_order_of_events_breaks_a_promise(database: Database, tmp_path: Path) -> None:
    live(Trainings, database, tmp_path)
