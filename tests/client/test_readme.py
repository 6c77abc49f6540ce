"""What the README shows works as it stands there."""

import json
import re
import subprocess
import sys

import pytest

from tests.client.conftest import ROOT

README = (ROOT / "README.md").read_text()
ADDRESS = "http://127.0.0.1:8080"


def block(heading: str, language: str) -> str:
    """The first code block of a language under a heading."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found, f"no {language} block under {heading}"
    return found[1]


def test_the_path_with_curl(url: str) -> None:
    script = block("With curl", "sh")
    assert ADDRESS in script
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script.replace(ADDRESS, url)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    stream, _, answer = done.stdout.rpartition("\n\n")
    assert "event: queued" in stream
    assert stream.count("event: epoch") == 10
    assert "event: succeeded" in stream
    assert [len(guess["top"]) for guess in json.loads(answer)["predictions"]] == [3, 3, 3]


def test_the_client_from_python(url: str) -> None:
    script = block("From Python", "python")
    assert ADDRESS in script
    done = subprocess.run(
        [sys.executable, "-c", script.replace(ADDRESS, url)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:30]] == [str(epoch) for epoch in range(1, 31)]
    assert "Prediction(" in lines[30]


def test_links_lead_somewhere() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "examples/README.md"):
        text = (ROOT / page).read_text()
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert ((ROOT / page).parent / link).exists(), f"{page}: {link}"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md", "examples/README.md"):
        named = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE))
        assert {first or second for first, second in named} <= targets


@pytest.mark.parametrize("page", ["README.md", "examples/README.md"])
def test_files_named_in_commands_exist(page: str) -> None:
    for path in re.findall(r"(?:examples|samples)/[\w./*-]+", (ROOT / page).read_text()):
        assert list(ROOT.glob(path.rstrip("."))), path
