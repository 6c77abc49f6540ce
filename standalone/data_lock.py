"""One system per data directory."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any


class DataInUse(Exception):
    """Another system runs on this data directory."""

    def __init__(self, data: Path, owner: dict[str, Any]) -> None:
        who = f"process {owner['pid']}" if "pid" in owner else "another process"
        where = f" at {owner['url']}" if owner.get("url") else ""
        super().__init__(
            f"{data} belongs to a running Nudge ({who}{where}). Stop that one, or choose another directory with --data."
        )


class DataLock:
    """Held as long as the process lives, however it ends. The file says who holds it: `{"pid", "url"}`."""

    def __init__(self, data: Path) -> None:
        self.path = lock_path(data)
        self._file = self.path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise DataInUse(data, owner(data)) from None
        self.describe(None)

    def describe(self, url: str | None) -> None:
        """Say where the system answers; None while it does not."""
        self._file.seek(0)
        self._file.truncate()
        json.dump({"pid": os.getpid(), "url": url}, self._file)
        self._file.flush()

    def release(self) -> None:
        self._file.truncate(0)
        self._file.close()


def lock_path(data: Path) -> Path:
    return data / "nudged.lock"


def owner(data: Path) -> dict[str, Any]:
    """`{"pid", "url"}` of the system that holds `data`; empty while nobody does, or it is just being written."""
    try:
        found = json.loads(lock_path(data).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
