"""What is broken, newer than us or unheard of stops only itself, and heals where it can."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import exc, text, update

from store import tables
from store.blobs import Blobs
from store.checkpoints import NewCheckpoint
from store.database import Database
from store.datasets import Datasets
from store.errors import Unavailable
from store.holds import Claim
from store.plain import LONGEST, plain
from store.progress import EpochReport, Progress
from tests.store.conftest import TENANT, Store


def _change(store: Store, job_id: str, **values: Any) -> None:
    with store.database.transaction() as connection:
        connection.execute(update(tables.job).where(tables.job.c.id == job_id).values(values))


class TestSpecs:
    """A stored spec that cannot be read."""

    def test_one_of_a_newer_version_is_left_to_newer_workers(self, store: Store) -> None:
        newer, ours = store.submit(priority=5), store.submit()
        _change(store, newer, spec_version=2, spec={"spec_version": 2})
        assert store.claims.queued(10) == [ours]
        before = store.jobs.get(TENANT, newer)
        assert store.claims.claim(newer, "worker-1") is None
        assert store.jobs.get(TENANT, newer) == before

    def test_a_broken_one_fails_its_job_with_a_reason(self, store: Store) -> None:
        job_id = store.submit()
        _change(store, job_id, spec={"epochs": "many" * 900})
        assert store.claims.claim(job_id, "worker-1") is None
        job = store.jobs.get(TENANT, job_id)
        assert job.status == "failed"
        assert job.status_reason is not None
        assert job.status_reason.startswith("bad_spec: ")
        assert store.event_types(job_id) == ["queued", "started", "failed"]
        assert store.claims.queued(10) == []

    @pytest.mark.parametrize("spec", [{"spec_version": 2}, {"limits": {"attempts": "many"}}, []])
    def test_the_jobs_of_a_lost_worker_are_queued_again_without_reading_them(self, store: Store, spec: Any) -> None:
        job_id = store.submit()
        claim = store.start(job_id)
        _change(store, job_id, spec=spec)
        handed = store.claims.hand_back(job_id, claim.attempt, None, "died")
        assert handed is not None
        assert handed.status == "queued"


class TestReasons:
    """Whatever an error says of itself can be stored."""

    def test_text_is_replaced_and_cut_only_where_it_must_be(self) -> None:
        assert plain("naïve — 😀") == "naïve — 😀"
        assert plain("a\0b\udcffc") == "a�b�c"
        assert plain("x" * LONGEST) == "x" * LONGEST
        assert plain("x" * 5000) == "x" * (LONGEST - 1) + "…"

    @pytest.mark.parametrize("words", ["x" * 3000, "a\0b", "a\udcffb"])
    def test_a_job_ends_with_any_reason(self, store: Store, words: str) -> None:
        job_id = store.submit()
        data = {"reason": "internal_error", "detail": words}
        ended = store.claims.end(store.start(job_id), "fail", reason=words, data=data)
        assert (ended.status, ended.status_reason) == ("failed", plain(words))
        assert store.jobs.events(TENANT, job_id)[-1].data["detail"] == plain(words)

    @pytest.mark.parametrize("words", ["x" * 3000, "a\0b", "a\udcffb"])
    def test_a_job_is_handed_back_with_any_detail(self, store: Store, words: str) -> None:
        job_id = store.submit(limits={"attempts": 2})
        statuses = []
        for _ in range(2):
            handed = store.claims.hand_back(job_id, store.start(job_id).attempt, None, words)
            assert handed is not None
            statuses.append(handed.status)
        assert statuses == ["queued", "failed"]
        assert store.jobs.events(TENANT, job_id)[-1].data["detail"] == plain(words)


class TestCheckpoints:
    """A damaged checkpoint is made again by the next attempt, which went on from an earlier one."""

    def _lose(self, store: Store) -> tuple[str, Claim]:
        job_id = store.submit()
        claim = store.start(job_id)
        for epoch in (1, 2, 3):
            store.report(claim, epoch, best=epoch == 3)
        store.claims.hand_back(job_id, claim.attempt, None, "lost")
        return job_id, store.start(job_id)

    def test_other_bytes_replace_the_damaged_ones(self, store: Store) -> None:
        job_id, claim = self._lose(store)
        blob = store.blobs.put(b"other bits of epoch 3")
        again = NewCheckpoint(3, 0, blob, {"train_loss": 0.1}, blob, 21)
        for _ in range(2):  # and once more, as after an error behind the commit
            store.claims.report(claim, [EpochReport(3, {"train_loss": 0.1})], [again], Progress(1.0, None, None))
        assert store.event_types(job_id).count("checkpoint") == 4
        done = store.claims.succeed(claim)
        assert done.model_id is not None
        model = store.models.get(TENANT, done.model_id)
        assert (model.blob, model.metrics) == (blob, {"train_loss": 0.1})
        assert [found.epoch for found in store.jobs.checkpoints(TENANT, job_id)] == [3, 2]

    def test_the_job_points_at_what_was_reported_last(self, store: Store) -> None:
        job_id, claim = self._lose(store)
        second = store.jobs.checkpoints(TENANT, job_id)[1]
        store.report(claim, 2, best=True)
        job = store.jobs.get(TENANT, job_id)
        assert (second.epoch, job.checkpoint_id, job.best_checkpoint_id) == (2, second.id, second.id)
        assert store.event_types(job_id).count("checkpoint") == 3


def test_a_dataset_whose_local_copies_went_is_linked_anew(store: Store, tmp_path: Path) -> None:
    far = Datasets(store.database, Blobs(store.database, f"local://{tmp_path}/far", tmp_path / "copies"))
    record = far.add(TENANT, "far", tmp_path / "upload-points-4", store.dataset.schema)
    before = far.open(record).x.tolist()
    for copy in (tmp_path / "copies").glob("??/*"):
        copy.unlink()
    assert far.open(record).x.tolist() == before
    assert [found.name for found in (tmp_path / "copies" / "datasets").iterdir()] == [record.id]


class TestDatabase:
    """An outage is told apart from a mistake."""

    @pytest.mark.parametrize("statement", ["SELECT nope FROM job", "SELECT * FROM nope"])
    def test_a_wrong_statement_is_no_outage(self, database: Database, statement: str) -> None:
        with pytest.raises(exc.DBAPIError, match="nope"), database.reading() as connection:
            connection.execute(text(statement))

    def test_a_file_that_cannot_be_opened_is_one(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="unable to open"):
            Database(f"sqlite:///{tmp_path}/nowhere/nudge.sqlite").check()

    def test_a_file_that_is_locked_is_one(self, tmp_path: Path) -> None:
        first, second = (Database(f"sqlite:///{tmp_path}/nudge.sqlite") for _ in range(2))
        with first.transaction(), pytest.raises(Unavailable, match="locked"), second.transaction():
            pass
        first.dispose()
        second.dispose()

    def test_a_server_that_is_gone_without_a_word_is_noticed(self, postgres_url: str) -> None:
        database = Database(postgres_url)
        with database.reading() as connection:
            driver: Any = connection.connection.driver_connection
            parameters = driver.info.get_parameters()
        assert (parameters["keepalives_idle"], parameters["tcp_user_timeout"]) == ("5", "10000")
        database.dispose()
