"""Predictions of a whole dataset: asked for as a job, and downloaded as a file."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import FileResponse, Response

from core.estimate import Estimate
from core.prediction_spec import PredictionRequest, PredictionSpec
from service.answers import matches
from service.dependencies import JobId, ModelId, Opened, Tenant, json_body
from service.job_submission import SUBMITTED, submitted
from service.job_views import JobView
from service.openapi import document_body, refuses
from service.predictions import PROBABILITY
from store.errors import NoPredictions, NotFound

router = APIRouter(tags=["models"])
MEDIA_TYPES = {"csv": "text/csv", "npz": "application/octet-stream", "parquet": "application/vnd.apache.parquet"}


@router.post(
    "/v1/models/{model_id}/batch-predictions",
    status_code=202,
    summary="Predict a whole dataset",
    response_model=JobView,
    responses=SUBMITTED,
    openapi_extra=document_body(
        PredictionRequest,
        {
            "csv": {"dataset": "ds_01kb8r2v5k1e2w9d4c7h3q6zax", "format": "csv", "top": 3},
            "some": {"dataset": "ds_01kb8r2v5k1e2w9d4c7h3q6zax", "format": "npz", "outputs": True, "rows": [0, 1000]},
        },
    ),
)
async def submit_predictions(
    request: Request,
    services: Opened,
    tenant: Tenant,
    model_id: ModelId,
    wanted: Annotated[PredictionRequest, Depends(json_body(PredictionRequest))],
    validate_only: Annotated[bool, Query(description="Check and estimate, store nothing.")] = False,
) -> Response:
    """A job like any other, of kind `predict`: followed, paused, resumed and cancelled under `/v1/jobs`, and sent again
    under an `Idempotency-Key` without a second one. `GET /v1/jobs/{job_id}/predictions` gives its file."""
    spec = PredictionSpec(model=model_id, **{name: getattr(wanted, name) for name in PredictionRequest.model_fields})

    async def admit() -> tuple[Estimate, int]:
        predictor = await services.predictors.get(tenant, model_id)
        return await services.call(services.admission.admit_predictions, tenant, spec, predictor)

    return await submitted(request, services, tenant, spec, admit, validate_only)


@router.get(
    "/v1/jobs/{job_id}/predictions",
    tags=["jobs"],
    summary="Download a job's predictions",
    response_class=Response,
    responses={
        200: {
            "description": "A file with a name. Its columns: `row`, the number of the row in the dataset; for classes "
            "`class` and `probability`, then `class_2`, `probability_2` and so on up to `top`; outputs where they are "
            f"asked for, and always for real targets. `probability`: {PROBABILITY}",
            "content": {kind: {"schema": {"type": "string"}} for kind in MEDIA_TYPES.values()},
        },
        **refuses(NotFound, NoPredictions),
    },
)
async def get_predictions(request: Request, services: Opened, tenant: Tenant, job_id: JobId) -> Response:
    """Once the job has succeeded. The ETag is the SHA-256 of the file."""
    file = await services.call(services.predictions.get, tenant, job_id)
    name = f"{file.job_name}-predictions.{file.format}"
    headers = {"ETag": f'"{file.blob}"', "Content-Disposition": f'attachment; filename="{name}"'}
    if matches(request, headers["ETag"]):
        return Response(status_code=304, headers={"ETag": headers["ETag"]})
    path = await services.call(services.blobs.verified, file.blob)
    return FileResponse(path, media_type=MEDIA_TYPES[file.format], headers=headers)
