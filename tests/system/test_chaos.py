"""A short chaos on both databases: nothing is lost, doubled, different or stuck, and nothing is left behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_dozen_faults(database: str) -> None:
    few = ["--kinds", "blink,drops,steady,wide,predict-csv", "--workers", "2"]
    arguments = ["--faults", "12", "--seed", "1", "--pace", "0.7", *few]
    run = subprocess.Popen(
        [sys.executable, "-m", "chaos", "--database", database, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, err = run.communicate(timeout=500)
    assert run.returncode == 0, out + err
    last = json.loads(out.splitlines()[-1])
    assert last["faults"] == 12
    assert last["jobs"] >= 8
    assert not any(last[name] for name in ("lost", "doubled", "different", "stuck", "server_errors"))
    left = [folder for folder in Path("/tmp").glob("nudge-chaos-*") if f"-{run.pid}-" in folder.name]
    assert left == []
