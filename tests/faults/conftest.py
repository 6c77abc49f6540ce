"""Workers and servers over a SQLite store, whose disk and clock can be put wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infrastructure.faults import Faults, compile_faults
from tests.worker.conftest import Outcome, Plant, undisturbed_outcome

# Some seconds of training whose checkpoints are files. Everything that a fault does to it must leave no trace.
STEADY = {
    "epochs": 400,
    "batch_size": 4,
    "network": {
        "layers": [
            {"type": "dense", "units": 256},
            {"type": "tanh"},
            {"type": "dense", "units": 256},
            {"type": "tanh"},
            {"type": "dense", "units": 2},
        ],
    },
    "optimizer": {"type": "sgd", "learning_rate": 0.01},
    "checkpoints": {"every_epochs": 1, "keep": 2},
}
# A store that is away for longer than this is given up on. Half a hundred renewals: a machine that is busy elsewhere
# for seconds loses nothing.
HASTY = {"NUDGE_LEASE_S": "5", "NUDGE_RENEW_S": "0.1", "NUDGE_RESCUE_S": "0.2"}


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the `STEADY` job comes to when nothing disturbs it."""
    return undisturbed_outcome(tmp_path_factory.mktemp("undisturbed"), STEADY)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    opened = Plant(f"sqlite:///{tmp_path / 'nudge.db'}", "", tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def faults_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_faults(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def faults(faults_library: Path, tmp_path: Path) -> Faults:
    return Faults(faults_library, tmp_path / "faults")
