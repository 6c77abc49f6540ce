"""The checker sees what is wrong with predictions, too: rows, parts and the file."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from chaos.books import read
from chaos.caller import Caller
from chaos.checker import Checker
from chaos.ledger import Ledger, Sight
from chaos.outages import Outages
from chaos.references import outcome
from store import tables
from store.parts import Part
from store.predictions import Predictions
from store.progress import Progress
from tests.service.house import TENANT, House, running

event, job, part, predictions = tables.event, tables.job, tables.part, tables.predictions
ROWS = 12


class Checked:
    """Two jobs of predictions, one that is over well and one that was cancelled with two parts, and a checker."""

    def __init__(self, house: House) -> None:
        self.house = house
        dataset = house.add_dataset()
        model = house.train(house.submit(dataset))
        calm, self.done, self.stopped = (self._submit(dataset, model) for _ in range(3))
        self._predict(calm)
        self._predict(self.done)
        self._predict(self.stopped, cancel=True)
        books = read(house.database, calm)
        assert books is not None
        self.ledger = Ledger()
        for number, name in enumerate((calm, self.done, self.stopped)):
            self.ledger.accept(name, "predict-csv", f"key {number}")
        self.ledger.jobs[self.stopped].cancelled = self.ledger.jobs[self.stopped].cancel_tried = True
        self.caller = Caller(house.url, Outages(), self.ledger)
        references = {"predict-csv": outcome(books)}
        self.checker = Checker(house.database, house.blobs, self.caller, self.ledger, references)

    def _submit(self, dataset: str, model: str) -> str:
        answer = self.house.http.post(f"/v1/models/{model}/batch-predictions", json={"dataset": dataset})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def _predict(self, job_id: str, *, cancel: bool = False) -> None:
        house, claim, store = self.house, self.house.claim(job_id), Predictions(self.house.database)
        for first in (0, 4) if cancel else (0, 4, 8):
            made = Part(first, 4, house.blobs.put(f"rows from {first}".encode()))
            store.keep(claim, made, Progress(made.done / ROWS, 1.0, 1.0))
        if cancel:
            house.jobs.cancel(TENANT, job_id)
            house.claims.end(claim, "cancel")
        else:
            store.deliver(claim, house.blobs.put(b"the file"), 8)

    def wrongs(self) -> set[str]:
        """What is wrong with these jobs; the training that made their model is nobody's."""
        return {finding.wrong for known in self.ledger.jobs.values() for finding in self.checker.check(known)}

    def do(self, statement: Any) -> None:
        with self.house.database.transaction() as connection:
            connection.execute(statement)

    def move_part(self, first: int) -> None:
        self.do(update(part).where(part.c.job_id == self.stopped, part.c.first_row == 4).values(first_row=first))

    def tell_twice(self) -> None:
        told = event.c.job_id == self.done, event.c.type == "part"
        with self.house.database.reading() as connection:
            first = connection.execute(select(event).where(*told).order_by(event.c.number)).first()
        assert first is not None
        self.do(update(event).where(*told).values(data=first.data))

    def add_part(self) -> None:
        place = {"job_id": self.done, "tenant_id": TENANT, "first_row": 0, "rows": 4}
        self.do(insert(part).values(**place, blob=self.house.blobs.put(b"rows from 0")))

    def fall_back(self) -> None:
        sights = [Sight("running", 1, 0, 9, 0.5, rows_done) for rows_done in (8, 4)]
        self.ledger.jobs[self.done].sights += sights

    def other_file(self) -> None:
        blob = self.house.blobs.put(b"other bytes")
        self.do(update(predictions).where(predictions.c.job_id == self.done).values(blob=blob, size=11))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("checked")) as opened:
        yield opened


@pytest.fixture
def one(house: House) -> Iterator[Checked]:
    checked = Checked(house)
    yield checked
    checked.caller.close()
    checked.do(delete(job))


DOCTORED: dict[str, tuple[Callable[[Checked], None], str]] = {
    "no file": (lambda one: one.do(delete(predictions).where(predictions.c.job_id == one.done)), "lost"),
    "another file": (Checked.other_file, "different"),
    "a part beside the file": (Checked.add_part, "doubled"),
    "a file before its last row": (
        lambda one: one.do(update(job).where(job.c.id == one.done).values(rows_done=8)),
        "doubled",
    ),
    "a gap between parts": (lambda one: one.move_part(5), "lost"),
    "parts that overlap": (lambda one: one.move_part(3), "doubled"),
    "a part that is not there": (lambda one: one.do(delete(part).where(part.c.job_id == one.stopped)), "lost"),
    "a part told twice": (Checked.tell_twice, "doubled"),
    "rows that went backward": (Checked.fall_back, "different"),
}


@pytest.mark.parametrize("name", DOCTORED)
def test_what_is_wrong_is_seen(one: Checked, name: str) -> None:
    doctor, wrong = DOCTORED[name]
    assert one.wrongs() == set()
    doctor(one)
    assert wrong in one.wrongs()


def test_damaged_bytes_of_a_part_and_of_the_file_are_seen(tmp_path: Path) -> None:
    with running(tmp_path) as house:  # a store of its own: equal jobs share their bytes
        one = Checked(house)
        for content in (b"rows from 4", b"the file"):
            one.do(update(tables.blob).where(tables.blob.c.digest == house.blobs.put(content)).values(content=b"other"))
        found = [
            finding for job_id in (one.done, one.stopped) for finding in one.checker.check(one.ledger.jobs[job_id])
        ]
        one.caller.close()
    assert [finding.wrong for finding in found] == ["lost", "lost"]
