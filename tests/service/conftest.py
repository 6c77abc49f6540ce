"""One server for the tests that do not disturb it, and a maker of servers for those that do."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.service.house import House, running


class OpenHouse(Protocol):
    """Starts a server of a test's own."""

    def __call__(self, database_url: str | None = None, **environment: str) -> House: ...


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server over SQLite that every test of this process shares."""
    limits = {
        "NUDGE_MAX_BODY_BYTES": "2000000",
        "NUDGE_MAX_UPLOAD_BYTES": "3000000",
        "NUDGE_MAX_PREDICT_ROWS": "500",
        "NUDGE_MAX_PREDICT_FLOPS": "100000000",
        "NUDGE_MAX_EVALUATE_ROWS": "100",
        "NUDGE_MAX_EVALUATE_FLOPS": "20000",
        "NUDGE_LOADED_MODELS": "2",
        "NUDGE_BODY_TIMEOUT_S": "4",
    }
    with running(tmp_path_factory.mktemp("house"), **limits) as house:
        yield house


@pytest.fixture
def open_house(tmp_path: Path) -> Iterator[OpenHouse]:
    """Starts servers that end with the test."""
    with ExitStack() as stack:

        def start(database_url: str | None = None, **environment: str) -> House:
            return stack.enter_context(running(tmp_path, database_url, **environment))

        yield start


@pytest.fixture(scope="session")
def dataset(house: House) -> str:
    """A dataset of twelve rows and two classes, "a" and "b"."""
    return house.add_dataset("shared")


@pytest.fixture(scope="session")
def trained(house: House, dataset: str) -> str:
    """A job that has succeeded."""
    job = house.submit(dataset, name="trained", epochs=3)
    house.train(job)
    return job


@pytest.fixture(scope="session")
def model(house: House, trained: str) -> str:
    """The model that it made."""
    return str(house.http.get(f"/v1/jobs/{trained}").json()["model"])
