"""`python -m chaos --faults 200 --seed 1 --database postgresql`: the last line on stdout is one JSON object."""

import argparse
import signal
import sys
from pathlib import Path

from chaos import work
from chaos.run import Plan, run


def main() -> int:
    """0 when everything held, 1 when something did not."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is stopped then too
    parser = argparse.ArgumentParser(prog="chaos", description="Break everything while jobs run, and check them all.")
    add = parser.add_argument
    add("--faults", type=int, default=200, help="how many")
    add("--soak", type=float, default=0.0, metavar="S", help="so many seconds, instead of a number of faults")
    add("--seed", type=int, default=1, help="the order of the faults and of what the clients do")
    add("--database", choices=["postgresql", "sqlite"], default="sqlite")
    add("--workers", type=int, default=3)
    add("--pace", type=float, default=1.5, metavar="S", help="mean time between faults")
    add("--kinds", default=",".join(work.KINDS), help="kinds of jobs (see chaos/work.py)")
    add("--curve", type=Path, metavar="FILE", help="with --soak: an SVG, with the samples beside it as CSV")
    given = parser.parse_args()
    faults = 0 if given.soak else given.faults
    kinds = tuple(given.kinds.split(","))
    if unknown := set(kinds) - set(work.KINDS):
        parser.error(f"there are no kinds {sorted(unknown)}")
    if set(kinds) & set(work.PREDICTIONS) and work.PREDICTED not in kinds:
        parser.error(f"predictions need the kind {work.PREDICTED}, whose model is asked")
    return run(Plan(faults, given.soak, given.seed, given.database, given.workers, given.pace, kinds, given.curve))


if __name__ == "__main__":
    sys.exit(main())
