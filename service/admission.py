"""Which jobs are let in: those whose spec fits the data and whose memory fits the machine."""

from dataclasses import dataclass
from functools import lru_cache

from core import batch_prediction, estimate
from core.checkpoint import Checkpoint, CheckpointDamaged
from core.estimate import Estimate
from core.network import Network
from core.prediction_spec import PredictionSpec
from core.predictor import Predictor
from core.schema import DataSchema
from core.spec import Finding, SpecError
from core.training_spec import TrainingSpec, ValidationDataset
from core.weights import Weights
from store.blobs import Blobs
from store.datasets import Datasets
from store.errors import BlobDamaged
from store.jobs import Jobs
from store.records import CheckpointRecord
from store.weights import WeightSets


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


class Admission:
    """Knows the shapes of datasets and the limits of the server."""

    def __init__(
        self, datasets: Datasets, jobs: Jobs, weight_sets: WeightSets, blobs: Blobs, max_memory_bytes: int
    ) -> None:
        self._datasets = datasets
        self._jobs = jobs
        self._weight_sets = weight_sets
        self._blobs = blobs
        self._max_memory_bytes = max_memory_bytes
        # A dataset never changes, so its shape is asked for once. That it was deleted by another server is found when
        # the job is stored, because its row refers to the dataset's.
        self._shape = lru_cache(1024)(self._read_shape)

    def admit(self, tenant: str, spec: TrainingSpec) -> Estimate:
        """What the job will cost.

        Raises:
            NotFound: a dataset, checkpoint or file of weights that it names is not there.
            SpecError: the spec does not fit the data, or the weights to begin from do not fit it.
            TooMuchMemory: it fits, but not into memory.
        """
        validation = None
        if isinstance(spec.validation, ValidationDataset):
            validation = self._shape(tenant, spec.validation.dataset)
        shape = self._shape(tenant, spec.dataset)
        cost = estimate.check(spec, shape, validation)
        if spec.from_checkpoint is not None:
            network = Network.trace(spec.network.layers, shape.input_shape)
            record = self._jobs.checkpoint(tenant, spec.from_checkpoint)
            checkpoint = self._open(record)
            checkpoint.check_weights(network)
            if spec.from_optimizer_state:
                checkpoint.check_optimizer(spec.optimizer, network)
        if spec.from_weights is not None:
            network = Network.trace(spec.network.layers, shape.input_shape)
            self._weights(tenant, spec.from_weights).check_weights(network, spec.dtype)
        return self._within_memory(cost)

    def admit_predictions(self, tenant: str, spec: PredictionSpec, predictor: Predictor) -> tuple[Estimate, int]:
        """What the predictions will cost, and for how many rows they are; raises what `admit` does."""
        shape = self._shape(tenant, spec.dataset)
        cost = batch_prediction.check(spec, predictor, shape)
        return self._within_memory(cost), len(spec.chosen(shape))

    def _within_memory(self, cost: Estimate) -> Estimate:
        if cost.memory_bytes > self._max_memory_bytes:
            raise TooMuchMemory(cost.memory_bytes, self._max_memory_bytes)
        return cost

    def _open(self, record: CheckpointRecord) -> Checkpoint:
        try:
            return Checkpoint.open(self._blobs.verified(record.blob))
        except (BlobDamaged, CheckpointDamaged) as error:
            detail = f"The stored bytes of {record.id} are damaged; begin from another checkpoint of its job."
            raise SpecError([Finding("/from_checkpoint", detail)]) from error

    def _weights(self, tenant: str, weights_id: str) -> Weights:
        record = self._weight_sets.get(tenant, weights_id)
        try:
            return Weights.open(self._blobs.verified(record.blob))
        except BlobDamaged as error:
            detail = f"The stored bytes of {record.id} are damaged; upload the weights once more."
            raise SpecError([Finding("/from_weights", detail)]) from error

    def forget(self) -> None:
        """Ask again for every shape, because a dataset was deleted."""
        self._shape.cache_clear()

    def _read_shape(self, tenant: str, dataset_id: str) -> DataSchema:
        return self._datasets.get(tenant, dataset_id).schema


def _readable(size: int) -> str:
    unit = "bytes"
    amount = float(size)
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.1f} {unit}" if unit != "bytes" else f"{size} bytes"
