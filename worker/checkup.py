"""The doctor's visits to a run: when it is shown the network, and that its errors are never the run's."""

import traceback
from collections.abc import Callable

from core.data import Dataset, split
from core.explanations.doctor import Doctor
from core.explanations.symptoms import Finding
from core.training import Chunk, Epoch
from core.training_spec import TrainingSpec, ValidationFraction


class Checkup:
    """Follows the moments of one run, in order."""

    def __init__(self, spec: TrainingSpec, data: Dataset) -> None:
        if isinstance(spec.validation, ValidationFraction):
            data, _ = split(data, spec.validation.fraction, spec.seed)
        self._doctor: Doctor | None = Doctor(spec, data) if spec.doctor else None
        self._epochs, self._last_step = spec.epochs, -(-len(data) // spec.batch_size) - 1

    def stops(self) -> list[tuple[int, int]]:
        """Where the run pauses for it: before the last step of the epochs behind which the network is looked at."""
        if self._doctor is None or not self._last_step:
            return []
        return [(epoch - 1, self._last_step) for epoch in sorted(self._doctor.looks)]

    def before(self, chunk: Chunk) -> None:
        """A moment within an epoch."""
        doctor = self._doctor
        if doctor is not None and chunk.step == self._last_step and chunk.epoch in doctor.looks:
            self._safely(lambda: doctor.before_last_step(chunk.checkpoint()))

    def behind(self, epoch: Epoch) -> tuple[Finding, ...]:
        """What is found behind an epoch."""
        found: list[Finding] = []
        doctor = self._doctor
        if doctor is not None:
            last = epoch.stop or epoch.epoch == self._epochs

            def look() -> None:
                checkpoint = epoch.checkpoint() if last or epoch.epoch in doctor.looks else None
                found.extend(doctor.look(epoch.epoch, epoch.metrics, checkpoint, last=last))
                if not self._last_step and not last and epoch.epoch + 1 in doctor.looks:
                    doctor.before_last_step(epoch.checkpoint())

            self._safely(look)
        return tuple(found)

    def _safely(self, visit: Callable[[], None]) -> None:
        try:
            visit()
        except Exception:  # an error of the doctor's must not cost a run that is well
            traceback.print_exc()
            self._doctor = None
