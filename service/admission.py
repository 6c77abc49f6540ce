"""Which jobs are let in: those whose spec fits the data and whose memory fits the machine."""

from dataclasses import dataclass

from core import estimate
from core.estimate import Estimate
from core.schema import DataSchema
from core.training_spec import TrainingSpec


@dataclass
class TooMuchMemory(Exception):
    """The job would need more memory than the server grants one job; nothing was allocated to find out."""

    estimate: int
    limit: int

    def __str__(self) -> str:
        return (
            f"The job is estimated to need {_readable(self.estimate)} of memory; this server grants one job "
            f"{_readable(self.limit)} (NUDGE_MAX_MEMORY_BYTES). Make the network or the batch smaller."
        )


def admit(spec: TrainingSpec, schema: DataSchema, validation: DataSchema | None, max_memory_bytes: int) -> Estimate:
    """What the job will cost.

    Raises:
        SpecError: the spec does not fit the data.
        TooMuchMemory: it fits, but not into memory.
    """
    cost = estimate.check(spec, schema, validation)
    if cost.memory_bytes > max_memory_bytes:
        raise TooMuchMemory(cost.memory_bytes, max_memory_bytes)
    return cost


def _readable(size: int) -> str:
    unit = "bytes"
    amount = float(size)
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.1f} {unit}" if unit != "bytes" else f"{size} bytes"
