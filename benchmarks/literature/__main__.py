"""Run the literature's own experiments and print what was published beside what is got here.

The tasks of 1986 take seconds, the first five experiments on MNIST minutes, the convolutional ones hours. The last line
is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.literature.experiments import EXPERIMENTS, MARGIN, Experiment, Result, run
from benchmarks.literature.mnist import Mnist, folder
from benchmarks.literature.pictures import PICTURES
from benchmarks.literature.tasks import TASKS, Learned, learn, structured
from core.training import Chunk, Epoch

console = Console(width=None if sys.stdout.isatty() else 140)
aside = Console(stderr=True)

PAPER = {"symmetry": "1,425 sweeps", "xor": "558 sweeps (with a direct connection)", "encoder": "-"}


def progress() -> Progress:
    """Bars on stderr, so that stdout is the report alone."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
        console=aside,
    )


def watcher(bars: Progress, name: str, epochs: int) -> Callable[[Chunk | Epoch], None]:
    """Moves one bar along with an experiment; each epoch leaves its test accuracy."""
    bar = bars.add_task(name, total=epochs, said="")

    def watch(moment: Chunk | Epoch) -> None:
        if isinstance(moment, Chunk):
            bars.update(bar, completed=moment.epoch - 1 + moment.step / moment.steps)
        else:
            accuracy = moment.metrics["validation_accuracy"] or 0.0
            speed = moment.metrics["examples_per_s"] or 0.0
            bars.update(bar, completed=moment.epoch, said=f"{100 * accuracy:.2f} %  {speed:,.0f} examples/s")

    return watch


def on_mnist(chosen: list[Experiment], files: Path, epochs: int | None, runs: int) -> list[list[Result]]:
    """Run experiments one after the other, each with the seed of its spec, then with the seeds that follow."""
    results: list[list[Result]] = []
    with TemporaryDirectory() as room, progress() as bars:
        data = Mnist.open(files, Path(room))
        for one in chosen:
            total = min(epochs or one.spec.epochs, one.spec.epochs)
            results.append([])
            for seed in range(one.spec.seed, one.spec.seed + runs):
                watch = watcher(bars, f"{one.name}, seed {seed}", total)
                results[-1].append(run(one, data, epochs=epochs, seed=seed, watch=watch))
    return results


def table_of(results: list[Result], runs: int) -> Table:
    """Published beside measured."""
    of = f", best of {runs} runs" if runs > 1 else ""
    table = Table(box=box.SIMPLE_HEAD, title=f'M. Nielsen, "Neural Networks and Deep Learning": test accuracy in %{of}')
    table.add_column("experiment", no_wrap=True)
    table.add_column("what")
    for heading in ("published", "best epoch", "last", "epochs", "seed", "seconds"):
        table.add_column(heading, justify="right")
    table.add_column("verdict", no_wrap=True)
    for result in results:
        table.add_row(
            result.experiment.name,
            result.experiment.what,
            f"{result.experiment.published:.2f}",
            f"{result.best:.2f}",
            f"{result.last:.2f}",
            f"{len(result.accuracies)}",
            f"{result.seed}",
            f"{result.seconds:,.0f}",
            f"[{'green' if result.reached else 'red'}]{verdict(result)}[/]",
        )
    return table


def verdict(result: Result) -> str:
    """In words: better, within the margin, or how far under it."""
    if result.gap >= 0:
        return f"reached ({result.gap:+.2f})"
    return f"within {MARGIN} ({result.gap:+.2f})" if result.reached else f"{-result.gap:.2f} short"


def tell(results: list[list[Result]]) -> dict[str, Any]:
    """Print the table; gives its part of the JSON."""
    told = [max(runs, key=lambda result: result.best) for runs in results]
    console.print(table_of(told, len(results[0])))
    for result in told:
        if result.experiment.remark:
            console.print(f"{result.experiment.name}: {result.experiment.remark}", style="dim")
    return {
        result.experiment.name: {
            "published": result.experiment.published,
            "best": result.best,
            "last": result.last,
            "epochs": len(result.accuracies),
            "seed": result.seed,
            "seconds": round(result.seconds, 1),
            "reached": result.reached,
            "best_of_seeds": {run.seed: run.best for run in runs},
        }
        for result, runs in zip(told, results, strict=True)
    }


def explore(task: str, seeds: int, bars: Progress) -> tuple[Learned, list[Learned]]:
    """A task with the seed of its spec, and with the seeds from 0 on."""
    bar = bars.add_task(task, total=seeds + 1, said="")
    shown = learn(task)
    others = []
    for seed in range(seeds):
        bars.update(bar, advance=1)
        others.append(learn(task, seed))
    bars.update(bar, advance=1)
    return shown, others


def tell_task(task: str, shown: Learned, others: list[Learned]) -> dict[str, Any]:
    """Print what a network of 1986 learned and how often; gives its part of the JSON."""
    solved = sorted(one.sweeps for one in others if one.sweeps is not None)
    like_paper = sum(structured(task, one) for one in others)
    console.rule(f"{task}, seed {shown.seed}", align="left")
    console.print(PICTURES[task](shown))
    after = "not learned" if shown.sweeps is None else f"Learned after {shown.sweeps:,} sweeps"
    console.print(f"{after}; published: {PAPER[task]}.")
    if others:
        spread = f" after {solved[0]:,} to {solved[-1]:,} sweeps" if solved else ""
        console.print(
            f"Of the seeds 0 to {len(others) - 1}, {len(solved)} of {len(others)} learn it{spread}; "
            f"{like_paper} of them represent it as the authors show.\n"
        )
    return {
        "seed": shown.seed,
        "sweeps": shown.sweeps,
        "as_published": structured(task, shown),
        "seeds": len(others),
        "seeds_that_learn": len(solved),
        "seeds_as_published": like_paper,
    }


def main() -> None:
    """Run what was asked for."""
    names = [*TASKS, *(experiment.name for experiment in EXPERIMENTS)]
    parser = argparse.ArgumentParser(prog="make literature", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the tasks of 1986 and the first five on MNIST")
    parser.add_argument("--only", metavar="NAME,...", help=f"some of: {', '.join(names)}")
    parser.add_argument("--epochs", type=int, help="stop the experiments on MNIST after so many epochs")
    parser.add_argument("--runs", type=int, default=1, help="of so many seeds take the best, as the book does of three")
    parser.add_argument("--seeds", type=int, default=20, help="how many other seeds to try the tasks of 1986 with")
    parser.add_argument("--mnist", type=Path, default=folder(), help="the folder of MNIST's four files")
    asked = parser.parse_args()
    only = asked.only.split(",") if asked.only else names
    if unknown := set(only) - set(names):
        parser.error(f"No experiment is called {', '.join(sorted(unknown))}; there are {', '.join(names)}.")
    chosen = [one for one in EXPERIMENTS if one.name in only and (one.quick or not asked.quick)]
    if chosen and not asked.mnist.is_dir():
        parser.error(f"MNIST's four files are not in {asked.mnist}: say where they are with --mnist or NUDGE_MNIST.")

    report: dict[str, Any] = {}
    with progress() as bars:
        explored = {task: explore(task, asked.seeds, bars) for task in TASKS if task in only}
    for task, (shown, others) in explored.items():
        report[task] = tell_task(task, shown, others)
    if chosen:
        report |= tell(on_mnist(chosen, asked.mnist, asked.epochs, asked.runs))
    print(json.dumps({"literature": report}))


if __name__ == "__main__":
    main()
