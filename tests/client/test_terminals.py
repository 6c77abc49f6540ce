"""What is looked into is drawn in a terminal, whatever its width: nothing is wrapped by the terminal itself."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from client import Client, Dataset
from client.jobs import Job
from tests.client.conftest import ROOT

WIDTHS = (80, 120)
SPEC = {
    "name": "drawn",
    "validation": {"fraction": 0.2},
    "network": {
        "layers": [
            {"type": "flatten"},
            {"type": "dense", "units": 32},
            {"type": "relu"},
            {"type": "dense", "units": 10},
        ]
    },
    "loss": {"type": "cross_entropy"},
    "optimizer": {"type": "sgd", "learning_rate": 0.5},
    "batch_size": 20,
    "epochs": 4,
    "trace": {"surface": True},
}


def drawn(url: str, width: int, *words: object) -> str:
    """What `nudge` shows in a terminal of so many columns, without colours; no line is longer than that, or cut."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "NO_COLOR"}}
    command = subprocess.Popen(
        [sys.executable, "-m", "client.cli", *map(str, words)],
        env=environment | {"NUDGE_URL": url, "TERM": "xterm-256color"},
        cwd=ROOT, stdin=slave, stdout=slave, stderr=slave,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    try:
        while data := os.read(master, 65536):
            shown += data
    except OSError:  # the other end closed
        pass
    finally:
        os.close(master)
        command.wait(60)
    assert b"\x1b[" in shown, "without colours"
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r\n", "\n").replace("\r", "\n")
    assert "…" not in plain, plain
    assert all(cell_len(line) <= width for line in plain.split("\n")), plain
    return plain


@pytest.fixture(scope="module")
def job(url: str, digits: Dataset) -> Iterator[Job]:
    """A traced job of which the doctor finds that its steps are too long."""
    with Client(url) as client:
        yield client.jobs.submit(SPEC | {"dataset": digits.id}).wait()


def test_an_explanation(url: str, job: Job) -> None:
    told = drawn(url, 80, "explain", job.id, "--row", 5)
    assert "▀" * 16 in told, "the digit"
    assert told.count("██ ") > 32, "every neuron"
    assert re.search(r"nudges  \d+ → \d+ [+-]", told)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_change_and_its_paths(url: str, job: Job, width: int) -> None:
    nudge = job.model().explain(dataset=job.record.spec["dataset"], row=5, top=1, layers=[1]).layers[0].weight_nudge
    assert nudge is not None
    index = ",".join(map(str, nudge.strongest[0].index))
    told = drawn(url, width, "what-if", job.record.model, "--layer", 1, "--index", index, "--row", 5, "--delta", 0.123)
    assert re.search(r"3 dense +[\d.]+ +█.*  \d+: -?[\d.]+  \d+: -?[\d.]+", told), "the ripple, and who moves most"
    assert re.search(r"█+ +w ─▶ 1:\d+ ─▶ 3:\d ─▶ C", told), "a path with its bar"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_check_and_its_marks(url: str, job: Job, tmp_path: Path, width: int) -> None:
    homework = tmp_path / "homework.json"
    homework.write_text(json.dumps([{"layer": 3, "parameter": "bias", "values": [1.0] + [-0.5] * 9}]))
    told = drawn(url, width, "gradient-check", job.record.model, "--row", 5, "--gradients", homework)
    assert re.search(r"1 dense +weights +right +\S+ +█+ +│", told), "the error, and the one that is allowed"
    assert "✗ 10 entries are off" in told
    assert re.search(r"\[0\] +1 +│████████ ", told), "to the right of 0"
    assert re.search(r"\[\d\] +-0\.5 +████│ ", told), "to the left"


@pytest.mark.parametrize("width", WIDTHS)
def test_rows_that_teach(url: str, job: Job, width: int) -> None:
    told = drawn(url, width, "models", "rows", job.record.model, "--order", "gradient_norm", "--limit", 8)
    shown = (width + 2) // 18
    assert told.startswith("  ".join(["▀" * 16] * shown)), "the digits, side by side"
    assert told.count("taken for") + told.count("rightly") == shown
    assert re.search(r"\d+ +[\d.]+ +█", told), "a bar for each row"


def test_the_descent(url: str, job: Job) -> None:
    assert "•" in drawn(url, 80, "jobs", "surface", job.id)
    assert re.search(r"1 dense +[\d.]+° +█", drawn(url, 80, "jobs", "gradients", job.id))


def test_what_the_doctor_found(url: str, job: Job) -> None:
    story = drawn(url, 80, "jobs", "show", job.id)
    findings = [event for event in job.story() if event.type == "finding"]
    assert findings, "the job is no example"
    assert story.count("▲ behind epoch") == len(findings)
    watched = drawn(url, 80, "jobs", "watch", job.id)
    assert "▲ behind epoch" in watched
    assert re.search(r"└─*▲", watched), "on the axis of the curves"
