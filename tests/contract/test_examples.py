"""Every spec under examples/ fits the data that its command names, as the README there tells it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from core.estimate import check
from core.readers import ReadLimits, ReadOptions, read
from core.schema import ClassTarget, DataSchema
from core.training_spec import TrainingSpec

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "examples").rglob("*.json"))
MNIST = DataSchema(rows=60_000, input_shape=(28, 28), input_dtype="uint8", target=ClassTarget(classes=tuple(range(10))))
README = (ROOT / "examples" / "README.md").read_text("utf-8")


def command(path: Path) -> str:
    """How the README says that a spec is trained."""
    name = "nielsen/*.json" if path.parent.name == "nielsen" else path.name
    [row] = [row for row in README.splitlines() if row.startswith(f"| `{name}` |")]
    [found] = re.findall(r"`\.venv/bin/nudge train (.+)`", row)
    assert found.startswith(f"examples/{name.split('*')[0]}")
    return found


def schema(told: str, into: Path) -> DataSchema:
    """Of the dataset behind --data."""
    [pattern] = re.findall(r"--data (\S+)", told)
    if pattern.startswith("mnist/"):
        return MNIST
    files = sorted(ROOT.glob(pattern))
    named = dict(zip(("images", "labels"), files, strict=True)) if len(files) == 2 else {"file": files[0]}
    return read(named, into, format=None, options=ReadOptions(), limits=ReadLimits())


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_an_example_fits_its_data(path: Path, tmp_path: Path) -> None:
    told: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert told["name"] == path.stem
    spec = TrainingSpec.model_validate(told | {"dataset": "data"})
    assert check(spec, schema(command(path), tmp_path), None).parameters > 0
