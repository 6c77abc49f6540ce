"""Anything that may happen to jobs of predictions, in any order: no row is lost or doubled, and the file is there once.

`pytest --hypothesis-profile deep tests/store/test_prediction_state_machine.py` looks for longer, elsewhere each time.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from core.prediction_spec import PredictionSpec
from store.database import Database
from store.holds import PredictionClaim
from store.parts import Part
from store.predictions import Predictions
from store.progress import Progress
from tests.store.lives import WORKERS, Lives, a_job_to_do, an_owner, live
from tests.store.prediction_life import Body, PredictionHold, PredictionLife
from tests.store.world import World

NO_PROGRESS = Progress(0.0, None, None)


class Batches(Lives):
    """Jobs that predict: parts behind each other, damaged ones, and the file in the end."""

    bodies = (Body(rows=3, attempts=1), Body(rows=8, attempts=2))
    life_of = PredictionLife

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.predictions = Predictions(world.store.database)

    def asked(self, body: Body) -> tuple[PredictionSpec, int]:
        asked = {"dataset": self.store.dataset.id, "model": self.world.model, "limits": {"attempts": body.attempts}}
        return PredictionSpec.model_validate(asked), body.rows

    def hold_of(self, life: PredictionLife, claim: PredictionClaim) -> PredictionHold:
        kept = [(part.first_row, (part.rows, part.blob)) for part in claim.parts]
        assert kept == [*life.standing.parts.items()], "the claim does not bring what is stored, in order"
        damaged = next((part for part in claim.parts if part.first_row in life.damaged), None)
        done = life.standing.done if damaged is None else damaged.first_row
        return PredictionHold(life=life, claim=claim, done=done, damaged=damaged, signed_at=self.world.monotonic)

    @precondition(lambda self: self.to_do)
    @rule(
        life=a_job_to_do,
        worker=st.sampled_from(WORKERS),
        turns=st.integers(1, 4),
        stop=st.booleans(),
        rows=st.integers(1, 2),
    )
    def work(self, life: PredictionLife, worker: str, turns: int, stop: bool, rows: int) -> None:
        """What comes next for a job, some times: it is claimed, or predicted, or finished or stopped when it can be."""
        for _ in range(turns):
            hold = self.holder(life)
            if hold is None:
                self.claim(life, worker)
            elif hold.damaged is not None:
                self._pass_over(hold, hold.damaged)
            elif stop and hold.orders:
                self.end(hold, hold.orders)
            elif hold.left:
                self._keep(hold, self.world.part(hold.done, min(rows, hold.left)))
            elif stop:
                self._deliver(hold)

    def _pass_over(self, hold: PredictionHold, damaged: Part) -> None:
        def pass_over() -> None:
            if self.lands(lambda: self.predictions.pass_over(hold.claim, damaged, "other bytes")):
                hold.life.pass_over(damaged.first_row)
                hold.damaged, hold.report = None, pass_over

        pass_over()

    def _keep(self, hold: PredictionHold, part: Part) -> None:
        def keep() -> None:
            if self.lands(lambda: self.predictions.keep(hold.claim, part, NO_PROGRESS)):
                assert self.answer == hold.life.orders
                hold.life.keep(part)
                hold.done, hold.report, hold.signed_at = part.done, keep, self.world.monotonic

        keep()

    def _deliver(self, hold: PredictionHold) -> None:
        if self.lands(lambda: self.predictions.deliver(hold.claim, self.world.file, 1)):
            hold.life.deliver(self.world.file, self.world.wall)

    @precondition(lambda self: any(hold.left and not hold.damaged for hold in self.owners))
    @rule(hold=an_owner.filter(lambda hold: hold.left and not hold.damaged), overlap=st.booleans())
    def hurry(self, hold: PredictionHold, overlap: bool) -> None:
        """A part that does not begin where the one before ends, or the file before the last part, is refused."""
        ahead = self.world.part(hold.done - 1, 2) if overlap and hold.done else self.world.part(hold.done + 1, 1)
        self.lands(lambda: self.predictions.keep(hold.claim, ahead, NO_PROGRESS), ValueError)
        if not hold.life.standing.cancel:
            self.lands(lambda: self.predictions.deliver(hold.claim, self.world.file, 1), ValueError)

    def late_writes(self, hold: PredictionHold) -> Sequence[Callable[[], Any]]:
        claim, stored = hold.claim, [self.world.part(0, 1), self.world.part(hold.done, 1)]
        return [
            *(lambda part=part: self.predictions.keep(claim, part, NO_PROGRESS) for part in stored),
            lambda: self.predictions.pass_over(claim, stored[0], "other bytes"),
            lambda: self.predictions.deliver(claim, self.world.file, 1),
        ]

    def finish(self, hold: PredictionHold) -> None:
        if hold.damaged is not None:
            self._pass_over(hold, hold.damaged)
        while hold.left:
            self._keep(hold, self.world.part(hold.done, min(2, hold.left)))
        self._deliver(hold)

    @precondition(lambda self: any(life.standing.parts for life in self.to_do))
    @rule(data=st.data(), worker=st.sampled_from(WORKERS))
    def damage(self, data: st.DataObject, worker: str) -> None:
        """The bytes of a part cannot be read any more; the next worker looks, so the one there is lets go."""
        life = data.draw(st.sampled_from([life for life in self.to_do if life.standing.parts]))
        life.damage(data.draw(st.sampled_from(sorted(life.standing.parts))))
        if hold := self.holder(life):
            self.end(hold, "release")
        self.claim(life, worker)
        if (hold := self.holder(life)) and hold.damaged:
            self._pass_over(hold, hold.damaged)


def test_no_order_of_events_breaks_a_promise(database: Database, tmp_path: Path) -> None:
    live(Batches, database, tmp_path)
