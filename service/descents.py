"""The descent of a traced job: its path on the hill beside that of the full gradient, and their slopes."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from core.descent import Descent, Grid, LayerSlopes, Point, Slopes
from service.answers import answer, conditional
from service.dependencies import JobId, Opened, Tenant
from service.lifespan import Services
from service.openapi import refuses
from service.recorded import NoDescent, NotRecorded
from store.errors import NotFound
from store.records import JobRecord

router = APIRouter(tags=["jobs"])


class SurfaceView(BaseModel):
    """Two ways down one hill, in the plane of their two main directions."""

    object: Literal["surface"] = "surface"
    job: str
    parameters: int = Field(description="How many weights: the dimensions that the plane is cut through.")
    updates: int = Field(description="How many updates the job made.")
    rows: int = Field(description="Rows that are trained on: those of a full gradient.")
    cost_rows: int = Field(
        description="How many of them every cost here is the mean over: the first in the shuffled order of epoch 1."
    )
    share: tuple[float, float] = Field(
        description="Of the variance of all points of both paths, along x and along y; the rest lies across the plane."
    )
    minibatch: tuple[Point, ...] = Field(description="The job's own path, evenly thinned.")
    full: tuple[Point, ...] = Field(
        description="The path of the full gradient from the same start, by the same spec with all rows in each batch."
    )
    full_diverged: bool = Field(description="Whether the full path left all bounds, and ends there.")
    grid: Grid

    @classmethod
    def of(cls, job: str, found: Descent) -> Self:
        """The view of a job's descent."""
        told = {name: getattr(found, name) for name in cls.model_fields if name not in ("object", "job")}
        return cls(job=job, **told)


class GradientsView(BaseModel):
    """The gradient of one mini-batch beside that of all rows, at the same weights."""

    object: Literal["gradients"] = "gradients"
    job: str
    step: int = Field(description="The update, counted from 0: the weights are those after so many updates.")
    epoch: int = Field(description="Counted from 1.")
    batch: int = Field(description="The mini-batch of that epoch, counted from 1.")
    batch_rows: int
    rows: int = Field(description="Of the full gradient: all that are trained on.")
    cosine: float | None = Field(description="Of the angle; null where one of the gradients is zero.")
    angle: float | None = Field(description="Between the two, in degrees.")
    minibatch_norm: float | None
    full_norm: float | None
    layers: tuple[LayerSlopes, ...] = Field(description="The same within each layer of the spec that learns.")
    steps: list[int] = Field(description="All steps that can be asked for.")

    @classmethod
    def of(cls, job: str, found: Descent, slopes: Slopes) -> Self:
        """The view of the gradients at one place of a job's descent."""
        steps = [known.step for known in found.slopes]
        told = {name: getattr(slopes, name) for name in Slopes.model_fields}
        return cls(job=job, rows=found.rows, steps=steps, **told)


@router.get(
    "/v1/jobs/{job_id}/surface",
    summary="A job's path over its cost, beside that of the full gradient",
    response_model=SurfaceView,
    responses=refuses(NotFound, NoDescent),
)
async def job_surface(request: Request, services: Opened, tenant: Tenant, job_id: JobId) -> Response:
    """Of a job that was traced and succeeded. The cost is the data cost in evaluation mode and float64, without
    penalties, with the running statistics as they are at the end. Axes are orthonormal in the space of the weights."""
    return conditional(request, SurfaceView.of(job_id, await services.call(_descent, services, tenant, job_id)))


@router.get(
    "/v1/jobs/{job_id}/gradients",
    summary="A mini-batch's gradient beside the full one",
    response_model=GradientsView,
    responses=refuses(NotFound, NoDescent, NotRecorded),
)
async def job_gradients(
    services: Opened,
    tenant: Tenant,
    job_id: JobId,
    step: Annotated[int, Query(ge=0, lt=2**63, description="The update, counted from 0; one that was recorded.")],
) -> Response:
    """Of a job that was traced and succeeded: both gradients of the data cost, in evaluation mode and float64, at the
    weights after `step` updates, and the angle between them."""
    found = await services.call(_descent, services, tenant, job_id)
    slopes = next((known for known in found.slopes if known.step == step), None)
    if slopes is None:
        raise NotRecorded(step, [known.step for known in found.slopes])
    return answer(GradientsView.of(job_id, found, slopes))


def _descent(services: Services, tenant: str, job_id: str) -> Descent:
    record, blob = services.jobs.descent(tenant, job_id)
    if blob is None:
        raise NoDescent(record.status, _traced(record), record.kind)
    return Descent.model_validate_json(services.blobs.get(blob))


def _traced(record: JobRecord) -> bool:
    """What older versions stored has no such field."""
    return bool((record.spec.get("trace") or {}).get("surface"))
