"""What the compose file names exists in the code: every command, variable, port, path and health check."""

import ast
import re
from typing import Any

import pytest
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from service.app import create_app
from service.settings import ServiceSettings
from standalone.__main__ import main
from store.settings import StoreSettings
from tests.infrastructure.compose import ROOT, VARIABLE, compose
from tests.infrastructure.postgres import INSTALLATION
from worker.settings import WorkerSettings

TEXT = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = compose({"POSTGRES_PASSWORD": "secret"})["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("nudge:")}
READ_BY = {
    "migrate": (StoreSettings,),
    "server": (StoreSettings, ServiceSettings),
    "worker": (StoreSettings, WorkerSettings),
}
# What the store needs is the same for all, and so is given to all.
SHARED = {"NUDGE_LOG_LEVEL"}


def variables_of(settings: type[BaseSettings]) -> dict[str, str]:
    """The field that reads each environment variable."""
    found: dict[str, str] = {}
    for name, field in settings.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            found |= {str(choice): name for choice in alias.choices}
        else:
            found[f"{settings.model_config.get('env_prefix', '')}{name}".upper()] = name
    return found


def test_the_parts_are_there() -> None:
    assert set(OURS) == set(READ_BY)
    assert set(SERVICES) == {*OURS, "postgres", "valkey"}


@pytest.mark.parametrize("name", OURS)
def test_every_command_exists(name: str) -> None:
    [command] = OURS[name]["command"]
    assert command in main.commands


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_read_by_the_program_and_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {variable for settings in READ_BY[name] for variable in variables_of(settings)}
    environment = {key: str(value) for key, value in OURS[name]["environment"].items()}
    assert set(environment) - known - SHARED == set()
    for key, value in environment.items():
        assert isinstance(OURS[name]["environment"][key], str), f"{key} must be quoted: YAML reads {value}"
        monkeypatch.setenv(key, value)
    for settings in READ_BY[name]:
        loaded = settings()
        for variable, field in variables_of(settings).items():
            if variable in environment:
                assert str(getattr(loaded, field)).lower() == environment[variable].lower()


def test_variables_to_fill_in_are_explained() -> None:
    example = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    used = {match["name"] for match in VARIABLE.finditer(TEXT)}
    assert used == set(example)
    assert example["POSTGRES_PASSWORD"] == ""
    defaults = {match["name"]: match["word"] for match in VARIABLE.finditer(TEXT) if match["kind"] == "-"}
    assert {name: example[name] for name in defaults} == defaults
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_without_a_password_nothing_starts() -> None:
    with pytest.raises(KeyError, match="POSTGRES_PASSWORD"):
        compose({})


def test_no_secret_stands_in_the_file() -> None:
    for line in TEXT.splitlines():
        for credential in re.findall(r"://[^/:\s]*:(.+)@|(?:PASSWORD|SECRET|TOKEN|KEY): (\S+)", line):
            assert "".join(credential).startswith("${"), line


def test_images_are_pinned_to_a_version() -> None:
    images = [service["image"] for service in SERVICES.values()]
    images += re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for image in images:
        assert re.search(r":\d", image), image
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert {service["image"] for service in OURS.values()} == {f"nudge:{version[1]}"}


def test_the_server_is_reached_on_this_machine_alone() -> None:
    [published] = OURS["server"]["ports"]
    address, _, inside = published.rsplit(":", 2)
    assert address == "127.0.0.1"
    assert inside == OURS["server"]["environment"]["NUDGE_PORT"]
    assert f"EXPOSE {inside}" in (ROOT / "Dockerfile").read_text()
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["server"]


def test_workers_can_be_scaled() -> None:
    assert "container_name" not in OURS["worker"]
    assert "hostname" not in OURS["worker"]
    assert "ports" not in OURS["worker"]


def test_everyone_waits_for_the_migration_and_what_is_waited_for_can_be_seen() -> None:
    for name in ("server", "worker"):
        assert OURS[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other]
            else:
                assert SERVICES[other]["restart"] == "no"


def test_every_service_is_limited_restarted_and_watched() -> None:
    for name, service in SERVICES.items():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name
        if name != "migrate":
            assert "stop_grace_period" in service, name
            assert set(service["healthcheck"]) >= {"test", "interval", "timeout", "retries"}, name


def test_health_checks_ask_what_exists() -> None:
    python, flag, script = OURS["server"]["healthcheck"]["test"][1:]
    assert (python, flag) == ("python", "-c")
    ast.parse(script)
    asked = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", script)
    assert asked is not None
    assert asked[1] == OURS["server"]["environment"]["NUDGE_PORT"]
    assert asked[2] in create_app().openapi()["paths"]

    script = OURS["worker"]["healthcheck"]["test"][-1]
    ast.parse(script)
    assert f'"{OURS["worker"]["environment"]["NUDGE_ALIVE_FILE"]}"' in script

    assert (INSTALLATION / "bin" / SERVICES["postgres"]["healthcheck"]["test"][1]).exists()
    assert SERVICES["valkey"]["healthcheck"]["test"] == ["CMD", "valkey-cli", "ping"]


def test_addresses_name_services_and_their_credentials() -> None:
    settings = OURS["server"]["environment"]
    postgres = SERVICES["postgres"]["environment"]
    assert settings["DATABASE_URL"] == (
        f"postgresql+psycopg://{postgres['POSTGRES_USER']}:{postgres['POSTGRES_PASSWORD']}"
        f"@postgres:5432/{postgres['POSTGRES_DB']}"
    )
    assert settings["BROKER_URL"] == "redis://valkey:6379/0"
    for service in OURS.values():
        assert {key: service["environment"][key] for key in ("DATABASE_URL", "BROKER_URL", "BLOBS_URL")} == {
            key: settings[key] for key in ("DATABASE_URL", "BROKER_URL", "BLOBS_URL")
        }


def test_blobs_lie_in_the_shared_volume() -> None:
    declared = compose({"POSTGRES_PASSWORD": "secret"})["volumes"]
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in declared
    for service in OURS.values():
        assert service["volumes"] == ["data:/data"]
        assert service["environment"]["NUDGE_DATA"] == "/data"
        assert service["environment"]["BLOBS_URL"].startswith("file:///data/")


def test_a_job_that_is_let_in_fits_into_a_worker() -> None:
    memory = OURS["worker"]["deploy"]["resources"]["limits"]["memory"]
    assert memory.endswith("G")
    assert int(OURS["server"]["environment"]["NUDGE_MAX_MEMORY_BYTES"]) < int(memory[:-1]) * 2**30
