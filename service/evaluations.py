"""Evaluations: how well a model does on a dataset, class by class, and on which rows worst."""

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.responses import Response

from core.assessment import Assessment, Confusion, Costly, assess
from core.explanations.subject import Subject
from core.metrics import Value
from core.schema import JsonScalar
from core.spec import SpecError
from core.training_spec import TrainingSpec
from service.answers import answer
from service.dependencies import ModelId, NoSuchModel, Opened, Tenant, checked_id, json_body
from service.evaluation_request import EvaluationRequest, EvaluationTooLarge, check_size
from service.lanes import Busy
from service.lifespan import Services
from service.openapi import JSON_BODY, document_body, refuses
from service.predictions import PROBABILITY
from store.errors import NotFound

router = APIRouter(tags=["models"])


class ConfusionView(BaseModel):
    """How many rows of each class (down) the model took for each class (across)."""

    classes: tuple[JsonScalar, ...] = Field(
        description="Of the lines and of the columns; of more than 128, those that occur or are said most."
    )
    counts: list[list[int]]
    rows_left_out: int = Field(description="Rows that have to do with a class that is not among `classes`.")

    @classmethod
    def of(cls, confusion: Confusion) -> Self:
        """The view of a confusion matrix."""
        return cls(classes=confusion.classes, counts=confusion.counts, rows_left_out=confusion.rows_left_out)


class CostlyView(BaseModel):
    """A row that costs much."""

    row: int = Field(description="Its number in the dataset, from 0.")
    cost: float = Field(description="What the loss says of this row alone.")
    target: Any = Field(description="As it was uploaded.")
    prediction: Any = Field(description="The class, or the number or numbers, that the model gives.")
    probability: float | None = Field(description=f"{PROBABILITY} Null for real targets.")

    @classmethod
    def of(cls, costly: Costly) -> Self:
        """The view of a costly row."""
        return cls(
            row=costly.row,
            cost=costly.cost,
            target=costly.target,
            prediction=costly.prediction,
            probability=costly.probability,
        )


class EvaluationView(BaseModel):
    """What a model achieves on rows that it may never have seen."""

    object: Literal["evaluation"] = "evaluation"
    model: str
    dataset: str
    dataset_digest: str
    first_row: int
    rows: int
    metrics: dict[str, Value] = Field(
        description="`loss`; for classes `accuracy`, `precision`, `recall`, `f1` and a `top_k`; for real targets "
        "`mae`, `rmse` and `r2`; and the numbers that its job asked for.",
        examples=[{"loss": 0.08, "accuracy": 0.97, "precision": 0.97, "recall": 0.96, "f1": 0.97, "top_2": 1.0}],
    )
    confusion_matrix: ConfusionView | None = Field(description="Null for real targets.")
    costliest: list[CostlyView] = Field(description="The costliest row first.")


@router.post(
    "/v1/models/{model_id}/evaluate",
    summary="Evaluate a model on a dataset",
    response_model=EvaluationView,
    responses=refuses(*JSON_BODY, SpecError, EvaluationTooLarge, NoSuchModel, NotFound, Busy),
    openapi_extra=document_body(
        EvaluationRequest,
        {
            "whole": {"dataset": "ds_01kb8r3v5y8t2n6m4q9w7x1zcd"},
            "some": {"dataset": "ds_01kb8r3v5y8t2n6m4q9w7x1zcd", "rows": [1000, 500], "top": 3},
        },
    ),
)
async def evaluate(
    services: Opened,
    tenant: Tenant,
    model_id: ModelId,
    wanted: Annotated[EvaluationRequest, Depends(json_body(EvaluationRequest))],
) -> Response:
    """In evaluation mode and float64, with the data cost alone: no penalties, class weights as in the training."""
    dataset_id = checked_id("dataset", wanted.dataset)
    subject = await services.subjects.get(tenant, model_id)
    return answer(await services.assess(_evaluate, services, tenant, subject, model_id, dataset_id, wanted))


def _evaluate(
    services: Services, tenant: str, subject: Subject, model_id: str, dataset_id: str, wanted: EvaluationRequest
) -> EvaluationView:
    model, dataset = services.models.get(tenant, model_id), services.datasets.get(tenant, dataset_id)
    rows = wanted.chosen(dataset.schema.rows)
    check_size(services.settings, subject.network.flops, len(rows))
    asked = TrainingSpec.model_validate(model.spec).metrics
    found: Assessment = assess(subject, services.datasets.open(dataset), rows, wanted.top, asked)
    return EvaluationView(
        model=model.id,
        dataset=dataset.id,
        dataset_digest=dataset.digest,
        first_row=rows.start,
        rows=len(rows),
        metrics=found.metrics,
        confusion_matrix=None if found.confusion is None else ConfusionView.of(found.confusion),
        costliest=[CostlyView.of(costly) for costly in found.costliest],
    )
