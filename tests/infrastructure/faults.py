"""Faults of the disk and the clock in the processes that preload `faults.c`, switched on and off while they run."""

import ctypes
import mmap
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.compiled import build

SOURCE = Path(__file__).with_name("faults.c")


class Control(ctypes.Structure):
    """What the processes read: `struct control` in faults.c."""

    _fields_ = (
        ("clock_shift_s", ctypes.c_int64),
        ("write_error", ctypes.c_int32),
        ("sync_error", ctypes.c_int32),
        ("rename_error", ctypes.c_int32),
        ("hits", ctypes.c_int32),
        ("prefix", ctypes.c_char * 1024),
    )


def compile_faults(folder: Path) -> Path:
    """Compile the library into `folder`, with the machine's own compiler or that of the `ziglang` package."""
    own = shutil.which("cc")
    command = [own] if own else build.compiler()
    assert command is not None, "faults need a C compiler: apt-get install gcc, or pip install ziglang"
    library = folder / "faults.so"
    subprocess.run([*command, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"], check=True)
    return library


class Faults:
    """The faults of the processes that are started with `environment`."""

    def __init__(self, library: Path, control: Path) -> None:
        control.write_bytes(bytes(ctypes.sizeof(Control)))
        with control.open("r+b") as file:
            self._mapped = mmap.mmap(file.fileno(), ctypes.sizeof(Control))
        self._control = Control.from_buffer(self._mapped)
        self.environment = {"LD_PRELOAD": str(library), "NUDGE_TEST_FAULTS": str(control)}

    @property
    def hits(self) -> int:
        """How many calls have failed since the last disk fault began."""
        return int(self._control.hits)

    @contextmanager
    def disk(self, prefix: Path, *, write: int = 0, sync: int = 0, rename: int = 0) -> Iterator[None]:
        """Meanwhile these calls fail with these errors on every file whose path begins with `prefix`."""
        control = self._control
        control.prefix, control.hits = str(prefix).encode(), 0
        control.write_error, control.sync_error, control.rename_error = write, sync, rename
        try:
            yield
        finally:
            control.write_error = control.sync_error = control.rename_error = 0

    def shift_clock(self, seconds: int) -> None:
        """Set the wall clock so far from the true one."""
        self._control.clock_shift_s = seconds
