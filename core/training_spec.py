"""TrainingSpec: everything a client may say about a training run, in one type from the request to `fit`."""

from __future__ import annotations

import re
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    JsonValue,
    PlainValidator,
    Tag,
    ValidationInfo,
    field_validator,
)

from core.augmentation import AnyAugmentation
from core.losses import AnyLoss
from core.metrics import MetricOrName
from core.network import NetworkSpec
from core.optimizers import SGD, AnyOptimizer
from core.preprocessing import PreprocessingSpec
from core.regularization import GradientClipping, Regularization
from core.spec import Count, Flag, PositiveNumber, Spec

DatasetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$", examples=["ds_01"])]
_ID = re.compile(r"(ds|job|ckpt|mdl|wts)_")


def _no_id(name: str) -> str:
    if _ID.match(name):
        raise ValueError("A name must not begin like an id (ds_, job_, ckpt_, mdl_, wts_).")
    return name


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["digits"]), AfterValidator(_no_id)]


_METADATA_DEPTH = 8
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def _metadata(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("Metadata must be an object.")
    _check_plain(value, _METADATA_DEPTH)
    return value


def _check_plain(value: object, depth: int) -> None:
    """Refuse what some database or some reader of JSON could not give back as it was."""
    if depth < 0:
        raise ValueError(f"Metadata may be nested {_METADATA_DEPTH} deep at most.")
    match value:
        case dict():
            for key, item in value.items():
                _check_plain(key, depth)
                _check_plain(item, depth - 1)
        case list():
            for item in value:
                _check_plain(item, depth - 1)
        case float() if not isfinite(value):
            raise ValueError("Metadata must not hold NaN or Infinity.")
        case int() if not -(2**63) <= value < 2**63:
            raise ValueError("Integers in metadata must fit into 64 bits.")
        case str() if _UNSTORABLE.search(value):
            raise ValueError("Metadata must not hold NUL or unpaired surrogate characters.")
        case str() | int() | float() | None:
            pass
        case _:
            raise ValueError("Metadata must be JSON.")


# A validator of our own, because pydantic's names the types of all nested values in its locations.
Metadata = Annotated[dict[str, Any], PlainValidator(_metadata, json_schema_input_type=dict[str, JsonValue])]


class ValidationFraction(Spec):
    """Set a part of the rows aside, drawn from the seed."""

    fraction: Annotated[float, Field(strict=True, gt=0, lt=1)]


class ValidationDataset(Spec):
    """Validate on another dataset."""

    dataset: DatasetName


def _validation_form(value: Any) -> str:
    named = "dataset" in value if isinstance(value, dict) else isinstance(value, ValidationDataset)
    return "<dataset>" if named else "<fraction>"


Validation = Annotated[
    Annotated[ValidationFraction, Tag("<fraction>")] | Annotated[ValidationDataset, Tag("<dataset>")],
    Discriminator(_validation_form),
]


class EarlyStopping(Spec):
    """Stop when the metric has not improved for `patience` epochs; the model is then the best checkpoint.

    The metric is the loss or accuracy of the training or validation data, or `validation_` and the name of one of
    `metrics` that is a number, such as `validation_f1`.
    """

    metric: Annotated[
        str, Field(pattern=r"^[a-z0-9_]{1,64}$", examples=["train_loss", "validation_accuracy", "validation_f1"])
    ] = "validation_loss"
    patience: Count

    @property
    def reason(self) -> str:
        """Why a job that it stopped is over."""
        epochs = "1 epoch" if self.patience == 1 else f"{self.patience} epochs"
        return f"early_stopping: {self.metric} had not improved for {epochs}"


class Checkpoints(Spec):
    """How often a checkpoint is kept, and how many of the latest."""

    every_epochs: Count = 1
    keep: Annotated[int, Field(strict=True, ge=1, le=1000)] = 2


class Limits(Spec):
    """When to give up: after this many seconds (null: never), or attempts in a row without a new checkpoint."""

    runtime_s: PositiveNumber | None = None
    attempts: Annotated[int, Field(strict=True, ge=1, le=100)] = 5


class Trace(Spec):
    """What a job records of its way, besides its metrics. None of it changes what is computed.

    surface: its path over the cost and that of the full gradient from the same start, with the cost around them.
    """

    surface: Flag = False


class TrainingSpec(Spec):
    """A training run. Only `dataset`, `network` and `loss` are required."""

    spec_version: Literal[1] = 1
    name: Name | None = None
    dataset: DatasetName
    validation: Validation | None = None
    preprocessing: PreprocessingSpec = PreprocessingSpec()
    augmentation: Annotated[tuple[AnyAugmentation, ...], Field(max_length=16)] = ()
    network: NetworkSpec
    loss: AnyLoss
    optimizer: AnyOptimizer = SGD()
    regularization: Regularization = Regularization()
    gradient_clipping: GradientClipping = GradientClipping()
    metrics: Annotated[
        tuple[MetricOrName, ...],
        Field(max_length=32, description="Measured on the validation data and told as `validation_<name>`."),
    ] = ()
    batch_size: Count = 32
    epochs: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 10
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = 0
    dtype: Literal["float32", "float64"] = "float32"
    threads: Annotated[int, Field(strict=True, ge=1, le=256)] = 1
    early_stopping: EarlyStopping | None = None
    checkpoints: Checkpoints = Checkpoints()
    limits: Limits = Limits()
    trace: Trace = Trace()
    from_checkpoint: Annotated[str, Field(pattern=r"^ckpt_[A-Za-z0-9]{1,64}$")] | None = None
    from_optimizer_state: Annotated[
        bool,
        Field(strict=True, description="Take over what its optimizer remembers too, not the weights alone."),
    ] = False
    from_weights: Annotated[
        Annotated[str, Field(pattern=r"^wts_[A-Za-z0-9]{1,64}$")] | None,
        Field(description="Begin with uploaded weights, whose names and shapes are those of the network."),
    ] = None
    doctor: Annotated[
        bool,
        Field(strict=True, description="Look for what hampers the network, and tell it as events with advice."),
    ] = True
    metadata: Metadata = Field(default_factory=dict)
    priority: Annotated[int, Field(strict=True, ge=-10, le=10)] = 0

    @field_validator("from_optimizer_state")
    @classmethod
    def _of_a_checkpoint(cls, wanted: bool, info: ValidationInfo) -> bool:
        if wanted and info.data.get("from_checkpoint", "wrong") is None:
            raise ValueError("The optimizer state is that of a checkpoint: name one with from_checkpoint.")
        return wanted

    @field_validator("from_weights")
    @classmethod
    def _one_beginning(cls, weights: str | None, info: ValidationInfo) -> str | None:
        if weights is not None and info.data.get("from_checkpoint") is not None:
            raise ValueError("A run begins with one set of weights: name from_checkpoint or from_weights, not both.")
        return weights

    @property
    def watched(self) -> str:
        """The metric that says which epoch is best."""
        if self.early_stopping is not None:
            return self.early_stopping.metric
        return "train_loss" if self.validation is None else "validation_loss"

    @property
    def higher_is_better(self) -> bool:
        """Whether the metric that is watched should grow."""
        asked = {f"validation_{metric.name}": metric.higher_is_better for metric in self.metrics}
        return asked.get(self.watched, self.watched.endswith("accuracy"))

    def identity(self) -> dict[str, Any]:
        """The part that decides what is computed, as JSON values: no names, ids, limits or habits of keeping.

        `from_optimizer_state` is in it only where it is true: other runs have the identity that they always had.
        """
        left_out = {"name", "dataset", "checkpoints", "limits", "doctor", "metadata", "priority"}
        left_out |= {"from_checkpoint", "from_weights", "trace"}
        if not self.from_optimizer_state:
            left_out.add("from_optimizer_state")
        told = self.model_dump(mode="json", exclude=left_out)
        if isinstance(self.validation, ValidationDataset):
            told["validation"] = {"dataset": True}
        return told
