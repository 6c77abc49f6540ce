"""Logs are bounded while the child goes on writing."""

import subprocess
from pathlib import Path

from standalone.logs import Log
from tests.infrastructure.processes import eventually


def test_a_log_is_cut_while_it_is_written(tmp_path: Path) -> None:
    log = Log(tmp_path / "logs" / "server.log")
    with log.opened() as output:
        child = subprocess.Popen(["/bin/sh", "-c", "cat"], stdin=subprocess.PIPE, stdout=output)
    assert child.stdin is not None
    assert log.path is not None
    child.stdin.write(b"before\n" * 200)
    child.stdin.flush()
    eventually(lambda: (tmp_path / "logs" / "server.log").stat().st_size == 1400, 30, "all is written")
    log.keep_bounded(limit_bytes=1000)
    child.stdin.write(b"after\n")
    child.stdin.close()
    child.wait(30)
    assert log.path.read_text() == "after\n"
    assert (tmp_path / "logs" / "server.log.1").read_text() == "before\n" * 200


def test_the_last_lines(tmp_path: Path) -> None:
    log = Log(tmp_path / "x.log")
    assert log.last_lines() == ""
    (tmp_path / "x.log").write_text("\n".join(str(number) for number in range(5000)))
    assert log.last_lines(3) == "4997\n4998\n4999"
    assert Log(None).last_lines() == ""
