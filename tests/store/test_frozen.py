"""An owner that is frozen in the middle of a transaction keeps nobody else from its job."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from standalone.lifeline import dies_with_parent
from store.database import Database
from store.errors import Unavailable
from store.migrate import migrate
from tests.infrastructure.processes import eventually
from tests.store.conftest import TENANT, Store

OWNER = """
import sys
from sqlalchemy import select, update
from store import tables
from store.database import Database
from store.errors import Unavailable

url, job_id, rest = sys.argv[1:]
this = tables.job.c.id == job_id
try:
    with Database(url).transaction() as connection:
        connection.execute(select(tables.job.c.id).where(this).with_for_update())
        if rest == "commit":
            connection.execute(update(tables.job).where(this).values(name="written too late"))
        print("holds the lock", flush=True)
        sys.stdin.readline()
        if rest == "write":
            connection.execute(update(tables.job).where(this).values(name="written too late"))
    print("committed")
except Unavailable:
    print("unavailable")
"""


@pytest.fixture
def store(postgres_url: str, tmp_path: Path) -> Iterator[Store]:
    database = Database(postgres_url)
    migrate(database)
    yield Store(database, tmp_path)
    database.dispose()


def _frozen_owner(store: Store, job_id: str, rest: str) -> "subprocess.Popen[str]":
    url = store.database.url.render_as_string(hide_password=False)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, url, job_id, rest],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=dies_with_parent(signal.SIGKILL),  # noqa: PLW1509 (one C call)
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "holds the lock\n"
    owner.send_signal(signal.SIGSTOP)
    return owner


def test_its_locks_go_and_its_transaction_with_them(store: Store) -> None:
    before = {rest: store.start(store.submit()) for rest in ("write", "commit")}
    owners = {rest: _frozen_owner(store, claim.job_id, rest) for rest, claim in before.items()}

    def taken() -> bool:
        with suppress(Unavailable):  # the lock is waited for, but not for ever
            for claim in before.values():
                store.claims.hand_back(claim.job_id, claim.attempt, None, "frozen")
        return all(store.jobs.get(TENANT, claim.job_id).status == "queued" for claim in before.values())

    try:
        eventually(taken, 60, "the jobs are taken from their owners")
    finally:
        for owner in owners.values():
            owner.send_signal(signal.SIGCONT)
    for rest, owner in owners.items():
        assert owner.communicate("go on\n", timeout=60)[0] == "unavailable\n", rest
        assert store.jobs.get(TENANT, before[rest].job_id).name != "written too late"
        assert store.event_types(before[rest].job_id) == ["queued", "started", "rescued"]
