"""The parts of the OpenAPI document that the routes' signatures do not tell: bodies, problems, tags."""

import json
import re
from collections import defaultdict
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service import problem_details, problems, strict_json
from service.bodies import BodyTooLarge, BodyTooSlow, EncodedBody, WrongContentType
from service.guard import HostRefused, OriginRefused
from service.inference_schemas import ErrorResponse
from service.lanes import Busy
from service.parameters import BadParameter
from store.errors import Unavailable

DEFINITION = re.compile(r"[^A-Za-z0-9._-]")  # what pydantic replaces in the names of generic models
REF = "#/components/schemas/{model}"
DESCRIPTION = (
    "Training as a service with its backpropagation open to look at: upload a dataset, submit a job, follow its "
    "events, ask the trained model for predictions. Every error is an RFC 9457 problem; `GET /problems` lists them."
)
TAGS = [
    {"name": "datasets", "description": "Arrays to train on; uploaded once, never changed."},
    {"name": "jobs", "description": "Trainings and predictions of whole datasets, from submission to their end."},
    {"name": "models", "description": "Trained networks: versions, aliases, predictions, files."},
    {"name": "operation", "description": "Health, measurements and the meaning of problems."},
]
DESCRIPTION_V2 = (
    "The Open Inference Protocol v2 over REST with its extensions for binary tensors and classification: trained "
    "models by name and version or alias. Every error is an object with one member, `error`."
)
TAGS_V2 = [{"name": "inference", "description": "Server, models and predictions as the protocol names them."}]
EVERYWHERE: tuple[type[Exception], ...] = (HostRefused, OriginRefused, BadParameter)
STORED: tuple[type[Exception], ...] = (*EVERYWHERE, Unavailable, Busy)
JSON_BODY: tuple[type[Exception], ...] = (
    BodyTooLarge,
    BodyTooSlow,
    WrongContentType,
    EncodedBody,
    strict_json.MalformedJson,
    strict_json.RefusedJson,
)
_NAMED: list[type[BaseModel]] = []  # schemas that are named by reference only


def refuses(*kinds: type[Exception], stored: bool = True) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an operation that may end in these errors, besides those that all of them share."""
    return {
        status: {
            "description": meaning,
            "content": {
                problem_details.MEDIA_TYPE: {
                    "schema": reference(problem_details.ProblemDetails),
                    "example": {
                        "type": problem.type,
                        "title": problem.title,
                        "status": status,
                        "detail": problem.meaning,
                        "instance": "/v1/...",
                    },
                }
            },
        }
        for status, meaning, problem in _by_status(*(STORED if stored else EVERYWHERE), *kinds)
    }


def fails(*kinds: type[Exception], stored: bool = True) -> dict[int | str, dict[str, Any]]:
    """The same for an operation of the Open Inference Protocol, in its own form."""
    return {
        status: {
            "description": meaning,
            "content": {
                "application/json": {"schema": reference(ErrorResponse), "example": {"error": problem.meaning}}
            },
        }
        for status, meaning, problem in _by_status(*(STORED if stored else EVERYWHERE), *kinds)
    }


def _by_status(*kinds: type[Exception]) -> list[tuple[int, str, problem_details.Problem]]:
    """Each status with what it may mean, and the first problem that has it."""
    by_status: dict[int, list[problem_details.Problem]] = defaultdict(list)
    for kind in kinds:
        problem = problems.PROBLEMS[kind]
        if problem not in by_status[problem.status]:
            by_status[problem.status].append(problem)
    return [
        (status, " ".join(f"`{problem.slug}`: {problem.meaning}" for problem in found), found[0])
        for status, found in sorted(by_status.items())
    ]


def document_body(model: type[BaseModel], examples: dict[str, Any]) -> dict[str, Any]:
    """The `openapi_extra` of an operation that reads its JSON body by itself."""
    content = {
        "schema": reference(model),
        "examples": {name: {"value": value} for name, value in examples.items()},
    }
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def reference(model: type[BaseModel]) -> dict[str, str]:
    """A reference to the model's schema, which is put into the document."""
    if model not in _NAMED:
        _NAMED.append(model)
    return {"$ref": REF.format(model=DEFINITION.sub("_", model.__name__))}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of everything but the Open Inference Protocol, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _document(app, app.title, DESCRIPTION, TAGS, in_protocol=False)
    return app.openapi_schema


def document_v2(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the Open Inference Protocol."""
    return _document(app, f"{app.title}: Open Inference Protocol v2", DESCRIPTION_V2, TAGS_V2, in_protocol=True)


def _document(
    app: FastAPI, title: str, description: str, tags: list[dict[str, str]], *, in_protocol: bool
) -> dict[str, Any]:
    routes = [at for at in iter_route_contexts(app.routes) if problem_details.in_protocol(at.path or "") is in_protocol]
    schema = get_openapi(title=title, version=app.version, description=description, routes=routes, tags=tags)
    told = json.dumps(schema["paths"])
    named: list[tuple[type[BaseModel], Literal["validation"]]] = [
        (model, "validation") for model in _NAMED if reference(model)["$ref"] in told
    ]
    _, definitions = models_json_schema(named, ref_template=REF)
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    for name, definition in definitions.get("$defs", {}).items():
        components.setdefault(name, definition)
    for operations in schema["paths"].values():
        for operation in operations.values():
            # FastAPI announces its own form of 422, which this server never sends.
            responses = operation["responses"]
            if responses.get("422", {}).get("description") == "Validation Error":
                del responses["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    return schema
