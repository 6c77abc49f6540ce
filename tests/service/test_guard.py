import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import ServiceSettings
from tests.infrastructure.process import free_port
from tests.service.conftest import OpenHouse
from tests.service.house import House, clean_environment, is_problem


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1", "127.1.2.3:8", "[::1]:8080", "a.localhost"])
def test_names_of_this_machine(house: House, host: str) -> None:
    assert house.http.get("/livez", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["example.com", "localhost.example.com", "127.0.0.1.nip.io", "10.0.0.1", "[::2]", "", "local host", "*"]
)
def test_other_names_are_refused(house: House, host: str) -> None:
    is_problem(house.http.get("/v1/jobs", headers={"Host": host}), 421, "unknown-host")


def test_pages_of_other_origins_are_refused(house: House) -> None:
    own = house.http.get("/v1/jobs", headers={"Origin": house.url})
    assert own.status_code == 200
    for origin in ("https://example.com", "http://localhost:1", "null", "http://[", "http://127.0.0.1"):
        is_problem(house.http.get("/v1/jobs", headers={"Origin": origin}), 403, "foreign-origin")
    is_problem(house.http.post("/v1/jobs", headers={"Origin": "http://evil.example"}), 403, "foreign-origin")


def test_names_may_be_allowed(open_house: OpenHouse) -> None:
    house = open_house(NUDGE_ALLOWED_HOSTS="nudge.internal, Other.Internal")
    for host in ("nudge.internal", "OTHER.internal:80", "localhost"):
        assert house.http.get("/livez", headers={"Host": host}).status_code == 200
    for host in ("internal", "10.0.0.1"):
        is_problem(house.http.get("/livez", headers={"Host": host}), 421)


def test_an_insecure_server_is_known_by_its_addresses(open_house: OpenHouse) -> None:
    house = open_house(NUDGE_INSECURE="true", NUDGE_HOST="0.0.0.0")
    assert house.http.get("/livez", headers={"Host": "10.0.0.1:8080"}).status_code == 200
    is_problem(house.http.get("/livez", headers={"Host": "example.com"}), 421)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.com"])
def test_listening_beyond_this_machine_needs_a_word(host: str) -> None:
    refusal = ServiceSettings(host=host).refusal_to_listen()
    assert refusal is not None
    assert "API keys" in refusal
    assert "NUDGE_INSECURE" in refusal
    assert ServiceSettings(host=host, insecure=True).refusal_to_listen() is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_listening_on_this_machine_needs_none(host: str) -> None:
    assert ServiceSettings(host=host).refusal_to_listen() is None


def test_the_command_ends_with_the_refusal(tmp_path: Path) -> None:
    environment = {"NUDGE_HOST": "0.0.0.0", "NUDGE_PORT": str(free_port()), "NUDGE_DATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "service"],
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Refusing to listen on 0.0.0.0")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
