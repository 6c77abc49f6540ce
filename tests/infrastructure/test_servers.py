"""The servers of the tests are real, empty, bounded and gone afterwards."""

import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import redis
from sqlalchemy import create_engine, inspect, text

from tests.infrastructure.process import ServerProcess
from tests.infrastructure.processes import all_gone
from tests.infrastructure.valkey import ValkeyServer


def test_each_database_is_empty_and_its_own(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == []
        connection.execute(text("CREATE TABLE mark (x INTEGER)"))
    engine.dispose()


def test_one_test_may_have_several_databases(postgres_database: Callable[[], str]) -> None:
    first, second = postgres_database(), postgres_database()
    assert first != second
    engine = create_engine(first)
    with engine.connect() as connection:
        version = connection.execute(text("SHOW server_version")).scalar_one()
    engine.dispose()
    assert int(version.split(".")[0]) >= 15


def test_broker_speaks_over_both_addresses(broker_server: ValkeyServer, broker_url: str) -> None:
    with broker_server.connect() as over_socket, redis.Redis.from_url(broker_server.tcp_url) as over_tcp:
        over_socket.set("mark", "here")
        assert over_tcp.get("mark") == b"here"
    assert broker_url.startswith("redis+socket:///")


def test_broker_is_emptied_between_tests(broker_server: ValkeyServer, broker_url: str) -> None:
    with broker_server.connect() as connection:
        assert connection.dbsize() == 0


def test_a_private_broker_can_be_killed_and_started_again(private_broker: ValkeyServer) -> None:
    private_broker.process.kill()
    assert not private_broker.answers()
    private_broker.start()
    assert private_broker.answers()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    process = ServerProcess(
        [sys.executable, "-c", "raise SystemExit('no such luck')"], tmp_path / "log", ready=lambda: False
    )
    with pytest.raises(RuntimeError, match="no such luck"):
        process.start()


def test_nothing_outlives_a_killed_test_run(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys, tempfile, time
        from pathlib import Path
        from tests.infrastructure.postgres import running_postgres
        from tests.infrastructure.valkey import running_valkey
        folder = Path(sys.argv[1])
        (folder / "p").mkdir(), (folder / "v").mkdir()
        with running_postgres(folder / "p") as postgres, running_valkey(folder / "v") as valkey:
            print(postgres.process.pid, valkey.process.pid, flush=True)
            time.sleep(600)
    """)
    folder = Path(tempfile.mkdtemp(prefix="nudge-test-killed-", dir="/tmp"))
    folder.chmod(0o711)
    runner = subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert runner.stdout is not None
        with runner.stdout:
            pids = [int(pid) for pid in runner.stdout.readline().split()]
        processes = [p for pid in pids for p in (psutil.Process(pid), *psutil.Process(pid).children())]
        assert len(processes) > 2
        runner.send_signal(signal.SIGKILL)
        all_gone(processes, 30)
    finally:
        runner.kill()
        runner.wait()
        subprocess.run(["rm", "-rf", str(folder)], check=True)
