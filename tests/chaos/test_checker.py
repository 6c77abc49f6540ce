"""The checker sees what it should: a doctored database, and a server that does not answer as it must."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from chaos.books import read
from chaos.caller import Caller
from chaos.checker import Checker
from chaos.ledger import Ledger, Loss, Sight
from chaos.outages import Outages
from chaos.references import outcome
from chaos.takeover import takeovers
from store import tables
from tests.infrastructure.process import free_port
from tests.service.house import TENANT, House, running

event, metric, checkpoint, model, job = tables.event, tables.metric, tables.checkpoint, tables.model, tables.job


class Checked:
    """A job that was trained as its reference was, and a checker over it."""

    def __init__(self, house: House) -> None:
        self.house = house
        dataset = house.add_dataset()
        calm, self.job = house.submit(dataset), house.submit(dataset)
        house.train(calm)
        house.train(self.job)
        books = read(house.database, calm)
        assert books is not None
        self.ledger = Ledger()
        self.ledger.accept(calm, "corners", None)
        self.ledger.accept(self.job, "corners", "a key")
        self.caller = Caller(house.url, Outages(), self.ledger)
        references = {"corners": outcome(books)}
        self.checker = Checker(house.database, house.blobs, self.caller, self.ledger, references)

    def wrongs(self) -> set[str]:
        return {finding.wrong for finding in self.checker.check_all()}

    def do(self, statement: Any) -> None:
        with self.house.database.transaction() as connection:
            connection.execute(statement)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("checked")) as opened:
        yield opened


@contextmanager
def checked(house: House) -> Iterator[Checked]:
    one = Checked(house)
    try:
        yield one
    finally:
        one.caller.close()
        one.do(delete(job))


def without(row: Any, **changes: Any) -> dict[str, Any]:
    return {**row._mapping, **changes}


def add_metric(one: Checked) -> None:
    with one.house.database.reading() as connection:
        row = connection.execute(select(metric).where(metric.c.job_id == one.job, metric.c.epoch == 3)).one()
    one.do(insert(metric).values(without(row, epoch=4)))


def add_model(one: Checked) -> None:
    with one.house.database.reading() as connection:
        row = connection.execute(select(model).where(model.c.job_id == one.job)).one()
    one.do(insert(model).values(without(row, id="mdl_twin", version=1000)))


def damage_blob(one: Checked) -> None:
    books = read(one.house.database, one.job)
    assert books is not None
    wanted = books.models[0].blob
    one.do(update(tables.blob).where(tables.blob.c.digest == wanted).values(content=b"other bytes"))


def change_metric(one: Checked) -> None:
    one.do(update(metric).where(metric.c.job_id == one.job, metric.c.epoch == 2).values(measurements={"train_loss": 0}))


def key_for_two(one: Checked) -> None:
    one.ledger.accept(next(iter(one.ledger.jobs)), "corners", "a key")


def look_back(one: Checked) -> None:
    sights = [Sight("running", 2, 3, 9, 0.5), Sight("running", 1, 3, 9, 0.5)]
    one.ledger.jobs[one.job].sights += sights


def cancel_in_vain(one: Checked) -> None:
    one.ledger.jobs[one.job].cancelled = True


def stray(one: Checked) -> None:
    del one.ledger.jobs[one.job]


def of(table: Any, one: Checked) -> Any:
    return table.c.job_id == one.job


DOCTORED: dict[str, tuple[Callable[[Checked], None], str]] = {
    "a metric row too many": (add_metric, "doubled"),
    "a metric row too few": (lambda one: one.do(delete(metric).where(of(metric, one), metric.c.epoch == 2)), "lost"),
    "other metrics": (change_metric, "different"),
    "a missing event": (lambda one: one.do(delete(event).where(of(event, one), event.c.number == 3)), "lost"),
    "another digest": (lambda one: one.do(update(model).where(of(model, one)).values(digest="sha256:1")), "different"),
    "two models": (add_model, "doubled"),
    "no model": (lambda one: one.do(delete(model).where(of(model, one))), "lost"),
    "no job": (lambda one: one.do(delete(job).where(job.c.id == one.job)), "lost"),
    "not over": (lambda one: one.do(update(job).where(job.c.id == one.job).values(status="running")), "stuck"),
    "failed": (lambda one: one.do(update(job).where(job.c.id == one.job).values(status="failed")), "lost"),
    "an attempt nobody told of": (
        lambda one: one.do(update(job).where(job.c.id == one.job).values(attempt=7)),
        "different",
    ),
    "one key for two jobs": (key_for_two, "doubled"),
    "a job that nobody knows": (stray, "doubled"),
    "an attempt that fell": (look_back, "different"),
    "a cancel that was lost": (cancel_in_vain, "lost"),
}


@pytest.mark.parametrize("name", DOCTORED)
def test_what_is_wrong_is_seen(house: House, name: str) -> None:
    doctor, wrong = DOCTORED[name]
    with checked(house) as one:
        assert one.wrongs() == set()
        doctor(one)
        assert wrong in one.wrongs()


def test_damaged_bytes_are_seen(tmp_path: Path) -> None:
    with running(tmp_path) as house, checked(house) as one:  # a store of its own: equal jobs share their bytes
        damage_blob(one)
        assert one.wrongs() == {"lost"}


def test_an_answer_is_judged(house: House) -> None:
    with checked(house) as one:
        assert one.caller.call("GET", f"/v1/jobs/{one.job}", {200}) is not None
        assert one.ledger.errors == []
        assert one.caller.call("GET", "/v1/jobs/nonsense", {200}) is None
        assert "404" in one.ledger.errors[0]


def test_a_broken_connection_is_excused_while_the_server_is_down() -> None:
    ledger, outages = Ledger(), Outages()
    caller = Caller(f"http://127.0.0.1:{free_port()}", outages, ledger)
    assert caller.call("GET", "/livez", {200}) is None
    assert len(ledger.errors) == 1
    outages.begin()
    assert caller.call("GET", "/livez", {200}) is None
    assert len(ledger.errors) == 1
    caller.close()


def test_the_time_from_a_loss_to_the_next_start(house: House) -> None:
    dataset = house.add_dataset()
    job_id = house.submit(dataset)
    claim = house.claim(job_id)
    assert house.claims.hand_back(job_id, claim.attempt, None, "died") is not None
    house.train(job_id)
    books = read(house.database, job_id)
    assert books is not None
    died = books.events[1].created_at.timestamp()
    [(back, start)] = takeovers(books, [Loss(job_id, 1, died)])
    assert 0 <= back <= start
    assert takeovers(books, [Loss(job_id, 2, died)]) == []
    house.jobs.delete(TENANT, job_id)
