"""Which kernels compute is said where the system starts, and without any, training still works."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from core.compiled.build import SOURCES, summary
from standalone.system import System
from tests.infrastructure.journey import connect, journey
from tests.infrastructure.processes import eventually

ROOT = SOURCES.parent.parent
WITHOUT = shutil.ignore_patterns("built", "__pycache__")


def said_at_start(system: System) -> tuple[str, str]:
    """What `nudged up` and the worker's log say of kernels."""
    told, log = system.data / "up.log", system.data / "logs" / "worker.log"
    eventually(lambda: "Ctrl-C stops it." in told.read_text(), 30, "it says how it computes")
    eventually(lambda: "worker.ready" in log.read_text(), 30, "the worker is ready")
    [line] = [line for line in told.read_text().splitlines() if line.startswith("  kernels ")]
    [ready] = [json.loads(line) for line in log.read_text().splitlines() if '"worker.ready"' in line]
    return line.removeprefix("  kernels "), ready["kernels"]


@pytest.fixture
def bare(tmp_path: Path) -> Mapping[str, str]:
    """The environment of a copy of the system that was installed without compiling anything."""
    for package in ("core", "store", "service", "worker", "standalone"):
        shutil.copytree(ROOT / package, tmp_path / "copy" / package, ignore=WITHOUT)
    return {"PYTHONPATH": str(tmp_path / "copy"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_the_kernels_are_named(tmp_path: Path) -> None:
    with System(tmp_path / "data") as system:
        assert said_at_start(system) == (summary(), summary())
        said = (system.data / "up.log").read_text()
    assert said.startswith(f"Starting Nudge in {system.data} ...\n")


def test_without_kernels_numpy_computes_and_it_is_said(bare: Mapping[str, str], tmp_path: Path) -> None:
    with System(tmp_path / "data", environment=bare) as system:
        for told in said_at_start(system):
            assert "NumPy computes, slower" in told
        with connect(system.url) as client:
            journey(client)


def test_a_compiler_that_fails_is_as_good_as_none(bare: Mapping[str, str]) -> None:
    broken = Path(bare["PYTHONPATH"]) / "ziglang"
    broken.mkdir()
    (broken / "__init__.py").touch()
    (broken / "__main__.py").write_text("raise SystemExit('no room')")
    script = (
        "from core.compiled import build, library\n"
        "from worker.worker import find_kernels\n"
        "assert build.missing() == (build.variant() is not None)\n"
        "assert library.load('float32') is None\n"
        "print(find_kernels())"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env=os.environ | bare,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "NumPy computes, slower" in done.stdout.splitlines()[-1]
    assert not list((broken.parent / "core" / "compiled" / "built").glob("*.so"))
