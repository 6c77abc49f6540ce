"""The nudged command: what it refuses, and that asking for help costs nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from standalone.__main__ import main


def test_help_imports_no_part_of_the_system() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from standalone.__main__ import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "heavy = {'fastapi', 'celery', 'sqlalchemy', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


@pytest.mark.parametrize("command", ["serve", "work", "migrate", "up"])
def test_every_command_explains_itself(command: str) -> None:
    answer = CliRunner().invoke(main, [command, "--help"])
    assert answer.exit_code == 0
    assert answer.output.count("\n") > 3


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::"])
def test_up_refuses_to_listen_beyond_this_machine(tmp_path: Path, host: str) -> None:
    answer = CliRunner().invoke(main, ["up", "--host", host, "--data", str(tmp_path / "data")])
    assert answer.exit_code == 2
    assert "no API keys" in answer.output
    assert "--insecure" in answer.output
    assert not (tmp_path / "data").exists()


def test_up_names_a_variable_that_makes_no_sense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUDGE_MAX_BODY_BYTES", "plenty")
    answer = CliRunner().invoke(main, ["up", "--data", str(tmp_path / "data")])
    assert answer.exit_code == 1
    assert "MAX_BODY_BYTES" in answer.output.upper()


def test_migrate_makes_the_database_and_may_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUDGE_DATA", str(tmp_path / "data"))
    for _ in range(2):
        answer = CliRunner().invoke(main, ["migrate"])
        assert answer.exit_code == 0, answer.output
    assert list((tmp_path / "data").glob("*.db"))


def test_migrate_says_why_it_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://nudge@127.0.0.1:1/nudge")
    answer = CliRunner().invoke(main, ["migrate"])
    assert answer.exit_code == 1
    assert "cannot be reached" in answer.output
