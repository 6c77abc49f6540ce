"""A supervisor restarts what dies, gives up where that is hopeless, and leaves nothing behind."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from tests.infrastructure.processes import all_gone, eventually, lives, tree

PATIENT = "while :; do sleep 600; done"
STUBBORN = "trap '' TERM; echo you cannot stop me; while :; do sleep 0.1; done"
FATHER = "sleep 600 & sleep 600 & wait"


class Start(Protocol):
    """Starts a supervisor over scripts, each of which gets `stop_s` seconds to stop."""

    def __call__(self, *scripts: str, stop_s: float = 60.0) -> subprocess.Popen[str]: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(*scripts: str, stop_s: float = 60.0) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("supervised.py"), tmp_path, str(stop_s), *scripts],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def children(process: subprocess.Popen[str]) -> dict[str, psutil.Process]:
    """The direct children by name; none that has not begun or is just ending."""
    found = {}
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.NoSuchProcess):
            if (command := child.cmdline()) and lives(child):
                found[command[-1]] = child
    return found


def test_a_child_that_dies_is_started_again(start: Start) -> None:
    process = start(PATIENT, PATIENT)
    before = children(process)
    before["child-1"].kill()

    def again() -> bool:
        child = children(process).get("child-1")
        return child is not None and child.pid != before["child-1"].pid

    eventually(again, 30, "the child runs again")
    assert children(process)["child-0"].pid == before["child-0"].pid


def test_what_a_dead_child_had_started_goes_before_it_is_started_again(start: Start) -> None:
    process = start(FATHER)
    father = children(process)["child-0"]
    eventually(lambda: len(father.children()) == 2, 30, "grandchildren run")
    grandchildren = father.children()
    father.kill()
    all_gone(grandchildren, 30)


def test_a_child_that_keeps_dying_ends_everything_with_its_last_words(start: Start) -> None:
    process = start(PATIENT, "echo the disk is made of cheese; exit 3")
    patient = children(process)["child-0"]
    said, _ = process.communicate(timeout=90)
    assert process.returncode == 1
    assert "The child-1 ended with status 3, 5 times in quick succession." in said
    assert "the disk is made of cheese" in said
    all_gone([patient], 30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything(start: Start, number: signal.Signals) -> None:
    process = start(PATIENT, FATHER)
    father = children(process)["child-1"]
    eventually(lambda: len(father.children()) == 2, 30, "grandchildren run")
    everyone = tree(process.pid)
    process.send_signal(number)
    assert process.wait(30) == 0
    all_gone(everyone, 30)


def reporter(folder: Path, name: int, ending: str) -> str:
    """A child that notes its starts, and its end when it was asked to stop and has done what `ending` says."""
    note = f"echo {name} >> {folder}"
    return f"trap '{ending}; {note}/ends; exit' TERM; {note}/starts; while :; do sleep 0.02; done"


def notes(folder: Path, kind: str) -> list[str]:
    file = folder / kind
    return file.read_text().split() if file.exists() else []


def test_children_stop_in_reverse_order(start: Start, tmp_path: Path) -> None:
    process = start(reporter(tmp_path, 0, ending=":"), reporter(tmp_path, 1, ending="sleep 0.4"))
    eventually(lambda: len(notes(tmp_path, "starts")) == 2, 30, "both run")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert notes(tmp_path, "ends") == ["1", "0"]


def test_while_it_stops_nothing_is_restarted_and_another_signal_is_harmless(start: Start, tmp_path: Path) -> None:
    slowly = f"while ! [ -e {tmp_path}/go ]; do sleep 0.02; done; sleep 0.6"
    process = start(reporter(tmp_path, 0, ending=":"), reporter(tmp_path, 1, ending=slowly))
    eventually(lambda: len(notes(tmp_path, "starts")) == 2, 30, "both run")
    first = children(process)["child-0"]
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == "Stopping ...\n"
    first.kill()
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    (tmp_path / "go").touch()
    assert process.wait(30) == 0
    assert notes(tmp_path, "ends") == ["1"]
    assert sorted(notes(tmp_path, "starts")) == ["0", "1"]


def test_a_stubborn_child_is_killed_in_time(start: Start, tmp_path: Path) -> None:
    process = start(STUBBORN, stop_s=1.0)
    eventually(lambda: "you cannot stop me" in (tmp_path / "0.log").read_text(), 30, "its trap is set")
    everyone = tree(process.pid)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    all_gone(everyone, 30)


def test_a_frozen_child_is_stopped_too(start: Start) -> None:
    process = start(PATIENT)
    child = children(process)["child-0"]
    child.suspend()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    all_gone([child], 30)


def test_children_die_with_a_killed_supervisor(start: Start) -> None:
    process = start(PATIENT, STUBBORN)
    everyone = list(children(process).values())
    assert len(everyone) == 2
    process.kill()
    all_gone(everyone, 30)
