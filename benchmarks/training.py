"""Measure training beside PyTorch, JAX and scikit-learn, all on the same cores; the last line is one JSON object.

Every contender trains the same network from the same weights; before anything is timed, the weights after 20 steps are
compared. Rounds are interleaved, because a machine drifts: only the ratios within a run mean something.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from benchmarks.contest import ENVIRONMENTS, LIMIT, OURS, PEERS, Contest
from benchmarks.workloads import BY_NAME, CHECKED_STEPS, EXTRA, WORKLOADS, Workload

console = Console(stderr=True)
ROUND_S = 0.6
LOOSE = 1e-2  # the bound for scikit-learn's Adam, which places epsilon elsewhere


@dataclass
class Outcome:
    """What one workload gave: distances of the weights, and samples per second in each round."""

    distances: dict[str, tuple[float, float]] = field(default_factory=dict)
    speeds: dict[str, list[float]] = field(default_factory=dict)

    def speed(self, name: str) -> float:
        """The median over the rounds."""
        return statistics.median(self.speeds[name])

    @property
    def best_peer(self) -> str:
        """The fastest of the others."""
        return max((name for name in PEERS if name in self.speeds), key=self.speed)

    def ratio(self, name: str, to: str) -> float:
        """The median of the ratios within each round."""
        return statistics.median(a / b for a, b in zip(self.speeds[name], self.speeds[to], strict=True))


def compare(contest: Contest, workload: Workload, names: list[str], outcome: Outcome, folder: Path) -> None:
    """Fill the distances from PyTorch in float64 after the checked steps; exit if one is beyond the bound."""
    reference = _weights(contest, "torch", workload, folder, "float64")
    assert reference is not None
    start, _ = workload.start(workload.network_of(workload.dataset(workload.checked_rows)), "float64")
    way = np.linalg.norm(reference - start.astype(np.float32))
    for name in names:
        theta = _weights(contest, name, workload, folder, "float32")
        if theta is not None:
            difference = theta - reference
            outcome.distances[name] = float(np.linalg.norm(difference) / way), float(np.abs(difference).max())
    beyond = [
        f"{name} {share:.1e}" for name, (share, _) in outcome.distances.items() if not share <= _bound(name, workload)
    ]
    if beyond:
        raise SystemExit(
            f"{workload.name}: not the same weights after {CHECKED_STEPS} steps (bound {workload.bound:.0e} of "
            f"the way): {', '.join(beyond)}"
        )


def _bound(name: str, workload: Workload) -> float:
    return LOOSE if name == "sklearn" and workload.optimizer["type"] == "adam" else workload.bound


def _weights(
    contest: Contest, name: str, workload: Workload, folder: Path, dtype: str
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None:
    """The weights, if they can be compared."""
    path = folder / f"{workload.name}-{name}-{dtype}.npy"
    told = contest.contestants[name].ask("weights", workload=workload.name, path=str(path), dtype=dtype)
    return np.load(path) if told["comparable"] else None


def measure(
    contest: Contest,
    workload: Workload,
    names: Sequence[str],
    outcome: Outcome,
    repeats: int,
    gap: float,
    tick: Callable[[], None],
) -> None:
    """Warm everyone up, then let each train for a moment in turn, again and again."""
    for name in names:
        contest.contestants[name].ask("prepare", workload=workload.name)
        tick()
    for _ in range(repeats):
        for name in names:
            time.sleep(gap)
            told = contest.contestants[name].ask("round", seconds=ROUND_S)
            outcome.speeds.setdefault(name, []).append(told["rows"] / told["seconds"])
            tick()
    for name in names:
        contest.contestants[name].ask("finish")


def run(workloads: Sequence[Workload], threads: int, repeats: int, limit: bool) -> dict[str, Outcome]:
    """Everything, one workload after the other."""
    wanted = {name for workload in workloads for name in workload.contenders} | ({LIMIT} if limit else set())
    names = [name for name in ENVIRONMENTS if name in wanted]
    # With more threads, pools of the one before may still be spinning when the next begins.
    gap = 0.02 if threads == 1 else 0.3
    outcomes: dict[str, Outcome] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress(console=console, auto_refresh=False, transient=True) as progress,
        Contest(names, threads) as contest,
    ):
        for workload in workloads:
            here = [name for name in names if name in (*workload.contenders, LIMIT)]
            task = progress.add_task(f"{workload.name}: same weights?", total=len(here) * (repeats + 1))
            progress.refresh()
            if not console.is_terminal:
                console.print(f"{workload.name}: {workload.network}")
            outcome = outcomes[workload.name] = Outcome()
            compare(contest, workload, here, outcome, Path(folder))
            names = [name for name in names if name in here or name not in workload.contenders]
            progress.update(task, description=f"{workload.name}: {workload.network}")
            measure(contest, workload, here, outcome, repeats, gap, _ticker(progress, task))
    return outcomes


def _ticker(progress: Progress, task: TaskID) -> Callable[[], None]:
    def tick() -> None:
        progress.advance(task)
        progress.refresh()

    return tick


def show(outcomes: dict[str, Outcome]) -> None:
    """The tables for people."""
    out = Console(width=max(console.width, 120))
    names = [name for name in ENVIRONMENTS if any(name in o.speeds for o in outcomes.values())]
    table = Table(title="Samples per second, and ratio to the best peer", title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for workload, outcome in outcomes.items():
        cells = [
            f"{outcome.speed(name):,.0f}\n[dim]{outcome.ratio(name, outcome.best_peer):.2f}[/]"
            if name in outcome.speeds
            else ""
            for name in names
        ]
        table.add_row(workload, *cells)
    out.print(table)
    table = Table(
        title=f"After {CHECKED_STEPS} steps, from PyTorch in float64: share of the way (largest)",
        title_justify="left",
        caption=f"scikit-learn's Adam is bound to {LOOSE:.0e}",
    )
    table.add_column("")
    table.add_column("bound", justify="right")
    for name in names:
        table.add_column(name, justify="right")
    for workload, outcome in outcomes.items():
        told = [outcome.distances.get(name) for name in names]
        cells = ["" if t is None else f"{t[0]:.0e} ({t[1]:.0e})" for t in told]
        table.add_row(workload, f"{BY_NAME[workload].bound:.0e}", *cells)
    out.print(table)
    for workload in outcomes:
        told = BY_NAME[workload]
        out.print(f"{workload}: {told.network}; {told.loss}, {told.optimizer['type']}, batch {told.batch}", style="dim")


def summary(outcomes: dict[str, Outcome], threads: int) -> dict[str, object]:
    """The same for programs."""
    training = {}
    for workload, outcome in outcomes.items():
        told = {name: round(outcome.speed(name), 1) for name in outcome.speeds}
        ours = next(name for name in OURS if name in outcome.speeds)
        # The matrix product is our own: there is no library for linear algebra to exchange for another.
        training[workload] = told | {
            "nudge_mkl": None,
            "ratio_to_best": round(outcome.ratio(ours, outcome.best_peer), 3),
        }
    return {"training": training, "threads": threads}


def main() -> None:
    """Measure, show, and end with one line of JSON."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--workloads", help=f"some of {','.join(BY_NAME)}; W1 to W6 if nothing is said")
    parser.add_argument("--extra", action="store_true", help="also other stacks, beside PyTorch only")
    parser.add_argument("--limit", action="store_true", help="also time the matrix products alone")
    parser.add_argument("--threads", type=int, default=1, help="cores for each contender (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of all contenders (default 5)")
    arguments = parser.parse_args()
    if arguments.workloads:
        unknown = set(arguments.workloads.split(",")) - set(BY_NAME)
        if unknown:
            parser.error(f"no workload {', '.join(sorted(unknown))}: choose from {', '.join(BY_NAME)}")
        workloads = [BY_NAME[name] for name in arguments.workloads.split(",")]
    else:
        workloads = [*WORKLOADS]
    if arguments.extra:
        workloads += [workload for workload in EXTRA if workload not in workloads]
    outcomes = run(workloads, arguments.threads, max(1, arguments.repeats), arguments.limit)
    show(outcomes)
    print(json.dumps(summary(outcomes, arguments.threads)))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
