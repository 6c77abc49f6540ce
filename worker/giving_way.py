"""Manners of a trainer process: it dies with its parent, takes no more memory than it may, and yields the processor."""

import ctypes
import os
import resource
import signal
from pathlib import Path

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that made it ends, even by kill -9."""
    parent = os.getppid()
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it ended before the kernel heard of our wish
        os._exit(1)


def give_way() -> None:
    """Run only when nobody else wants the processor: SCHED_IDLE, or nice 19 where that is refused."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:
        os.nice(19)


def take_no_more_than(memory_bytes: int) -> None:
    """Have allocations beyond this fail with MemoryError; mapped files, such as datasets, do not count."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def be_the_first_to_go() -> None:
    """When memory ends, let the kernel end this trainer, not the server; and leave no core file behind."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
    except OSError:
        return  # not Linux, or a container that forbids it: the supervisor handles a lost trainer in any case
