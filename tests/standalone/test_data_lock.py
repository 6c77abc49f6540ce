"""One system per data directory, and the second is told who holds it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from standalone.data_lock import DataInUse, DataLock, owner


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    lock = DataLock(tmp_path)
    lock.describe("http://127.0.0.1:8123")
    assert owner(tmp_path) == {"pid": os.getpid(), "url": "http://127.0.0.1:8123"}
    with pytest.raises(DataInUse, match=rf"process {os.getpid()} at http://127.0.0.1:8123.* --data"):
        DataLock(tmp_path)
    lock.release()
    assert owner(tmp_path) == {}
    DataLock(tmp_path).release()


def test_the_dead_hold_nothing(tmp_path: Path) -> None:
    script = "import os, sys; from pathlib import Path; from standalone.data_lock import DataLock\n"
    script += "lock = DataLock(Path(sys.argv[1])); lock.describe('http://gone'); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", script, tmp_path], check=False).returncode == -9
    assert owner(tmp_path)["url"] == "http://gone"
    lock = DataLock(tmp_path)
    assert owner(tmp_path) == {"pid": os.getpid(), "url": None}
    lock.release()
