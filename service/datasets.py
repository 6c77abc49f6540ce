"""Datasets: uploaded once, read row by row, listed, deleted."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import orjson
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict
from starlette.responses import Response

from core import readers
from core.readers import DataError, ReadLimits, ReadOptions, TooLarge
from core.readers.options import Format
from core.schema import ClassTarget, DataSchema, RealTarget
from core.spec import Finding, Spec, SpecError, findings
from service import strict_json, uploads
from service.answers import JSON, Listing, answer, conditional, listing, place_of
from service.bodies import WrongContentType, content_type, read_json
from service.dependencies import Cursor, DatasetId, Limit, NameFilter, Opened, Tenant
from service.lanes import Busy
from service.lifespan import Services
from service.names import Name
from service.openapi import JSON_BODY, reference, refuses
from store.datasets import DatasetRecord
from store.errors import BadCursor, InUse, NotFound

router = APIRouter(tags=["datasets"])
MAX_VALUES = 1_000_000  # numbers in one answer of rows

EXAMPLE: JsonDict = {
    "id": "ds_01kb8r2v5k1e2w9d4c7h3q6zax",
    "object": "dataset",
    "name": "digits",
    "version": 1,
    "digest": "sha256:9b74c9897bac770ffc029102a200c5de9b74c9897bac770ffc029102a200c5de",
    "rows": 1797,
    "input_shape": [8, 8],
    "input_dtype": "uint8",
    "target": {"kind": "class", "classes": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]},
    "bytes": 122_452,
    "created_at": "2026-11-22T07:00:00Z",
}


class DatasetView(BaseModel):
    """A dataset without its arrays."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    id: str
    object: Literal["dataset"] = "dataset"
    name: str
    version: int = Field(description="Counts the datasets of this name.")
    digest: str = Field(description="SHA-256 over shape, types and values; equal data have equal digests.")
    rows: int
    input_shape: tuple[int, ...] = Field(description="Shape of one input.")
    input_dtype: str
    target: ClassTarget | RealTarget
    bytes: int = Field(description="Size of the stored arrays.")
    created_at: datetime

    @classmethod
    def of(cls, record: DatasetRecord) -> Self:
        """The view of a record."""
        schema = record.schema
        return cls(
            id=record.id,
            name=record.name,
            version=record.version,
            digest=record.digest,
            rows=schema.rows,
            input_shape=schema.input_shape,
            input_dtype=schema.input_dtype,
            target=schema.target,
            bytes=record.size,
            created_at=record.created_at,
        )


class DatasetFields(Spec):
    """What is said about an upload beside its data."""

    name: Name
    format: Format | None = None
    options: ReadOptions = Field(default_factory=ReadOptions)


class InlineDataset(DatasetFields):
    """A small dataset written out in JSON."""

    format: None = None
    x: list[Any] = Field(min_length=1, description="Rows of features: numbers, nested as the input is shaped.")
    y: list[Any] = Field(min_length=1, description="One target for each row.")


class Row(BaseModel):
    """One row as it is stored."""

    row: int = Field(description="Counted from 0.")
    x: Any
    y: Any


_UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string", "description": "The dataset's name."},
                        "format": {"enum": ["csv", "jsonl", "npz", "npy", "idx", "parquet"]},
                        "options": {
                            "type": "string",
                            "contentMediaType": JSON,
                            "contentSchema": reference(ReadOptions),
                        },
                        **{
                            part: {"type": "string", "contentMediaType": "application/octet-stream"}
                            for part in uploads.FILES
                        },
                    },
                }
            },
            JSON: {
                "schema": reference(InlineDataset),
                "examples": {
                    "xor": {"value": {"name": "xor", "x": [[0, 0], [0, 1], [1, 0], [1, 1]], "y": [0, 1, 1, 0]}}
                },
            },
        },
    }
}


@router.post(
    "/v1/datasets",
    status_code=201,
    summary="Upload a dataset",
    response_model=DatasetView,
    responses=refuses(*JSON_BODY, uploads.MalformedForm, Busy, SpecError, DataError, TooLarge),
    openapi_extra=_UPLOAD_BODY,
)
async def create_dataset(request: Request, services: Opened, tenant: Tenant) -> Response:
    """Send `multipart/form-data` (`name`, `file`; for IDX `images` and `labels`; for NPY `x` and `y`) or small JSON."""
    kind = content_type(request)
    if kind not in ("multipart/form-data", JSON):
        raise WrongContentType(kind, f"multipart/form-data or {JSON}")
    async with services.uploads.slot() as folder:
        into = folder / "dataset"
        into.mkdir()
        if kind == JSON:
            body = await read_json(request, services.settings)
            name, schema = await asyncio.to_thread(_read_inline, body, into, _limits(services))
        else:
            settings = services.settings
            form = await uploads.receive(request, folder, settings.max_upload_bytes, settings.body_timeout_s)
            name, schema = await asyncio.to_thread(_read_form, form, into, _limits(services))
        record = await services.call(services.datasets.add, tenant, name, into, schema)
    return answer(DatasetView.of(record), 201, {"Location": f"/v1/datasets/{record.id}"})


