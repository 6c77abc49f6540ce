"""How far training came, as a trainer tells it and a report writes it. It knows no database, as trainers do not."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """How far training came: `fraction` of the whole job, speed in examples a second."""

    fraction: float
    examples_per_s: float | None
    eta_s: float | None


@dataclass(frozen=True)
class EpochReport:
    """A finished epoch, 1-based, with its metrics, and what the doctor found behind it, as JSON values."""

    epoch: int
    metrics: dict[str, Any]
    findings: tuple[dict[str, Any], ...] = ()
