"""Looking at process trees from outside."""

import time
from collections.abc import Callable

import psutil

# How many times as long as on an idle machine anything may take: other tests run beside, and others' work.
PATIENCE = 5


def lives(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def tree(pid: int) -> list[psutil.Process]:
    """A process and all its descendants."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def eventually(condition: Callable[[], bool], within_s: float, what: str) -> None:
    """Wait until the condition holds; fail with `what` when it does not in time, which `PATIENCE` extends."""
    deadline = time.monotonic() + PATIENCE * within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE * within_s} s: {what}"
        time.sleep(0.02)


def all_gone(processes: list[psutil.Process], within_s: float) -> None:
    """Fail unless every one of them ends in time."""
    eventually(
        lambda: not any(lives(process) for process in processes),
        within_s,
        f"{[process for process in processes if lives(process)]} are gone",
    )
