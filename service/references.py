"""What a job names that is not there: said with its place in the spec, and where to find what is there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.spec import Finding
from core.training_spec import TrainingSpec, ValidationDataset
from store.errors import NotFound

WAYS_OUT = {
    "dataset": "A spec names datasets by id; GET /v1/datasets lists them.",
    "checkpoint": "A spec names a checkpoint by its id; GET /v1/jobs/{job_id}/checkpoints lists those of a job.",
}


@dataclass
class MissingReference(NotFound):
    """A dataset or checkpoint that a spec names is not there for this tenant."""

    pointers: list[str]

    def __str__(self) -> str:
        return f"{super().__str__()} {WAYS_OUT[self.kind]}"

    @property
    def findings(self) -> list[Finding]:
        """Each place that names it."""
        return [Finding(pointer, str(self)) for pointer in self.pointers]


@contextmanager
def references(spec: TrainingSpec) -> Iterator[None]:
    """Raise MissingReference for each NotFound of what the spec names."""
    try:
        yield
    except NotFound as error:
        named = {
            "/dataset": spec.dataset,
            "/validation/dataset": spec.validation.dataset if isinstance(spec.validation, ValidationDataset) else None,
            "/from_checkpoint": spec.from_checkpoint,
        }
        pointers = [pointer for pointer, name in named.items() if name == error.id]
        raise MissingReference(error.kind, error.id, pointers) from error
