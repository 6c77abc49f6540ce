"""Anything that may happen to jobs, in any order: no job is lost, doubled or moved against the rules.

`pytest --hypothesis-profile deep tests/store/test_state_machine.py` looks for longer, and elsewhere each time.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from store import clock
from store.database import Database
from store.errors import IllegalMove, KeyReused, NotFound, StaleAttempt, StoreError
from store.lifecycle import OVER
from store.progress import EpochReport, Progress
from store.rescue import Watch
from store.submissions import Idempotency
from tests.store.actors import Hold, Looks
from tests.store.conftest import ESTIMATE, TENANT
from tests.store.life import Body, Life, Sign, Standing, check_alone, check_step
from tests.store.world import Broken, World

BODIES = [Body(epochs=2, attempts=1, keep=1), Body(epochs=3, attempts=2, keep=2)]
WORKERS = ["ada", "ben", "cy"]
NO_PROGRESS = Progress(0.0, None, None)
MOST_JOBS = 3
LEASE_S, EVERY_S, LONGEST_PAUSE_S = 20.0, 5.0, 10.0
HOUR_S, OLD_S = 3600.0, 15.0

jobs: Bundle[Life] = Bundle("jobs")
an_owner = st.runner().flatmap(lambda machine: st.sampled_from(machine.owners))
somebody_robbed = st.runner().flatmap(lambda machine: st.sampled_from(machine.robbed))


class Lives(RuleBasedStateMachine):
    """A few jobs with their clients, workers and watchers.

    After each rule every job stands where its model stands, and no law is broken.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        world.empty()
        self.world, self.store = world, world.store
        self.lives: list[Life] = []
        self.keys: dict[str, Life] = {}
        self.holds: list[Hold] = []
        self.before: dict[str, Standing] = {}
        self.answer: Any = None
        self.touched = True  # since everything was looked at
        self.watchers = [(self._watch(), Looks(LEASE_S, LONGEST_PAUSE_S)) for _ in range(2)]
        self.signs: list[tuple[Life, Sign]] = []  # all that any watcher saw

    def _watch(self) -> Watch:
        return Watch(self.store.claims, LEASE_S, lambda: self.world.monotonic, EVERY_S)

    @property
    def owners(self) -> list[Hold]:
        """Who holds a job and lives."""
        return [hold for hold in self.holds if hold.holds and not hold.dead]

    @property
    def robbed(self) -> list[Hold]:
        """Who lost its job and may not know."""
        return [hold for hold in self.holds if not hold.holds]

    @property
    def alive(self) -> list[Life]:
        return [life for life in self.lives if not life.deleted]

    def lands(self, write: Callable[[], Any], refusal: type[StoreError] | None = None) -> bool:
        """Make a write; False when it was refused, which must be with `refusal`, or broke half-way."""
        self.touched = True
        try:
            self.answer = write()
        except Broken:
            return False
        except StoreError as error:
            if refusal is None or not isinstance(error, refusal):
                raise
            return False
        finally:
            self.world.break_at = None
        assert refusal is None, f"{refusal.__name__} is missing"
        return True

    @precondition(lambda self: self.alive and self.world.break_at is None)
    @rule(statement=st.integers(1, 7))
    def break_next_write(self, statement: int) -> None:
        """The connection fails at a statement, or at the commit."""
        self.world.break_at = statement

    # The client.

    @initialize(target=jobs, body=st.sampled_from(BODIES))
    def submit_first(self, body: Body) -> Any:
        return self.submit(body, key="red")

    @precondition(lambda self: len(self.lives) < MOST_JOBS)
    @rule(target=jobs, body=st.sampled_from(BODIES), key=st.sampled_from(["red", None]))
    def submit(self, body: Body, key: str | None) -> Any:
        first = self.keys.get(key) if key else None
        if first is not None and first.deleted:
            first = None
        spec = self.store.spec(epochs=body.epochs, limits={"attempts": body.attempts}, checkpoints={"keep": body.keep})
        idempotency = Idempotency(key, str(body)) if key else None
        refusal = KeyReused if first is not None and first.body != body else None
        if not self.lands(lambda: self.store.jobs.submit(TENANT, spec, ESTIMATE, idempotency), refusal):
            return multiple()
        assert self.answer.replayed == (first is not None)
        if first is not None:
            assert self.answer.job.id == first.job_id
            return multiple()
        life = Life(len(self.lives) + 1, self.answer.job.id, body, self.world.wall)
        self.lives.append(life)
        if key:
            self.keys[key] = life
        return life

    @rule(life=jobs, name=st.sampled_from(2 * ["pause", "resume", "retry"] + ["cancel", "delete"]))
    def ask(self, life: Life, name: str) -> None:
        refusal = NotFound if life.deleted else None if life.legal(name) else IllegalMove
        if self.lands(lambda: getattr(self.store.jobs, name)(TENANT, life.job_id), refusal):
            life.ask(name, self.world.wall)

    # Workers.

    @rule(
        life=jobs,
        worker=st.sampled_from(WORKERS),
        turns=st.integers(1, 4),
        stop=st.booleans(),
        epochs=st.sampled_from([1, 2, 0]),
        keep=st.sampled_from(["epoch", "step", "nothing"]),
        best=st.booleans(),
        other=st.booleans(),
    )
    def work(self, life: Life, worker: str, turns: int, stop: bool, **training: Any) -> None:
        """What comes next for a job, some times: it is claimed, or trained, or finished or stopped when it can be."""
        for _ in range(turns):
            hold = next((hold for hold in self.owners if hold.life is life), None)
            if hold is None:
                self.claim(life, worker)
            elif stop and hold.orders:
                self._end(hold, hold.orders)
            elif stop and hold.finished:
                self._succeed(hold, from_best=training["best"])
            else:
                self._train(hold, **training)

    @rule(life=jobs, worker=st.sampled_from(WORKERS))
    def claim(self, life: Life, worker: str) -> None:
        waits = life.waits
        if not self.lands(lambda: self.store.claims.claim(life.job_id, worker)):
            return
        claim = self.answer
        assert (claim is not None) == waits
        if claim is not None:
            kept = sorted(life.standing.kept, reverse=True)
            assert [(found.epoch, found.step) for found in claim.checkpoints] == kept
            place = life.resume_from()
            life.claim(worker)
            self.holds.append(Hold(life, claim, place, kept=place, signed_at=self.world.monotonic))

    def _train(self, hold: Hold, epochs: int, keep: str, best: bool, other: bool) -> None:
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

    @precondition(lambda self: any(hold.report for hold in self.owners))
    @rule(hold=an_owner.filter(lambda hold: hold.report))
    def report_again(self, hold: Hold) -> None:
        """The last report landed, but its worker saw an error."""
        hold.report()

    def _succeed(self, hold: Hold, from_best: bool) -> None:
        if self.lands(lambda: self.store.claims.succeed(hold.claim, model_from_best=from_best)):
            hold.life.succeed(from_best, self.world.wall)

    def _end(self, hold: Hold, name: str) -> None:
        if self.lands(lambda: self.store.claims.end(hold.claim, name)):
            hold.life.end(name, self.world.wall)

    def _renew_all(self) -> None:
        for hold in self.owners:
            if self.lands(lambda claim=hold.claim: self.store.claims.renew(claim)):
                assert self.answer == hold.life.orders
                hold.life.renew()
                hold.signed_at = self.world.monotonic

    @precondition(lambda self: self.owners)
    @rule(hold=an_owner, trouble=st.sampled_from(["crash", "release", "lose trainer", "fail", "pause"]))
    def meet_trouble(self, hold: Hold, trouble: str) -> None:
        """`pause`: it stopped for a pause, which may have been taken back meanwhile."""
        if trouble == "crash":
            hold.dead = True
        elif trouble in ("fail", "release", "pause"):
            self._end(hold, trouble)
        elif self.lands(lambda: self.store.claims.hand_back(hold.life.job_id, hold.claim.attempt, None, "it died")):
            assert self.answer is not None
            hold.life.lose(self.world.wall)

    @precondition(lambda self: self.robbed)
    @rule(hold=somebody_robbed)
    def write_though_robbed(self, hold: Hold) -> None:
        claims, claim = self.store.claims, hold.claim
        epoch, step = hold.place
        epochs = [EpochReport(epoch + 1, {"attempt": claim.attempt})]
        checkpoints = [self.world.checkpoint((epoch, step + 1), other=False, best=True)]
        for write in (
            lambda: claims.renew(claim),
            lambda: claims.report(claim, epochs, checkpoints, NO_PROGRESS),
            lambda: claims.report(claim, [], [], NO_PROGRESS),
            lambda: claims.succeed(claim),
            lambda: claims.end(claim, "fail"),
            lambda: claims.end(claim, "release"),
        ):
            self.lands(write, StaleAttempt)
        if self.lands(lambda: claims.hand_back(claim.job_id, claim.attempt, None, "it died")):
            assert self.answer is None

    # Watchers and time.

    @precondition(lambda self: self.alive)
    @rule(
        seconds=st.sampled_from([10.0, 5.0, 60.0]),
        times=st.integers(1, 3),
        looking=st.sampled_from([(0, 1), (0,), (1,)]),
        owners=st.sampled_from(["silent", "first", "last"]),
        jump=st.sampled_from([0.0, HOUR_S, -HOUR_S]),
    )
    def let_time_pass(self, seconds: float, times: int, looking: tuple[int, ...], owners: str, jump: float) -> None:
        """Watchers look every few seconds, and owners renew before or after that, or freeze.

        A minute at once is a machine that slept. The wall clock may be set to another hour meanwhile.
        """
        self.touched = True
        self.world.wall += jump
        for _ in range(times):
            self.world.pass_time(seconds)
            if owners == "first":
                self._renew_all()
            for number in looking:
                self._look(*self.watchers[number])
            if owners == "last":
                self._renew_all()
        now = self.world.wall
        old = {life.job_id for life in self.alive if life.waits and abs(now - life.queued_at) >= OLD_S}
        assert set(self.store.claims.queued(100, older_than_s=OLD_S)) == old

    def _look(self, watch: Watch, looks: Looks) -> None:
        running = {life.job_id: life for life in self.alive if life.standing.status == "running"}
        signs = {job_id: life.sign for job_id, life in running.items()}
        self.signs += [(running[job_id], sign) for job_id, sign in signs.items()]
        now = self.world.monotonic
        silent = looks.look(now, signs)
        break_at, self.touched = self.world.break_at, True
        rescued = {record.id for record in watch.rescue()}
        broke = break_at is not None and self.world.break_at is None
        assert rescued <= silent, "taken too early"
        assert len(silent - rescued) == broke, "one that cannot be taken keeps no other from its rescue"
        for job_id in rescued:
            life = running[job_id]
            assert all(now - hold.signed_at >= LEASE_S for hold in self.holds if hold.holds and hold.life is life)
            life.lose(self.world.wall)

    @precondition(lambda self: self.signs)
    @rule(seen=st.runner().flatmap(lambda machine: st.sampled_from(machine.signs)))
    def take_for_an_old_sign(self, seen: tuple[Life, Sign]) -> None:
        """A watcher takes a job for what it saw, however long ago."""
        life, sign = seen
        still = not life.deleted and life.standing.status == "running" and life.sign == sign
        if self.lands(lambda: self.store.claims.hand_back(life.job_id, *sign, "silent")):
            assert (self.answer is not None) == still
            if still:
                life.lose(self.world.wall)

    @precondition(lambda self: any(life.standing.kept for life in self.alive))
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        """The bytes of a checkpoint cannot be read any more."""
        life = data.draw(st.sampled_from([life for life in self.alive if life.standing.kept]))
        life.damage(data.draw(st.sampled_from(sorted(life.standing.kept))))

    # What holds.

    @invariant()
    def everything_stands_as_promised(self) -> None:
        if not self.touched:
            return
        self.touched = False
        seen = self.world.look()
        assert seen == {life.job_id: life.standing for life in self.alive}
        for life in self.alive:
            check_alone(seen[life.job_id])
            if life.job_id in self.before:
                check_step(self.before[life.job_id], seen[life.job_id], life.once_damaged)
        self.before = seen
        held = [hold.claim for hold in self.holds if hold.holds]
        assert self.world.writers([hold.claim for hold in self.holds]) == held, "not one fence for each running job"
        assert len({claim.job_id for claim in held}) == len(held)
        assert set(self.store.claims.queued(100)) == {life.job_id for life in self.alive if life.waits}

    def teardown(self) -> None:
        """Every job comes to its end, whatever happened, as long as there are a worker and a watcher."""
        if sys.exception() is not None:
            return
        self.world.break_at = None
        for hold in self.holds:
            hold.dead = True
        watch, looks = self._watch(), Looks(LEASE_S, LONGEST_PAUSE_S)
        for _ in range(3):
            self._look(watch, looks)
            self.world.pass_time(LONGEST_PAUSE_S)
        for life in self.alive:
            if life.standing.status == "paused":
                self.ask(life, "resume")
            if life.waits:
                self.claim(life, "dora")
                hold = self.holds[-1]
                while not hold.finished:
                    self._train(hold, epochs=1, keep="epoch", best=False, other=False)
                self._succeed(hold, from_best=False)
        self.touched = True
        self.everything_stands_as_promised()
        assert all(life.standing.status in OVER for life in self.alive)


ROUTINE = settings(max_examples=20, stateful_step_count=50, derandomize=True, print_blob=True)


def test_no_order_of_events_breaks_a_promise(database: Database, tmp_path: Path) -> None:
    world = World(database, tmp_path)
    deep = settings.get_current_profile_name() == "deep"
    with clock.read_from(world.now):
        run_state_machine_as_test(lambda: Lives(world), settings=None if deep else ROUTINE)
