"""What a job names that is not there: said with its place in the spec, and where to find what is there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.spec import Finding
from core.training_spec import TrainingSpec, ValidationDataset
from store.errors import NotFound
from store.submissions import JobSpec

WAYS_OUT = {
    "dataset": "A spec names datasets by id; GET /v1/datasets lists them.",
    "checkpoint": "A spec names a checkpoint by its id; GET /v1/jobs/{job_id}/checkpoints lists those of a job.",
    "weights": "A spec names uploaded weights by their id; GET /v1/weights lists them.",
}


@dataclass
class MissingReference(NotFound):
    """A dataset, checkpoint or file of weights that a spec names is not there for this tenant."""

    pointers: list[str]

    def __str__(self) -> str:
        return f"{super().__str__()} {WAYS_OUT[self.kind]}"

    @property
    def findings(self) -> list[Finding]:
        """Each place that names it."""
        return [Finding(pointer, str(self)) for pointer in self.pointers]


@contextmanager
def references(spec: JobSpec) -> Iterator[None]:
    """Raise MissingReference for each NotFound of what the spec names in the body of its request."""
    try:
        yield
    except NotFound as error:
        if error.kind not in WAYS_OUT:
            raise
        named: dict[str, str | None] = {"/dataset": spec.dataset}
        if isinstance(spec, TrainingSpec):
            validation = spec.validation
            named["/validation/dataset"] = validation.dataset if isinstance(validation, ValidationDataset) else None
            named["/from_checkpoint"] = spec.from_checkpoint
            named["/from_weights"] = spec.from_weights
        pointers = [pointer for pointer, name in named.items() if name == error.id]
        raise MissingReference(error.kind, error.id, pointers) from error
