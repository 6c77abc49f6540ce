"""What the Dockerfile copies and starts exists, and it holds the house's rules for images."""

import re
import subprocess
import tomllib

from tests.infrastructure.compose import ROOT

TEXT = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COPIED = [path for line in re.findall(r"^COPY (?!--from)(.+)$", TEXT, re.MULTILINE) for path in line.split()[:-1]]


def test_everything_copied_exists_and_reaches_the_builder() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for path in COPIED:
        assert (ROOT / path).exists(), path
        assert path in allowed, f"{path} is kept from the builder by .dockerignore"
    assert sorted(allowed) == sorted(COPIED)


def test_every_package_is_in_the_image() -> None:
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) <= set(COPIED)


def test_what_the_build_reads_is_copied() -> None:
    assert {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]} <= set(COPIED)


def test_the_program_is_an_entry_point_of_the_project() -> None:
    [program] = re.findall(r'^ENTRYPOINT \["(\w+)"\]$', TEXT, re.MULTILINE)
    assert program in PROJECT["project"]["scripts"]


def test_everything_installed_is_held_to_its_hash() -> None:
    installs = re.findall(r"pip install ([^&\\\n]+)", TEXT)
    assert installs
    for options in installs:
        assert "--require-hashes" in options or "--no-deps /wheels/" in options
    for lock in ("default", "build"):
        text = (ROOT / f"requirements/{lock}.txt").read_text()
        assert len(re.findall(r"^\S+==", text, re.MULTILINE)) <= text.count("--hash=sha256:")


def test_the_image_runs_without_root_and_without_compilers() -> None:
    last = TEXT.split("\nFROM ")[-1]
    assert re.search(r"^USER (?!root)\w+$", last, re.MULTILINE)
    assert TEXT.count("\nFROM ") == 2
    assert "apt-get" not in last


def test_the_interpreter_is_one_the_project_allows() -> None:
    versions = set(re.findall(r"^FROM python:(\d+\.\d+)-slim", TEXT, re.MULTILINE))
    assert versions == {"3.11"}
    assert PROJECT["project"]["requires-python"].startswith(">=3.11")


def test_the_ci_script_runs_check_and_test() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", script], check=True)
    assert re.findall(r"^make (\w+)", script.read_text(), re.MULTILINE) == ["check", "test"]
