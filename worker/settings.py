"""How a worker behaves: read from the environment."""

import os
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from store.blobs import GRACE_S


class WorkerSettings(BaseSettings):
    """Leases, the number of trainers, and manners on a shared machine."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, env_prefix="NUDGE_")

    concurrency: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, description="Trainers at a time.")
    lease_s: float = Field(30.0, ge=1, description="Silence after which a worker counts as lost.")
    renew_s: float = Field(2.0, gt=0, description="How often a worker says that it lives, and hears its orders.")
    hang_s: float = Field(300.0, gt=0, description="A trainer without any progress for so long counts as hung.")
    checkpoint_s: float = Field(60.0, gt=0, description="Training after which a checkpoint is kept, also in mid-epoch.")
    part_s: float = Field(5.0, gt=0, description="Predicting after which a part of the predictions is stored.")
    rescue_s: float = Field(5.0, gt=0, description="How often lost workers and waiting jobs are looked for.")
    overdue_s: float = Field(15.0, ge=0, description="How long a queued job waits for its bell before a worker looks.")
    poll_s: float = Field(0.5, gt=0, description="How often the queue is looked at while no bell can be heard.")
    blob_grace_s: float = Field(GRACE_S, ge=10, description="How long bytes that no row names are kept.")
    give_way: bool = Field(True, description="Trainers run under SCHED_IDLE, so that a server beside them stays quick.")
    trainer_memory_bytes: int | None = Field(
        None, ge=2**28, description="Memory that one trainer may take; a job that needs more fails alone."
    )
    alive_file: Path | None = Field(
        None,
        validation_alias=AliasChoices("NUDGE_ALIVE_FILE", "alive_file"),
        description="A file that is touched every few seconds while the worker is well, for health checks.",
    )
    log_level: Literal["critical", "error", "warning", "info", "debug"] = Field("info", description="Logging level.")
