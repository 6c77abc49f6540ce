"""What the server answers, as frozen values; unknown fields are kept, for a newer server's sake."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

JsonScalar = str | int | float | bool | None
"""A class label: any JSON scalar, given back as it was uploaded."""


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True, protected_namespaces=())

    def to_json(self) -> dict[str, Any]:
        """The record as the server sent it."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class Target(Record):
    """What the network is to say: one of `classes` (kind "class"), or numbers of `shape` (kind "real")."""

    kind: str
    classes: tuple[JsonScalar, ...] | None = None
    shape: tuple[int, ...] | None = None


class Dataset(Record):
    """An uploaded dataset; it never changes."""

    id: str
    name: str
    version: int | None = None
    digest: str
    rows: int
    input_shape: tuple[int, ...]
    input_dtype: str
    target: Target
    bytes: int
    created_at: datetime


class Row(Record):
    """One row of a dataset: its number, the input `x` as it is stored, the target `y` as it was uploaded."""

    row: int
    x: Any
    y: Any


class Estimate(Record):
    """What training will cost, counted before anything is allocated."""

    parameters: int
    flops_per_epoch: int
    memory_bytes: int


class Progress(Record):
    """How far a job is."""

    epoch: int
    epochs: int
    rows_done: int | None = None  # of predictions
    rows: int | None = None
    fraction: float
    examples_per_s: float | None = None
    eta_s: float | None = None


class Metrics(Record):
    """What was measured in an epoch; a metric that was not measured, or is not finite, is None."""

    train_loss: float | None = None
    train_accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    examples_per_s: float | None = None
    seconds: float | None = None


class Epoch(Metrics):
    """The metrics of one epoch, counted from 1."""

    epoch: int


class JobRecord(Record):
    """A job as it stood when the server was asked."""

    id: str
    kind: str = "train"  # or "predict"
    name: str
    status: str
    status_reason: str | None = None
    spec: dict[str, Any]
    estimate: Estimate
    attempt: int = 0
    priority: int = 0
    queue_position: int | None = None  # while it waits: 1 is the next to be taken
    cancel_requested: bool = False
    pause_requested: bool = False
    last_sign_of_life_at: datetime | None = None  # of its worker, while it runs
    lease_s: float | None = None  # after so long a silence it goes to another
    progress: Progress
    metrics: Metrics | None = None
    checkpoint: str | None = None
    best_checkpoint: str | None = None
    model: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def over(self) -> bool:
        return self.status in {"succeeded", "failed", "cancelled"}


class BulkCancel(Record):
    """How many jobs a bulk cancel reached: `cancelled` at once, and running ones that are asked to stop."""

    cancelled: int
    requested: int


class CheckpointRecord(Record):
    """A kept state of a training run, after `epoch` whole epochs and `step` of the `steps` batches of the next; its
    content is a safetensors file."""

    id: str
    epoch: int
    step: int = 0
    steps: int | None = None
    digest: str
    metrics: dict[str, Any] | None = None


class Weights(Record):
    """Uploaded weights to begin a job with; `tensors` have name, dtype and shape."""

    id: str
    digest: str
    tensors: list[dict[str, Any]]
    bytes: int
    created_at: datetime


class ModelRecord(Record):
    """A trained network and where it came from; `spec` is that of its training."""

    id: str
    name: str
    spec: dict[str, Any] = {}
    version: int | None = None
    aliases: tuple[str, ...] = ()
    dataset: str | None = None
    dataset_digest: str | None = None
    job: str | None = None
    checkpoint: str | None = None
    digest: str | None = None
    notes: str = ""
    created_at: datetime


class Alias(Record):
    """A word that points at one version of a name; `etag` is for `if_match`, None in a list."""

    name: str
    alias: str
    version: int
    model: str
    updated_at: datetime
    etag: str | None = None


class Confusion(Record):
    """How many rows of each class (down) the model took for each class (across), in the order of `classes`."""

    classes: tuple[JsonScalar, ...]
    counts: list[list[int]]
    rows_left_out: int = 0


class CostlyRow(Record):
    """A row of a dataset, what it costs, what is right and what the model says."""

    row: int
    cost: float
    target: Any
    prediction: Any
    probability: float | None = None


class Evaluation(Record):
    """What a model achieves on a dataset; `confusion_matrix` for classes only."""

    model: str
    dataset: str
    first_row: int = 0
    rows: int
    metrics: dict[str, Any]
    confusion_matrix: Confusion | None = None
    costliest: tuple[CostlyRow, ...] = ()


class Guess(Record):
    """One class and how strongly the network says it; of a network that gives no probabilities (quadratic cost, hinge)
    `probability` is its output as it is."""

    label: JsonScalar = Field(alias="class")
    probability: float | None


class Prediction(Guess):
    """The best guess for one input, and in `top` the best few, strongest first."""

    top: tuple[Guess, ...] = ()


class Predictions(Record):
    """One row of `outputs` and one of `predictions` for each input; no `predictions` for real targets."""

    outputs: list[list[float | None]]
    predictions: list[Prediction] | None = None


Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """Some of a list, newest first; `next_cursor` asks for the rest."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    data: list[Item]
    has_more: bool = False
    next_cursor: str | None = None

    def __iter__(self) -> Iterator[Item]:  # type: ignore[override]
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)
