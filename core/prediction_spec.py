"""PredictionSpec: everything a client may say about the predictions of a whole dataset."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.schema import DataSchema
from core.spec import Count, Finding, Flag, Spec, SpecError
from core.training_spec import DatasetName, Limits, Metadata, Name

Form = Literal["csv", "npz", "parquet"]


class PredictionRequest(Spec):
    """Predictions of a dataset, written to one file. Only `dataset` is required."""

    name: Name | None = None
    dataset: DatasetName
    format: Form = Field("csv", description="The kind of file; `parquet` needs an extra on the server.")
    top: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        1, description="How many classes to name for each row, the likeliest first."
    )
    outputs: Flag = Field(False, description="All outputs of the network too; for real targets they are always there.")
    rows: tuple[Annotated[int, Field(strict=True, ge=0, lt=2**31)], Count] | None = Field(
        None, description="Only these rows: how many to pass over, and how many to take.", examples=[[0, 1000]]
    )
    limits: Limits = Limits()
    metadata: Metadata = Field(default_factory=dict)
    priority: Annotated[int, Field(strict=True, ge=-10, le=10)] = 0


class PredictionSpec(PredictionRequest):
    """A PredictionRequest with its model. Versions are counted on from those of TrainingSpec: workers that know only
    trainings leave what is newer alone."""

    spec_version: Literal[2] = 2
    model: Annotated[str, Field(pattern=r"^mdl_[A-Za-z0-9]{1,64}$")]

    def chosen(self, schema: DataSchema) -> range:
        """The numbers of the dataset's rows that are predicted; raises SpecError where there are not so many."""
        first, count = self.rows or (0, schema.rows)
        if first + count > schema.rows:
            detail = f"The dataset has {schema.rows} rows: pass over {first} and take {max(0, schema.rows - first)}."
            if first >= schema.rows:
                detail = f"The dataset has {schema.rows} rows, from 0 to {schema.rows - 1}: pass over fewer."
            raise SpecError([Finding("/rows", detail)])
        return range(first, first + count)
