"""Anything that may happen to jobs of either kind: their clients, their workers' troubles, watchers and time."""

import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

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
from store.rescue import Watch
from store.submissions import Idempotency, JobSpec
from tests.store.actors import Hold, Looks
from tests.store.conftest import ESTIMATE, TENANT
from tests.store.life import Life, Sign, Standing, check_alone, check_step
from tests.store.world import Broken, World

WORKERS = ["ada", "ben", "cy"]
MOST_JOBS = 3  # at a time
LEASE_S, EVERY_S, LONGEST_PAUSE_S = 20.0, 5.0, 10.0
HOUR_S, OLD_S = 3600.0, 15.0

jobs: Bundle[Any] = Bundle("jobs")
a_body = st.runner().flatmap(lambda machine: st.sampled_from(machine.bodies))
a_job_to_do = st.runner().flatmap(lambda machine: st.sampled_from(machine.to_do))
an_owner = st.runner().flatmap(lambda machine: st.sampled_from(machine.owners))
somebody_robbed = st.runner().flatmap(lambda machine: st.sampled_from(machine.robbed))


class Lives(RuleBasedStateMachine):
    """A few jobs with their clients, workers and watchers.

    After each rule every job stands where its model stands, and no law is broken.
    """

    bodies: ClassVar[Sequence[Any]]  # that a client may send

    @abstractmethod
    def asked(self, body: Any) -> tuple[JobSpec, int | None]:
        """The spec of a body, and how many rows are to be predicted."""

    @abstractmethod
    def life_of(self, number: int, job_id: str, body: Any, queued_at: float) -> Life:
        """The model of a new job."""

    @abstractmethod
    def hold_of(self, life: Any, claim: Any) -> Hold:
        """Who made a claim, which brought what the job has stored."""

    @abstractmethod
    def late_writes(self, hold: Any) -> Sequence[Callable[[], Any]]:
        """What a worker of this kind writes that may have lost its job."""

    @abstractmethod
    def finish(self, hold: Any) -> None:
        """Work to the end."""

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

    @property
    def to_do(self) -> list[Life]:
        """What a worker can go on with."""
        return [life for life in self.alive if life.standing.status in ("queued", "running")]

    def lands(self, write: Callable[[], Any], refusal: type[Exception] | None = None) -> bool:
        """Make a write; False when it was refused, which must be with `refusal`, or broke half-way."""
        self.touched = True
        try:
            self.answer = write()
        except Broken:
            return False
        except (StoreError, ValueError) as error:
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

    @initialize(target=jobs, body=a_body)
    def submit_first(self, body: Any) -> Any:
        return self.submit(body, key="red")

    @precondition(lambda self: sum(life.standing.status not in OVER for life in self.alive) < MOST_JOBS)
    @rule(target=jobs, body=a_body, key=st.sampled_from(["red", None]))
    def submit(self, body: Any, key: str | None) -> Any:
        first = self.keys.get(key) if key else None
        if first is not None and first.deleted:
            first = None
        idempotency = Idempotency(key, str(body)) if key else None
        refusal = KeyReused if first is not None and first.body != body else None
        spec, rows = self.asked(body)
        if not self.lands(lambda: self.store.jobs.submit(TENANT, spec, ESTIMATE, idempotency, rows), refusal):
            return multiple()
        assert self.answer.replayed == (first is not None)
        if first is not None:
            assert self.answer.job.id == first.job_id
            return multiple()
        life = self.life_of(len(self.lives) + 1, self.answer.job.id, body, self.world.wall)
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

    @rule(life=jobs, worker=st.sampled_from(WORKERS))
    def claim(self, life: Life, worker: str) -> None:
        waits = life.waits
        if not self.lands(lambda: self.store.claims.claim(life.job_id, worker)):
            return
        assert (self.answer is not None) == waits
        if self.answer is not None:
            hold = self.hold_of(life, self.answer)
            life.claim(worker)
            self.holds.append(hold)

    def holder(self, life: Life) -> Any:
        """Who works on a job, if anybody."""
        return next((hold for hold in self.owners if hold.life is life), None)

    @precondition(lambda self: any(hold.report for hold in self.owners))
    @rule(hold=an_owner.filter(lambda hold: hold.report))
    def report_again(self, hold: Hold) -> None:
        """The last report landed, but its worker saw an error."""
        hold.report()

    def end(self, hold: Hold, name: str) -> None:
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
            self.end(hold, trouble)
        elif self.lands(lambda: self.store.claims.hand_back(hold.life.job_id, hold.claim.attempt, None, "it died")):
            assert self.answer is not None
            hold.life.lose(self.world.wall)

    @precondition(lambda self: self.robbed)
    @rule(hold=somebody_robbed)
    def write_though_robbed(self, hold: Hold) -> None:
        claims, claim = self.store.claims, hold.claim
        for write in (
            lambda: claims.renew(claim),
            *self.late_writes(hold),
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
                self.finish(self.holds[-1])
        self.touched = True
        self.everything_stands_as_promised()
        assert all(life.standing.status in OVER for life in self.alive)


ROUTINE = settings(max_examples=20, stateful_step_count=50, derandomize=True, print_blob=True)


def live(machine: type[Lives], database: Database, folder: Path) -> None:
    """Run a machine; with `--hypothesis-profile deep` for longer, and elsewhere each time."""
    world = World(database, folder)
    deep = settings.get_current_profile_name() == "deep"
    with clock.read_from(world.now):
        run_state_machine_as_test(lambda: machine(world), settings=None if deep else ROUTINE)
