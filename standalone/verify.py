"""`nudge verify`: repeat a job on this machine from its receipt, and compare every digest.

It needs the mathematics, not a server; the client finds the command where the whole of Nudge is installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from client.commands.datasets import FILES, reading_options
from client.commands.file_options import FileOptions
from client.datasets import parts
from client.terminal import FAILED, OK, Terminal, pass_terminal

if TYPE_CHECKING:
    from core.receipt import Receipt
    from core.replay import Verdict


@click.command(cls=FileOptions)
@click.argument("receipt", type=FILES)
@click.option("--data", type=FILES, multiple=True, required=True, metavar="FILES...", help="The job's data.")
@click.option("--validation", type=FILES, multiple=True, metavar="FILES...", help="Its validation data, if it had any.")
@click.option("--target", help="The column that holds the target, where it was named at the upload.")
@click.option("--options", help='How the files are read, as at their upload, as JSON: {"delimiter": ";"}.')
@click.option("--start", type=FILES, help="The file of the weights that the job began with, if any.")
@click.option("--json", "as_json", is_flag=True, help="Pure JSON on stdout, for scripts.")
@pass_terminal
def verify(
    terminal: Terminal,
    receipt: Path,
    data: tuple[Path, ...],
    validation: tuple[Path, ...],
    target: str | None,
    options: str | None,
    start: Path | None,
    as_json: bool,
) -> int:
    """Repeat a job from its RECEIPT, and compare every digest.

    It is trained again on this machine; its checkpoints and metrics must come to the same bytes.
    RECEIPT is what `nudge jobs receipt JOB` writes; `nudge jobs checkpoint JOB --which start` gives the file for
    --start. The exit code is 0 when everything is the same, else 1.
    """
    # Before NumPy is imported: more threads than a spec asks for would change the sums.
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    terminal.json = terminal.json or as_json
    told, reading = _receipt(receipt), json.dumps(reading_options(options, target))
    with (
        tempfile.TemporaryDirectory(prefix="nudge-") as folder,
        Progress(
            TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=terminal.err, transient=True
        ) as bar,
    ):
        task = bar.add_task(f"Training {told.name} again", total=1.0)
        verdict = _replay(
            told, (data, validation, start), reading, Path(folder), lambda done: bar.update(task, completed=done)
        )
    if terminal.json:
        terminal.document(_document(told, verdict))
    else:
        _say(terminal, told, verdict)
    return OK if verdict.same else FAILED


def _receipt(path: Path) -> Receipt:
    from pydantic import ValidationError  # noqa: PLC0415

    from core.receipt import Receipt  # noqa: PLC0415

    try:
        told = Receipt.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(map(str, first["loc"])) or "the whole file"
        raise click.UsageError(f"{path.name} is no receipt that this version reads: {place}: {first['msg']}.") from None
    if not told.is_whole():
        raise click.UsageError(f"{path.name} was changed since it was written: its own digest does not fit.")
    if not told.checkpoints and not told.epochs:
        raise click.UsageError(f"{path.name} is of a job that has stored nothing yet: there is nothing to compare.")
    return told


def _replay(
    told: Receipt,
    files: tuple[tuple[Path, ...], tuple[Path, ...], Path | None],
    reading: str,
    folder: Path,
    progress: Callable[[float], None],
) -> Verdict:
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    from core.checkpoint import Checkpoint, CheckpointDamaged  # noqa: PLC0415
    from core.data import Dataset  # noqa: PLC0415
    from core.replay import replay  # noqa: PLC0415
    from core.spec import SpecError  # noqa: PLC0415
    from core.weights import Weights  # noqa: PLC0415

    data, validation, start = files
    expected = told.validation_dataset
    if bool(validation) != (expected is not None):
        needed = "needs --validation: it was validated on a" if expected else "takes no --validation: it names no"
        raise click.UsageError(f"This job {needed} dataset of its own.")
    if (start is not None) != (told.start is not None):
        source = f"`nudge jobs checkpoint {told.job} --which start` gives its file"
        needed = f"needs --start: it began with {told.start.checkpoint}; {source}" if told.start else "takes no --start"
        raise click.UsageError(f"This job {needed}.")
    if start is not None and told.start is not None:
        found = f"sha256:{hashlib.sha256(start.read_bytes()).hexdigest()}"
        if found != told.start.content:
            raise click.UsageError(f"{start.name} is not {told.start.checkpoint}: its SHA-256 is another one.")
    folders = [_read("--data", data, told.dataset.digest, reading, folder / "data")]
    if expected is not None:
        folders.append(_read("--validation", validation, expected.digest, reading, folder / "validation"))
    opened = Weights if told.spec.get("from_weights") else Checkpoint
    try:
        with threadpool_limits(told.spec["threads"]):
            return replay(
                told,
                Dataset.open(folders[0]),
                Dataset.open(folders[1]) if expected is not None else None,
                None if start is None else opened.open(start),
                progress,
            )
    except (SpecError, CheckpointDamaged, ValueError) as error:
        raise click.ClickException(f"The job cannot be repeated by this version: {error}") from error


def _read(option: str, files: tuple[Path, ...], digest: str, reading: str, into: Path) -> Path:
    """The dataset of some files, which must have this digest."""
    from pydantic import ValidationError  # noqa: PLC0415

    from core import readers  # noqa: PLC0415
    from core.data import digest as digest_of  # noqa: PLC0415

    into.mkdir()
    try:
        options = readers.ReadOptions.model_validate_json(reading)
        readers.read(dict(parts(*files)), into, options=options)
    except (ValidationError, ValueError, readers.DataError, readers.TooLarge) as error:
        raise click.BadParameter(str(error), param_hint=option) from error
    found = digest_of(into)
    if found != digest:
        raise click.BadParameter(
            f"These are not the data of the receipt: their digest is {found}, it names {digest}. Where they were "
            "uploaded with options, give the same ones with --options.",
            param_hint=option,
        )
    return into


def _document(told: Receipt, verdict: Verdict) -> dict[str, Any]:
    difference = verdict.difference
    return {
        "object": "verification",
        "job": told.job,
        "same": verdict.same,
        "checkpoints": verdict.checkpoints,
        "epochs": verdict.epochs,
        "difference": None
        if difference is None
        else {"what": difference.what, "expected": difference.expected, "found": difference.found},
        "promised": told.bit_exact and not verdict.elsewhere,
        "elsewhere": verdict.elsewhere or None,
        "fingerprint": json.loads(json.dumps(verdict.fingerprint)),
    }


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _say(terminal: Terminal, told: Receipt, verdict: Verdict) -> None:
    from core.replay import METRICS  # noqa: PLC0415

    if verdict.difference is None:
        terminal.out.print(
            f"[bold green]The same bytes[/]: {_count(verdict.checkpoints, 'checkpoint')} and the metrics of "
            f"{_count(verdict.epochs, 'epoch')} of {told.name} ({told.job}).",
            soft_wrap=True,
        )
    else:
        difference = verdict.difference
        verb = "differ" if difference.what == METRICS else "differs"
        terminal.out.print(f"[bold red]Not the same[/]: {difference.what} {verb}.", soft_wrap=True)
        terminal.facts({"receipt": difference.expected, "here": difference.found})
    if not told.bit_exact:
        terminal.out.print(f"The receipt promises no equal bits: {told.bit_exact_reason}", soft_wrap=True)
    if verdict.elsewhere:
        terminal.out.print(
            f"This machine computes with {verdict.elsewhere}, so equal bits were not promised.", soft_wrap=True
        )
