"""Rows that teach: which rows of a dataset cost a model most, or push its weights hardest."""

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from core.explanations import teaching
from core.explanations.subject import Subject
from core.masks import check_mask_values
from core.schema import ClassTarget, JsonScalar
from core.spec import SpecError
from service.answers import answer, place_of
from service.dependencies import Cursor, Limit, ModelId, Opened, Tenant, checked_id
from service.lifespan import Services
from service.limits import TooMuchWork, check_work
from service.openapi import refuses
from service.parameters import BadParameter
from store.errors import BadCursor, NotFound

router = APIRouter(tags=["models"])
OTHERWISE = "Name them with `offset` and `count`, and go on behind them in further requests."


class TeachingRow(BaseModel):
    """A row, and how hard it pushes."""

    row: int = Field(description="Its number in the dataset, from 0.")
    loss: float | None = Field(description="Its own cost, with the weight of its class.")
    gradient_norm: float | None = Field(description="The length of its own gradient by all weights and biases.")
    target: JsonScalar | list[Any] = Field(description="As it was uploaded.")
    prediction: JsonScalar | list[float | None] = Field(description="The likeliest class, or the outputs.")


class TeachingRows(BaseModel):
    """The rows that push hardest, the hardest first."""

    object: Literal["list"] = "list"
    data: list[TeachingRow]
    has_more: bool = False
    next_cursor: str | None = Field(None, description="Given as `cursor`, the next ones follow.")


@router.get(
    "/v1/models/{model_id}/rows",
    summary="Which rows teach most",
    response_model=TeachingRows,
    responses=refuses(NotFound, TooMuchWork, BadCursor),
)
async def teaching_rows(
    services: Opened,
    tenant: Tenant,
    model_id: ModelId,
    dataset: Annotated[str, Query(max_length=80, description="`ds_...`: whose rows.")],
    order: Annotated[teaching.Order, Query(description="What makes a row come first.")] = "loss",
    offset: Annotated[int, Query(ge=0, lt=2**63, description="The first row that is looked at.")] = 0,
    count: Annotated[int | None, Query(ge=1, lt=2**63, description="How many are looked at; all if left out.")] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Response:
    """Each row's own cost and the length of its own gradient, exactly: in float64 and evaluation mode, of the data cost
    alone, with the weight of its class. Rows that are hard, or labelled wrong, come first."""
    subject = await services.subjects.get(tenant, model_id)
    dataset_id = checked_id("dataset", dataset)
    first = place_of(cursor)
    told = slice(first, first + limit)
    return answer(await services.compute(_rows, services, tenant, subject, dataset_id, order, offset, count, told))


def _rows(
    services: Services,
    tenant: str,
    subject: Subject,
    dataset_id: str,
    order: teaching.Order,
    offset: int,
    count: int | None,
    told: slice,
) -> TeachingRows:
    data = services.datasets.open(services.datasets.get(tenant, dataset_id))
    stop = len(data) if count is None else min(len(data), offset + count)
    rows = np.arange(min(offset, stop), stop)
    check_work(services.settings, teaching.flops(subject, 1), len(rows), OTHERWISE)
    try:
        check_mask_values(subject.network, data, "/dataset")
        found = teaching.lessons(subject, data, rows, order, told.stop)[told]
    except SpecError as error:
        raise BadParameter("dataset", error.errors[0].detail) from None
    target = data.schema.target

    def view(lesson: teaching.Lesson) -> TeachingRow:
        right = data.y[lesson.row]
        return TeachingRow(
            row=lesson.row,
            loss=lesson.loss,
            gradient_norm=lesson.gradient_norm,
            target=target.classes[int(right)] if isinstance(target, ClassTarget) else right.tolist(),
            prediction=subject.said(lesson.outputs),
        )

    more = told.stop < len(rows)
    return TeachingRows(
        data=[view(lesson) for lesson in found], has_more=more, next_cursor=str(told.stop) if more else None
    )
