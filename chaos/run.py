"""One run from start to end: calm references, faults under load, calm again, and the check."""

import random
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chaos.agenda import Agenda
from chaos.caller import Caller
from chaos.checker import Checker
from chaos.faults import Striker
from chaos.house import House, running
from chaos.ledger import Ledger
from chaos.load import FEWEST, Load
from chaos.references import calmly
from chaos.report import Report
from chaos.soak import SPARED_WORKER, Soak

CARE_S = 0.1
NO_MOVE_S = 90.0  # jobs that do not move for so long in a house that is whole will never end
LONGEST_END_S = 900.0
# A soak leaves the machine to others, so its trainers may be starved without being hung; what nobody names soon goes.
SOAK = {"NUDGE_BLOB_GRACE_S": "60", "NUDGE_GIVE_WAY": "true", "NUDGE_HANG_S": "60"}


@dataclass(frozen=True)
class Plan:
    """How much of what. Either `faults` or `soak_s` ends the faults."""

    faults: int
    soak_s: float
    seed: int
    database: str
    workers: int
    pace_s: float
    kinds: tuple[str, ...]
    curve: Path | None


def run(plan: Plan) -> int:
    """Do it; prints the report, whose last line is JSON. Gives the exit code."""
    settings = SOAK if plan.soak_s else {}
    console = Console(stderr=True)
    with (
        Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        ) as bar,
        running(plan.database, plan.workers, random.Random(f"{plan.seed}-parts"), **settings) as house,
    ):
        return _run(plan, house, bar)


def _run(plan: Plan, house: House, bar: Progress) -> int:
    ledger, agenda, report = Ledger(), Agenda(), Report()
    caller = Caller(house.url, house.outages, ledger)
    task = bar.add_task("undisturbed references", total=None)
    ground, references = calmly(caller, house.database, plan.kinds, ledger)
    checker = Checker(house.database, house.blobs, caller, ledger, references)
    # In a soak something must live through all of it, or growth would end with each restart.
    spared = frozenset(("server", SPARED_WORKER) if plan.soak_s else ())
    striker = Striker(house, agenda, ledger, random.Random(plan.seed), spared)
    load = Load(house, ledger, ground, plan.kinds, plan.seed)
    soak = Soak(house, ledger, references, report) if plan.soak_s else None
    draw = random.Random(f"{plan.seed}-pace")

    load.start()
    agenda.every(CARE_S, house.care)
    if soak is not None:
        soak.start()
    until = time.monotonic() + plan.soak_s

    def going() -> bool:
        return not load.broken and (time.monotonic() < until if plan.soak_s else striker.struck < plan.faults)

    def strike() -> None:
        if going():
            alive = len(ledger.alive())
            if striker.struck:
                report.fewest_alive = min(report.fewest_alive, alive)
            name = striker.strike() if striker.struck or alive >= FEWEST else None
            agenda.after(0.2 if name is None else draw.uniform(0.5, 1.5) * plan.pace_s, strike)
            bar.update(task, completed=striker.struck, description=name or "waiting")

    bar.update(task, description="load", total=plan.faults or None, completed=0)
    began = time.monotonic()
    agenda.after(0.0, strike)
    agenda.run(lambda: not going())
    report.faults_s = time.monotonic() - began
    bar.update(task, description="calm again, to the end")
    _come_to_the_end(house, agenda, ledger, load)
    load.stop()
    if soak is not None:
        soak.stop()
        soak.tell(plan.curve)
    for known in [*ledger.jobs.values()]:
        report.time(house, ledger, known.id)
    report.findings += checker.check_all()
    caller.close()
    ledger.errors += [f"the load broke: {error!r}" for error in load.broken]
    report.tell(house, ledger, striker.counts)
    print(report.line(ledger, striker.struck), flush=True)
    wrong = not report.holds(ledger)
    house.keep = wrong or any(part.disobeyed for part in house.parts)
    return int(wrong)


def _come_to_the_end(house: House, agenda: Agenda, ledger: Ledger, load: Load) -> None:
    """No more faults: wait until all is up and every job settled, or until nothing moves any more."""
    load.disturbing.clear()
    began = moved = time.monotonic()
    before: object = None

    def ended() -> bool:
        nonlocal moved, before
        alive = ledger.alive()
        state = [(known.id, known.status, known.sights[-1:]) for known in alive]
        if state != before:
            before, moved = state, time.monotonic()
        if not alive and not load.sending and house.all_up:
            return True
        now = time.monotonic()
        return bool(load.broken) or now - moved > NO_MOVE_S or now - began > LONGEST_END_S

    agenda.run(ended)
