"""The faults by their names. Each strikes if what it needs is there, and undoes itself after a while where it must."""

import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil
import redis

from chaos.agenda import Agenda
from chaos.house import House
from chaos.ledger import Ledger
from chaos.parts import Part, hold

FREEZE_S = (4.0, 6.0)  # past the lease of 3 s; on SQLite a frozen writer may hold all others up as long


@dataclass
class Striker:
    """Strikes the house, but never ends the parts that are `spared`. `counts` tells how often each fault was done."""

    house: House
    agenda: Agenda
    ledger: Ledger
    draw: random.Random
    spared: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._deck: list[str] = []

    @property
    def struck(self) -> int:
        """How many faults were done."""
        return self.counts.total()

    def strike(self) -> str | None:
        """The next fault of a shuffled deck that can be done now; None when none can."""
        possible = {
            name: fault
            for name, fault in FAULTS.items()
            if fault.database in (None, self.house.kind) and fault.ends not in self.spared
        }
        if not self._deck:
            self._deck = [name for name, fault in possible.items() for _ in range(fault.weight)]
            self.draw.shuffle(self._deck)
        for place, name in enumerate(self._deck):
            if possible[name].strike(self):
                del self._deck[place]
                self.counts[name] += 1
                return name
        return None

    def freeze_s(self) -> float:
        return self.draw.uniform(*FREEZE_S)

    def workers(self) -> Iterator[Part]:
        """Workers that are up, in the order of the draw."""
        up = [part for part in self.house.workers if part.up]
        yield from self.draw.sample(up, k=len(up))

    def busy_worker(self) -> Part | None:
        """A worker that trains."""
        return next((part for part in self.workers() if part.trainers()), None)

    def worker_to_strike(self, *, ends: bool) -> Part | None:
        """A worker, one that trains if there is any; with `ends` one that may end."""
        able = [part for part in self.workers() if not (ends and part.name in self.spared)]
        return next((part for part in able if part.trainers()), next(iter(able), None))


def _kill_trainer(striker: Striker) -> bool:
    if (worker := striker.busy_worker()) is None:
        return False
    striker.ledger.lose(striker.house.held_by(worker))
    for trainer in worker.trainers():
        with suppress(psutil.NoSuchProcess):
            trainer.kill()
    return True


def _freeze_trainer(striker: Striker) -> bool:
    if (worker := striker.busy_worker()) is None:
        return False
    striker.ledger.lose(striker.house.held_by(worker))
    hold(worker.trainers(), striker.agenda, striker.freeze_s())
    return True


def _on_worker(
    act: Callable[[Striker, Part], None], *, lost: bool = True, ends: bool = True
) -> Callable[[Striker], bool]:
    def strike(striker: Striker) -> bool:
        worker = striker.worker_to_strike(ends=ends)
        if worker is None:
            return False
        if lost:
            striker.ledger.lose(striker.house.held_by(worker))
        act(striker, worker)
        return True

    return strike


def _on(name: str, act: Callable[[Striker, Part], None]) -> Callable[[Striker], bool]:
    def strike(striker: Striker) -> bool:
        part = striker.house.part(name)
        if not part.up or (name == "server" and striker.house.outages.open):  # one that only starts answers nobody
            return False
        act(striker, part)
        return True

    return strike


def _flush_broker(striker: Striker) -> bool:
    if not striker.house.broker.up:
        return False
    with suppress(redis.RedisError), striker.house.valkey.connect() as connection:
        connection.flushall()
        return True
    return False


def _cut_link(striker: Striker) -> bool:
    striker.house.proxy.cut()
    striker.agenda.after(striker.freeze_s(), striker.house.proxy.mend)
    return True


def _kill(_: Striker, part: Part) -> None:
    part.kill()


def _kill_alone(_: Striker, part: Part) -> None:
    part.kill_alone()


def _freeze(striker: Striker, part: Part) -> None:
    part.freeze(striker.agenda, striker.freeze_s())


def _freeze_alone(striker: Striker, part: Part) -> None:
    part.freeze(striker.agenda, striker.freeze_s(), alone=True)


def _stop(_: Striker, part: Part) -> None:
    part.tell_to_stop()


def _restart_at_once(_: Striker, part: Part) -> None:
    part.kill_alone(signal.SIGQUIT)  # "immediate": PostgreSQL ends without a checkpoint and recovers when it starts


@dataclass(frozen=True)
class Fault:
    """`strike` gives False when there is nothing to strike; `weight` is how often it lies in the deck; `ends` names the
    part that it always ends."""

    strike: Callable[[Striker], bool]
    weight: int = 1
    database: str | None = None
    ends: str | None = None


FAULTS: dict[str, Fault] = {
    "trainer killed": Fault(_kill_trainer, 3),
    "trainer frozen": Fault(_freeze_trainer, 1),
    "worker tree killed": Fault(_on_worker(_kill), 2),
    "worker killed alone": Fault(_on_worker(_kill_alone), 1),
    "worker tree frozen": Fault(_on_worker(_freeze, ends=False), 2),
    "worker frozen alone": Fault(_on_worker(_freeze_alone, ends=False), 1),
    "worker told to stop": Fault(_on_worker(_stop, lost=False), 2),
    "server killed": Fault(_on("server", _kill), 1, ends="server"),
    "server frozen": Fault(_on("server", _freeze), 1),
    "server told to stop": Fault(_on("server", _stop), 1, ends="server"),
    "broker killed": Fault(_on("broker", _kill), 1),
    "broker flushed": Fault(_flush_broker, 1),
    "broker frozen": Fault(_on("broker", _freeze), 1),
    "broker half-open": Fault(_cut_link, 1),
    "database restarted": Fault(_on("database", _restart_at_once), 2, "postgresql"),
}
