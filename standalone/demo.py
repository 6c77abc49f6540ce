"""`make demo`: start everything, teach a network to read digits, show what it learned, stop everything."""

import gzip
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from client import Client, Dataset, Job, NudgeError, Prediction
from client.display import TrainingDisplay, percent
from client.guesses import beside, guesses
from client.inputs import read
from client.learning_curves import learning_curves
from standalone.system import System

ROOT = Path(__file__).parent.parent
SPEC = ROOT / "examples" / "digits.json"
IMAGES = ROOT / "samples" / "digits-images.idx3-ubyte.gz"
LABELS = ROOT / "samples" / "digits-labels.idx1-ubyte.gz"
HELD_BACK = 97
ENOUGH = 0.95
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TRY_NEXT = """\
[bold]What to try next[/]

  [green]make up[/]     keep Nudge running; then, in another terminal:

  [green].venv/bin/nudge train examples/digits.json --data samples/digits-* --watch[/]
  [green].venv/bin/nudge predict digits --input samples/digits-images* --rows 0:3[/]

  Does it still learn with only 4 neurons in the first layer, and smaller steps?

  [green].venv/bin/nudge train examples/digits.json --data samples/digits-* --watch \\
      --set network.layers.1.units=4 --set optimizer.learning_rate=0.3[/]

  README.md shows the same with curl and from Python."""


class DemoFailed(Exception):
    """The demo could not show what it promises."""


@click.command()
@click.option("--digit", type=click.IntRange(0, HELD_BACK - 1), help="Which held-back digit to show; default: any.")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Also keep the picture in this file.")
def main(digit: int | None, svg: Path | None) -> None:
    """Train the network of the videos on 1,700 handwritten digits and ask it about one it never saw."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # for terminals without these signs
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _ended)
    console = Console(highlight=False)
    if svg is not None:
        console = Console(highlight=False, record=True, force_terminal=True, color_system="truecolor", width=80)
    try:
        demo(console, random.randrange(HELD_BACK) if digit is None else digit)  # noqa: S311
    except KeyboardInterrupt:
        console.print("\nStopped; nothing is left running.")
        sys.exit(130)
    except (NudgeError, DemoFailed, RuntimeError, OSError) as error:
        console.print(Text(f"\nThe demo failed: {error}", style="red"), soft_wrap=True)
        sys.exit(1)
    if svg is not None:
        drawn = console.export_svg(title="make demo")
        # No fonts from elsewhere: whoever looks at the picture asks nobody else for anything.
        svg.write_text(re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL), encoding="utf-8")


def demo(console: Console, digit: int) -> None:
    """The whole demo; whatever happens, nothing runs and no file is left afterwards."""
    console.print("\n[bold]Nudge[/] · a network of 42 neurons learns to read handwritten digits\n")
    for name in ("DATABASE_URL", "BROKER_URL", "BLOBS_URL"):
        os.environ.pop(name, None)  # the demo never touches a real installation
    with tempfile.TemporaryDirectory(prefix="nudge-") as folder:
        # Whatever its processes leave in the way of temporary files goes with the folder.
        system = System(Path(folder) / "data", environment={"TMPDIR": folder})
        try:
            with step(console, "Start the whole system: broker, database, worker, server"):
                system.__enter__()
            with Client(system.url) as client:
                learn_and_ask(console, client, Path(folder), digit)
        finally:
            # A signal that comes while everything is being stopped waits until nothing is left.
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
            with step(console, "Stop everything"):
                system.stop()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
    console.print()
    console.print(TRY_NEXT, soft_wrap=True)


def learn_and_ask(console: Console, client: Client, folder: Path, digit: int) -> None:
    """Upload, train, and ask about digits that were held back."""
    with step(console, "Upload digits of 8 × 8 pixels") as done:
        dataset = upload(client, folder)
        done.append(f"{dataset.rows:,}, and {HELD_BACK} held back")
    job = client.train(SPEC, dataset=dataset)
    console.print(f"   Train 64 → 16 → 16 → 10 neurons, {job.record.estimate.parameters:,} weights and biases\n")
    with TrainingDisplay(console, "learning", job.record.progress.epochs) as display:
        for event in job:
            display.show(event)
    if not console.is_terminal:
        console.print(*learning_curves(display.history, display.epochs, console.width))
    accuracy = judged(job)
    console.print(f"\n [green]✔[/] It reads [bold]{percent(accuracy)}[/] of the validation digits right.")
    pixels, labels = (read(str(file)).inputs[-HELD_BACK:] for file in (IMAGES, LABELS))
    predictions = job.predict(pixels, top=3).predictions or []
    right = sum(guess.label == label for guess, label in zip(predictions, labels, strict=True))
    console.print("\n   Here is a digit that it has never seen, and its three best guesses:\n")
    said = guesses(predictions[digit], truth=labels[digit], width=22)
    console.print(Padding(beside(pixels[digit], said, colour=console.color_system is not None), (0, 0, 0, 3)))
    console.print(f"\n   {verdict(predictions[digit], labels[digit])}")
    console.print(f"   Of all {HELD_BACK} digits held back it reads {right} right.\n")


def upload(client: Client, folder: Path) -> Dataset:
    """Upload the sample without its last digits, as two IDX files, like MNIST's."""
    files = []
    for sample in (IMAGES, LABELS):
        data = gzip.decompress(sample.read_bytes())
        count = int.from_bytes(data[4:8], "big")
        kept, size = count - HELD_BACK, (len(data) - 4 - 4 * data[3]) // count
        files.append(folder / sample.name.removesuffix(".gz"))
        files[-1].write_bytes(data[:4] + kept.to_bytes(4, "big") + data[8 : len(data) - HELD_BACK * size])
    return client.datasets.upload(*files, name="digits")


def judged(job: Job) -> float:
    """The validation accuracy of a job that did what the demo promises; raises DemoFailed otherwise."""
    metrics = job.wait().record.metrics
    if job.status != "succeeded" or metrics is None or metrics.validation_accuracy is None:
        raise DemoFailed(f"training {job.status} ({job.record.status_reason or 'no reason given'}).")
    if metrics.validation_accuracy < ENOUGH:
        raise DemoFailed(
            f"the network reads only {percent(metrics.validation_accuracy)} of the validation digits right; "
            f"{percent(ENOUGH)} are expected."
        )
    return metrics.validation_accuracy


def verdict(prediction: Prediction, label: object) -> str:
    """Whether it was right, in a sentence."""
    article = "an" if label == 8 else "a"
    if prediction.label == label:
        return f"It says [bold]{prediction.label}[/], and {article} [bold green]{label}[/] it is."
    return f"It says [bold]{prediction.label}[/], but it was {article} [bold red]{label}[/]: nobody is perfect."


@contextmanager
def step(console: Console, what: str) -> Iterator[list[str]]:
    """Say what is being done, then that it is done; append to what is yielded to add a word."""
    words: list[str] = []
    start = time.monotonic()
    with console.status(f"{what} ...") if not console.record else _nothing():
        yield words
    detail = "".join(f": {word}" for word in words)
    console.print(f" [green]✔[/] {what}{detail}  [dim]{time.monotonic() - start:.1f} s[/]")


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _ended(signal_number: int, frame: object) -> NoReturn:
    sys.exit(128 + signal_number)


if __name__ == "__main__":
    main()
