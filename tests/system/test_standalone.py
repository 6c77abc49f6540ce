"""`nudged up` as people meet it: the whole way, its deaths and restarts, and that nothing stays behind."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from standalone.data_lock import owner
from standalone.system import System
from tests.infrastructure.journey import X, Y, connect, journey, submit, upload, wait
from tests.infrastructure.process import answers, free_port
from tests.infrastructure.processes import all_gone, eventually, lives, tree

UP = [sys.executable, "-m", "standalone", "up"]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One system for the tests that leave it working."""
    with System(tmp_path_factory.mktemp("system") / "data") as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def part(system: System, word: str) -> psutil.Process:
    """The child of the supervisor whose command holds the word."""
    [found] = [
        child
        for child in psutil.Process(system.pid).children()
        if lives(child) and any(word in argument for argument in child.cmdline())
    ]
    return found


def test_from_a_dataset_to_a_prediction(system: System) -> None:
    with connect(system.url) as client:
        journey(client)
    for name in ("server", "worker", "broker", "migration"):
        assert (system.data / "logs" / f"{name}.log").exists()
    assert part(system, "valkey-server").cmdline()


@pytest.mark.parametrize("word", ["service", "worker", "valkey-server"])
def test_a_part_that_dies_is_started_again(system: System, word: str) -> None:
    before = part(system, word)
    before.kill()
    eventually(lambda: not lives(before), 30, "it died")
    eventually(lambda: _runs_anew(system, word, before), 30, "it was started again")
    eventually(lambda: answers(f"{system.url}/readyz"), 90, "the server answers")
    with connect(system.url) as client:
        journey(client)


def _runs_anew(system: System, word: str, before: psutil.Process) -> bool:
    with contextlib.suppress(ValueError, psutil.NoSuchProcess):  # there is none at this moment
        return part(system, word).pid != before.pid
    return False


def test_two_side_by_side_do_not_disturb_each_other(system: System, folder: Path) -> None:
    with ExitStack() as stack:
        occupant = stack.enter_context(socket.socket())
        occupant.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of an earlier one may linger
        with contextlib.suppress(OSError):  # somebody else has it: that will do
            occupant.bind(("127.0.0.1", 8080))
            occupant.listen()
        other = stack.enter_context(System(folder, port=8080))
        first, second = (stack.enter_context(connect(each.url)) for each in (system, other))
        port = other.url.rpartition(":")[2]
        log = folder / "up.log"
        eventually(lambda: "Ctrl-C stops it." in log.read_text(), 30, "it says where it is")
        assert log.read_text().startswith(
            f"Starting Nudge in {folder} ...\nPort 8080 is taken by another program, so this is port {port}.\n"
            f"Nudge is up at {other.url} "
        )
        mine, theirs = upload(first, "mine"), upload(second, "theirs")
        assert second.get(f"/v1/datasets/{mine}").status_code == 404
        assert first.get(f"/v1/datasets/{theirs}").status_code == 404
        journey(second)
    assert answers(f"{system.url}/readyz")


def test_a_second_one_on_the_same_data_is_told_who_has_it(system: System) -> None:
    second = subprocess.run(
        [*UP, "--port", "0", "--data", system.data], capture_output=True, text=True, timeout=120, check=False
    )
    assert second.returncode == 1
    assert f"process {system.pid} at {system.url}" in second.stderr
    assert answers(f"{system.url}/readyz")


def test_a_port_that_is_taken_is_an_error_with_a_way_out(system: System, folder: Path) -> None:
    port = system.url.rpartition(":")[2]
    second = subprocess.run(
        [*UP, "--port", port, "--data", folder], capture_output=True, text=True, timeout=120, check=False
    )
    assert second.returncode == 1
    assert f"Cannot listen on port {port} of 127.0.0.1: another program has it." in second.stderr
    assert "--port" in second.stderr
    assert owner(folder) == {}


def test_a_request_under_way_is_answered_and_a_second_signal_is_harmless(folder: Path) -> None:
    with System(folder) as system:
        everyone = tree(system.pid)
        body = json.dumps({"name": "late", "x": X, "y": Y}).encode()
        port = int(system.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(
                b"POST /v1/datasets HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                + f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            )
            assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"  # the server has begun to read
            connection.sendall(body[:100])
            psutil.Process(system.pid).send_signal(signal.SIGTERM)
            eventually(lambda: not answers(f"{system.url}/readyz"), 30, "the server takes no new requests")
            psutil.Process(system.pid).send_signal(signal.SIGTERM)
            assert lives(part(system, "worker"))  # the server stops first, and nothing is restarted
            connection.sendall(body[100:])
            answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 201 "), answer
        assert system.stop() == 0
    all_gone(everyone, 30)
    assert owner(folder) == {}


def test_a_killed_supervisor_leaves_nothing_behind_and_nothing_is_lost(folder: Path) -> None:
    # The lease is short and training as important as all else, so that the test need not wait for long.
    impatient = {"NUDGE_LEASE_S": "5", "NUDGE_RENEW_S": "0.5", "NUDGE_RESCUE_S": "0.5", "NUDGE_OVERDUE_S": "0.5"}
    impatient["NUDGE_GIVE_WAY"] = "false"
    with System(folder, environment=impatient) as system:
        with connect(system.url) as client:
            job = submit(client, upload(client), epochs=1_000_000)
            wait(client, job, "running")
            eventually(lambda: client.get(f"/v1/jobs/{job}").json()["progress"]["epoch"] > 0, 60, "it trains")
        everyone = tree(system.pid)
        assert len(everyone) >= 6  # supervisor, broker, worker, its warm parent of trainers, a trainer, server
        psutil.Process(system.pid).kill()
        all_gone(everyone, 30)
    with System(folder, environment=impatient) as system, connect(system.url) as client:
        eventually(lambda: client.get(f"/v1/jobs/{job}").json()["attempt"] > 1, 60, "the job is taken up again")
        job_now = client.get(f"/v1/jobs/{job}").json()
        assert (job_now["status"], job_now["attempt"]) == ("running", 2)
        assert job_now["progress"]["epoch"] > 0
        client.post(f"/v1/jobs/{job}/cancel")


def test_a_system_that_cannot_start_says_why_and_leaves_nothing(folder: Path) -> None:
    nowhere = {"DATABASE_URL": f"postgresql+psycopg://nudge@127.0.0.1:{free_port()}/nudge"}
    with pytest.raises(RuntimeError, match=r"(?s)The migration ended with status 1.*cannot be reached"):
        System(folder, environment=nowhere).__enter__()
    assert owner(folder) == {}
