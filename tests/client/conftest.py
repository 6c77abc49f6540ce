"""One real system for the tests of the client, and a way to its bad days."""

import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client import Client, Dataset
from standalone.system import System
from tests.client.gateway import Gateway

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "samples"
DIGITS = (SAMPLES / "digits-images.idx3-ubyte.gz", SAMPLES / "digits-labels.idx1-ubyte.gz")


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running system: broker, database, worker, server."""
    for name in ("DATABASE_URL", "BROKER_URL", "BLOBS_URL", "NUDGE_URL"):
        os.environ.pop(name, None)
    with System(tmp_path_factory.mktemp("system")) as system:
        yield system


@pytest.fixture(scope="session")
def url(system: System) -> str:
    return system.url


@pytest.fixture
def nudge(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


@pytest.fixture(scope="session")
def iris(url: str) -> Dataset:
    with Client(url) as client:
        return client.datasets.upload(SAMPLES / "iris.csv")


@pytest.fixture(scope="session")
def iris_model(url: str, iris: Dataset) -> str:
    """The id of a small model of irises."""
    with Client(url) as client:
        network = [{"type": "dense", "units": 8}, "tanh", {"type": "dense", "units": 3}]
        job = client.train(dataset=iris, network=network, loss="cross_entropy", epochs=5, name="small-iris")
        return job.model().id


@pytest.fixture(scope="session")
def digits(url: str) -> Dataset:
    with Client(url) as client:
        return client.datasets.upload(*DIGITS, name="digits")


@pytest.fixture(scope="session")
def pixels() -> list[list[list[int]]]:
    """The images of the digits, as plain lists."""
    data = gzip.decompress(DIGITS[0].read_bytes())[16:]
    return [
        [list(data[start : start + 8]) for start in range(image, image + 64, 8)] for image in range(0, len(data), 64)
    ]


@pytest.fixture
def gateway(url: str) -> Iterator[Gateway]:
    """A way to the system that can be made to fail."""
    with Gateway(url) as way:
        yield way


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(url: str) -> Run:
    """Run the `nudge` command as a process of its own against the system."""

    def run(*words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "client.cli", *map(str, words)],
            env=os.environ | {"NUDGE_URL": url} | more,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=150,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    return run
