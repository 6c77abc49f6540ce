"""Children that cannot outlive their parent, even when it is killed with SIGKILL."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def dies_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """For `preexec_fn`: the kernel sends `number` to the child when the thread that starts it ends.

    So start children from the main thread. Only Linux can do this; elsewhere the answer is None, and only a
    parent that can still act stops its children.
    """
    if sys.platform != "linux":
        return None
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: the child should do as little as possible

    def set_death_signal() -> None:
        prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before we could ask
            os.kill(os.getpid(), signal.SIGKILL)

    return set_death_signal
