"""The checker: reads the HTTP API, the database and the blobs, and says what does not hold."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from chaos.books import Books, key_owners, read, stray_jobs
from chaos.caller import Caller
from chaos.ledger import Known, Ledger
from chaos.references import Outcome
from store.blobs import Blobs
from store.database import Database
from store.errors import BlobDamaged

Wrong = Literal["lost", "doubled", "different", "stuck"]
FINAL = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Finding:
    """Something that does not hold."""

    wrong: Wrong
    job: str
    text: str


class Checker:
    """`references` says what each kind comes to when nothing disturbs it."""

    def __init__(
        self, database: Database, blobs: Blobs, caller: Caller, ledger: Ledger, references: dict[str, Outcome]
    ) -> None:
        self.database, self.blobs, self.caller = database, blobs, caller
        self.ledger, self.references = ledger, references
        self._whole: set[str] = set()

    def check_all(self) -> list[Finding]:
        """Every accepted job, and whatever nobody asked for."""
        findings = [finding for known in [*self.ledger.jobs.values()] for finding in self.check(known)]
        return findings + list(self._strays())

    def check(self, known: Known) -> list[Finding]:
        """One job that should be over."""
        answer = self.caller.insist("GET", f"/v1/jobs/{known.id}", {200, 404})
        books = read(self.database, known.id)
        if books is None or answer.status_code == 404:
            return [Finding("lost", known.id, "it was accepted, and is not there")]
        view = answer.json()
        wrong: list[tuple[Wrong, str]] = [
            *self._end(known, books),
            *self._events(books),
            *self._numbers(known, books),
            *self._never_back(known),
            *self._blobs(books),
            *(self._file(known, books) if books.predicts else ()),
        ]
        progress, row = view["progress"], books.job
        shown = view["status"], view["attempt"], view["last_event"], view["model"]
        shown += progress["epoch"], progress["rows_done"]
        if shown != (row.status, row.attempt, row.last_event, row.model_id, row.epoch, row.rows_done):
            wrong.append(("different", f"the API says {shown}, the database something else"))
        return [Finding(kind, known.id, f"{text} ({known.kind})") for kind, text in wrong]

    def _end(self, known: Known, books: Books) -> Iterator[tuple[Wrong, str]]:
        status = books.job.status
        if status not in FINAL:
            yield "stuck", f"it is still {status}: attempt {books.job.attempt}, epoch {books.job.epoch}"
        elif status == "failed":
            yield "lost", f"it failed: {books.job.status_reason}"
        elif known.cancelled and status != "cancelled":
            yield "lost", f"a cancel was accepted, and it is {status}"
        elif status == "cancelled" and not known.cancel_tried:
            yield "lost", "it was cancelled, and nobody asked for that"
        models = [row.id for row in books.models]
        if len(models) > 1:
            yield "doubled", f"it has the models {models}"
        due = status == "succeeded" and not books.predicts
        if due != bool(models) or (models and books.job.model_id != models[0]):
            yield "lost", f"it is {status}, names the model {books.job.model_id}, and there are {models}"

    def _events(self, books: Books) -> Iterator[tuple[Wrong, str]]:
        numbers = [row.number for row in books.events]
        if numbers != list(range(1, books.job.last_event + 1)):
            missing = sorted(set(range(1, books.job.last_event + 1)) - set(numbers))
            yield "lost", f"events {missing[:5]} of {books.job.last_event} are missing"
        kinds = [row.type for row in books.events]
        finals = [place for place, kind in enumerate(kinds) if kind in FINAL]
        told = [place for place in finals if kinds[place : place + 2] != ["failed", "retried"]]
        if books.job.status in FINAL and told != [len(kinds) - 1]:
            yield "doubled" if len(told) > 1 else "lost", f"final events at {[place + 1 for place in finals]}"
        if (starts := kinds.count("started")) != books.job.attempt:
            yield "different", f"{starts} starts were told for {books.job.attempt} attempts"
        epochs = [row.data["epoch"] for row in books.events if row.type == "epoch"]
        if epochs != list(range(1, books.job.epoch + 1)):
            yield "doubled" if len(set(epochs)) < len(epochs) else "lost", f"epoch events {epochs[:3]}..{epochs[-3:]}"
        pointers = [row.data["epoch"] for row in books.events if row.type == "checkpoint"]
        if pointers != sorted(pointers):
            yield "different", f"checkpoints went backward: {pointers}"
        done = [row.data["rows_done"] for row in books.events if row.type == "part"]
        if done != sorted(set(done)) or done[-1:] != [books.job.rows_done][: bool(books.job.rows_done)]:
            yield "doubled" if len(set(done)) < len(done) else "different", f"{books.job.rows_done} rows, told: {done}"

    def _numbers(self, known: Known, books: Books) -> Iterator[tuple[Wrong, str]]:
        reference = self.references[known.kind]
        epochs = [row.epoch for row in books.metrics]
        if epochs != list(range(1, books.job.epoch + 1)):
            extra = len(epochs) > books.job.epoch
            yield "doubled" if extra else "lost", f"{len(epochs)} metric rows for {books.job.epoch} epochs"
        elif books.curve != reference.curve[: len(epochs)]:
            at = next(ours["epoch"] for ours, calm in zip(books.curve, reference.curve, strict=False) if ours != calm)
            yield "different", f"the metrics differ from epoch {at} on"
        if books.job.status == "succeeded" and not books.predicts:
            last = [row.digest for row in books.checkpoints if row.id == books.job.checkpoint_id]
            if last != [reference.digest] or [row.digest for row in books.models] != [reference.model]:
                yield "different", f"its last digest is {last}, undisturbed {reference.digest}"
            if len(epochs) != len(reference.curve):
                yield "different", f"{len(epochs)} epochs, undisturbed {len(reference.curve)}"
        for row in books.checkpoints:
            if reference.places.setdefault((row.epoch, row.step), row.digest) != row.digest:
                yield "different", f"another job had other bytes after epoch {row.epoch}, step {row.step}"

    def _file(self, known: Known, books: Books) -> Iterator[tuple[Wrong, str]]:
        """Predictions: parts behind each other until the file is there, which is that of the undisturbed run."""
        job, end = books.job, 0
        for part in books.parts:
            if part.first_row != end:
                yield "lost" if part.first_row > end else "doubled", f"a part begins at {part.first_row}, not {end}"
            end = part.first_row + part.rows
        if not books.files:
            if job.status == "succeeded":
                yield "lost", "it succeeded, and its file is not there"
            if end != job.rows_done:
                yield "lost", f"{job.rows_done} rows are done, and its parts end at {end}"
        elif job.status != "succeeded" or books.parts or job.rows_done != job.rows:
            text = f"{len(books.parts)} parts and {job.rows_done} of {job.rows} rows done"
            yield "doubled", f"its file is there, and it is {job.status} with {text}"
        elif books.files[0].blob != self.references[known.kind].digest:
            yield "different", "its file has other bytes than the undisturbed one"
        if not self._whole.issuperset(row.blob for row in books.files):
            return  # nothing can be given
        answer = self.caller.insist("GET", f"/v1/jobs/{known.id}/predictions", {200, 409})
        given = [hashlib.sha256(answer.content).hexdigest()] if answer.status_code == 200 else []
        if given != [row.blob.removeprefix("sha256:") for row in books.files]:
            yield "different", f"the API gives the file {given}, the database says {[row.blob for row in books.files]}"

    def _never_back(self, known: Known) -> Iterator[tuple[Wrong, str]]:
        for earlier, later in zip(known.sights, known.sights[1:], strict=False):
            fell = [
                name
                for name in ("attempt", "epoch", "last_event", "fraction", "rows_done")
                if getattr(later, name) < getattr(earlier, name)
            ]
            if fell or (earlier.status in ("succeeded", "cancelled") and later.status != earlier.status):
                yield "different", f"{fell or 'a final status'} fell back: {earlier} then {later}"

    def _blobs(self, books: Books) -> Iterator[tuple[Wrong, str]]:
        named = {books.job.checkpoint_id, books.job.best_checkpoint_id} - {None}
        if absent := named - {row.id for row in books.checkpoints}:
            yield "lost", f"it names checkpoints that are not there: {sorted(absent)}"
        sizes: dict[str, int | None] = {row.blob: None for row in books.parts}
        sizes |= {row.blob: row.size for row in (*books.checkpoints, *books.models, *books.files)}
        for blob, size in sizes.items():
            if blob not in self._whole:
                try:
                    if size not in (None, len(self.blobs.get(blob))):
                        yield "different", f"the bytes of {blob} have another size than {size}"
                    self._whole.add(blob)
                except BlobDamaged as error:
                    yield "lost", f"the bytes of {blob}: {error}"

    def _strays(self) -> Iterator[Finding]:
        for text in self.ledger.doubled:
            yield Finding("doubled", "", f"one key made two jobs: {text}")
        keys = {key: known.id for known in self.ledger.jobs.values() for key in known.keys}
        for key, owner in key_owners(self.database).items():
            if keys.get(key, owner) != owner:
                yield Finding("doubled", owner, f"key {key} was answered with {keys[key]}")
        strays = stray_jobs(self.database, set(self.ledger.jobs))
        keyed = [(job, key) for job, key in strays if key is not None]
        for job, key in keyed:
            yield Finding("doubled", job, f"no answer told of it; its key is {key}")
        if (count := len(strays) - len(keyed)) > self.ledger.unanswered:
            jobs = [job for job, key in strays if key is None]
            yield Finding("doubled", jobs[-1], f"{count} jobs that nobody knows: {jobs}")
