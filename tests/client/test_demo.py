"""`make demo`, as a person or a pipe sees it; afterwards nothing is left."""

import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.client.conftest import ROOT
from tests.infrastructure.processes import eventually

DEMO = [sys.executable, "-m", "standalone.demo", "--digit", "5"]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files, short enough for sockets; the demo must leave it empty."""
    with tempfile.TemporaryDirectory(prefix="demo-", dir="/tmp") as folder:
        yield Path(folder)


def environment(place: Path) -> dict[str, str]:
    return os.environ | {"TMPDIR": str(place), "COLUMNS": "80", "TERM": "xterm-256color"}


def processes_in(place: Path) -> list[psutil.Process]:
    """Everything that still runs on behalf of the demo in `place`."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR", "").startswith(str(place)):  # the system has a folder within it
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_through_a_pipe(place: Path) -> None:
    done = subprocess.run(
        DEMO, env=environment(place), cwd=ROOT, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    accuracy = re.search(r"It reads ([\d.]+) % of the validation digits right", done.stdout)
    assert accuracy
    assert float(accuracy[1]) >= 95
    assert "epoch 60/60" in done.stdout
    assert "What to try next" in done.stdout
    assert "\x1b" not in done.stdout
    assert list(place.iterdir()) == []
    assert processes_in(place) == []


def test_in_a_terminal_of_80_columns(place: Path) -> None:
    svg = place / "demo.svg"
    master, slave = pty.openpty()
    demo = subprocess.Popen(
        [*DEMO, "--svg", svg], env=environment(place), cwd=ROOT, stdout=slave, stderr=slave, stdin=slave
    )
    os.close(slave)
    shown = b""
    try:
        while data := os.read(master, 65536):
            shown += data
    except OSError:  # the other end closed
        pass
    finally:
        os.close(master)
        demo.wait(150)
    assert demo.returncode == 0, shown.decode()
    assert b"succeeded" in shown
    drawn = svg.read_text()
    assert "validation" in drawn
    assert "127.0.0.1" not in drawn
    assert str(ROOT) not in drawn
    assert list(place.iterdir()) == [svg]


@pytest.mark.parametrize(
    ("stop", "when", "code"),
    [(signal.SIGINT, "epoch 1/", 130), (signal.SIGTERM, "Nudge", 143), (signal.SIGHUP, "Nudge", 129)],
)
def test_stopped_in_the_middle(place: Path, stop: signal.Signals, when: str, code: int) -> None:
    with subprocess.Popen(DEMO, env=environment(place), cwd=ROOT, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        while when not in demo.stdout.readline():
            assert demo.poll() is None
        eventually(lambda: len(processes_in(place)) > 2, 60, "demo, supervisor and parts of the system run")
        demo.send_signal(stop)
        rest, _ = demo.communicate(timeout=150)
    assert demo.returncode == code, rest
    assert list(place.iterdir()) == []
    assert processes_in(place) == []


def test_a_failure_is_a_sentence(place: Path) -> None:
    done = subprocess.run(
        DEMO,
        env=environment(place) | {"NUDGE_MAX_UPLOAD_BYTES": "2000"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert "The demo failed:" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert list(place.iterdir()) == []
    assert processes_in(place) == []
