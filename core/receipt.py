"""Receipt: what anyone needs to repeat a job, and the digests that the repetition must come to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from math import isfinite
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from core.checkpoint import CLOCKS


class Closed(BaseModel):
    """A part of a receipt."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(Closed):
    """A dataset by what it holds; `digest` is `core.data.digest`."""

    id: str
    name: str
    version: int
    digest: str
    rows: int


class Start(Closed):
    """The checkpoint, or the uploaded weights, that it began with; `content` is the SHA-256 of its safetensors file."""

    checkpoint: str
    content: str


class Mark(Closed):
    """A checkpoint that was stored, be it kept or not: after `epoch` whole epochs and `step` batches of the next."""

    epoch: int
    step: int
    digest: str


class Receipt(Closed):
    """A job's receipt, as it stood when it was asked for."""

    object: Literal["receipt"] = "receipt"
    receipt_version: Literal[1] = 1
    job: str
    name: str
    status: str
    status_reason: str | None
    spec: dict[str, Any] = Field(description="The TrainingSpec with every default written out.")
    spec_version: int
    seed: int
    dataset: Data
    validation_dataset: Data | None = Field(description="Null where the spec names none.")
    start: Start | None = Field(description="The checkpoint or the uploaded weights that the job began with, if any.")
    nudge: str | None = Field(description="The version of Nudge that computed it last.")
    fingerprint: dict[str, str | int | None] | None = Field(
        description="What computed it last: versions, kernels, libraries, processor and threads, which decide the bits."
    )
    bit_exact: bool = Field(
        description="Whether a repetition under this fingerprint is promised to come to the same bytes."
    )
    bit_exact_reason: str | None = Field(description="Why not.")
    checkpoints: list[Mark] = Field(description="Every checkpoint that was stored, in the order of training.")
    epochs: int = Field(description="Finished epochs.")
    metrics_digest: str = Field(description="SHA-256 over the metrics of all these epochs, timings left out.")
    model: str | None
    model_digest: str | None = Field(description="That of the checkpoint which became the model.")
    created_at: datetime
    finished_at: datetime | None
    digest: str = Field("", description="SHA-256 over all the rest: whether the receipt is whole.")

    def sealed(self) -> Self:
        """The receipt with its own digest."""
        return self.model_copy(update={"digest": self._seal()})

    def is_whole(self) -> bool:
        """Whether nothing was changed since it was sealed, and it does not contradict itself."""
        return self.digest == self._seal() and self.seed == self.spec.get("seed")

    def _seal(self) -> str:
        told = self.model_dump(mode="json", exclude={"digest"})
        return f"sha256:{hashlib.sha256(_canonical(told)).hexdigest()}"


def metrics_digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """ "sha256:..." over the metric rows of a job, in order, without those that are timings."""
    exact = [{name: _told(value) for name, value in row.items() if name not in CLOCKS} for row in rows]
    return f"sha256:{hashlib.sha256(_canonical(exact)).hexdigest()}"


def _told(value: Any) -> Any:
    """A measurement as JSON keeps it: what is not finite is null."""
    if isinstance(value, float) and not isfinite(value):
        return None
    return [_told(item) for item in value] if isinstance(value, list) else value


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