def _limits(services: Services) -> ReadLimits:
    return ReadLimits(max_bytes=services.settings.max_upload_bytes)


def _read_inline(body: bytes, into: Path, limits: ReadLimits) -> tuple[str, DataSchema]:
    value = strict_json.loads(body)
    rows: dict[str, list[Any]] = {}
    if isinstance(value, dict):
        # The reader looks at every number itself; pydantic sees to the rest.
        rows = {key: value[key] for key in ("x", "y") if isinstance(value.get(key), list)}
        value = {**value, **{key: items[:1] for key, items in rows.items()}}
    try:
        fields = InlineDataset.model_validate(value)
    except ValidationError as error:
        raise SpecError(findings(error)) from None
    return fields.name, readers.read_inline(rows["x"], rows["y"], into, options=fields.options, limits=limits)


def _read_form(form: uploads.Form, into: Path, limits: ReadLimits) -> tuple[str, DataSchema]:
    values: dict[str, Any] = dict(form.fields)
    if "options" in values:
        values["options"] = _options(values["options"])
    try:
        fields = DatasetFields.model_validate(values)
    except ValidationError as error:
        raise SpecError(findings(error)) from None
    if not form.files:
        known = ", ".join(uploads.FILES)
        raise SpecError([Finding("/file", f"There is no file; send one of the parts {known}.")])
    schema = readers.read(form.files, into, format=fields.format, options=fields.options, limits=limits)
    return fields.name, schema


def _options(text: str) -> Any:
    try:
        return strict_json.loads(text.encode())
    except strict_json.MalformedJson as error:
        raise SpecError([Finding("/options", str(error).replace("The body", "The part"))]) from None
    except strict_json.RefusedJson as error:
        raise SpecError([Finding("/options" + error.pointer, error.detail)]) from None


@router.get(
    "/v1/datasets",
    summary="List datasets, newest first",
    response_model=Listing[DatasetView],
    responses=refuses(BadCursor),
)
async def list_datasets(
    services: Opened, tenant: Tenant, cursor: Cursor = None, limit: Limit = 50, name: NameFilter = None
) -> Response:
    """All datasets, or all versions of one name."""
    return listing(await services.call(services.datasets.page, tenant, limit, cursor, name), DatasetView.of)


@router.get(
    "/v1/datasets/{dataset_id}", summary="Get a dataset", response_model=DatasetView, responses=refuses(NotFound)
)
async def get_dataset(request: Request, services: Opened, tenant: Tenant, dataset_id: DatasetId) -> Response:
    """A dataset never changes, so its ETag does not either."""
    return conditional(request, DatasetView.of(await services.call(services.datasets.get, tenant, dataset_id)))


@router.get(
    "/v1/datasets/{dataset_id}/rows",
    summary="Look at rows",
    response_model=Listing[Row],
    responses=refuses(NotFound, BadCursor),
)
async def get_rows(
    services: Opened,
    tenant: Tenant,
    dataset_id: DatasetId,
    offset: Annotated[int, Query(ge=0, lt=2**63, description="The first row.")] = 0,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Response:
    """Rows as they are stored, targets as they were uploaded. Fewer than `limit` where the rows are very wide. A
    `cursor` goes on where the page before ended, whatever `offset` says."""
    first = offset if cursor is None else place_of(cursor)
    return Response(await services.call(_rows, services, tenant, dataset_id, first, limit), media_type=JSON)


def _rows(services: Services, tenant: str, dataset_id: str, offset: int, limit: int) -> bytes:
    record = services.datasets.get(tenant, dataset_id)
    data = services.datasets.open(record)
    schema = record.schema
    width = int(np.prod(schema.input_shape)) + schema.target.width
    stop = min(schema.rows, offset + max(1, min(limit, MAX_VALUES // width)))
    rows = [{"row": row, "x": np.ascontiguousarray(data.x[row]), "y": _target(data.y[row], schema)}
            for row in range(min(offset, stop), stop)]  # fmt: skip
    cursor = str(stop) if stop < schema.rows else None
    listing = {"object": "list", "data": rows, "has_more": cursor is not None, "next_cursor": cursor}
    return orjson.dumps(listing, option=orjson.OPT_SERIALIZE_NUMPY)


def _target(value: Any, schema: DataSchema) -> Any:
    if isinstance(schema.target, ClassTarget):
        return schema.target.classes[int(value)]
    return np.ascontiguousarray(value) if schema.target.shape else float(value)


@router.delete(
    "/v1/datasets/{dataset_id}", status_code=204, summary="Delete a dataset", responses=refuses(NotFound, InUse)
)
async def delete_dataset(services: Opened, tenant: Tenant, dataset_id: DatasetId) -> Response:
    """Refused while any job was made from it."""
    await services.write(services.datasets.delete, tenant, dataset_id)
    services.admission.forget()
    services.open_datasets.forget(tenant, dataset_id)
    return Response(status_code=204)
