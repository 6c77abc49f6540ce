"""Where the children write: a bounded file each, or the terminal."""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

LIMIT_BYTES = 10 * 2**20


class Log:
    """A file that children append to; `path` None means the terminal.

    The file is bounded by `keep_bounded`, which moves its content to `NAME.1`, the one older part that is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    @contextlib.contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """What a child gets as its standard output."""
        if self.path is None:
            yield sys.stderr.buffer
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            yield file

    def keep_bounded(self, limit_bytes: int = LIMIT_BYTES) -> None:
        """Copy and truncate rather than rename: the child keeps the file open, always appending to its end."""
        if self.path is None or not self.path.exists() or self.path.stat().st_size <= limit_bytes:
            return
        shutil.copyfile(self.path, self.path.with_name(self.path.name + ".1"))
        with self.path.open("r+b") as file:
            file.truncate(0)

    def last_lines(self, count: int = 12) -> str:
        if self.path is None or not self.path.exists():
            return ""
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 8192))
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-count:])
