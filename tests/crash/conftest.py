"""A fleet over each database, for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.crash.fleet import Fleet
from tests.infrastructure.valkey import ValkeyServer


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def fleet(
    request: pytest.FixtureRequest, broker_server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with broker_server.connect() as connection:
        connection.flushall()
    postgres = request.getfixturevalue("postgres_server") if request.param == "postgresql" else None
    url = postgres.create("crash") if postgres else f"sqlite:///{folder / 'nudge.db'}"
    fleet = Fleet(url, broker_server.url, folder)
    yield fleet
    fleet.close()
    if postgres:
        postgres.drop("crash")
