"""The parts of the OpenAPI document that the routes' signatures do not tell: bodies, problems, tags."""

import re
from collections import defaultdict
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service import problem_details, problems, strict_json
from service.bodies import BodyTooLarge, BodyTooSlow, WrongContentType
from service.guard import HostRefused, OriginRefused
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
    {"name": "jobs", "description": "Trainings, from submission to their end."},
    {"name": "models", "description": "Trained networks: versions, aliases, predictions, files."},
    {"name": "operation", "description": "Health, measurements and the meaning of problems."},
]
EVERYWHERE: tuple[type[Exception], ...] = (HostRefused, OriginRefused, BadParameter)
STORED: tuple[type[Exception], ...] = (*EVERYWHERE, Unavailable, Busy)
JSON_BODY: tuple[type[Exception], ...] = (
    BodyTooLarge,
    BodyTooSlow,
    WrongContentType,
    strict_json.MalformedJson,
    strict_json.RefusedJson,
)
_NAMED: list[type[BaseModel]] = []  # schemas that are named by reference only


def refuses(*kinds: type[Exception], stored: bool = True) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an operation that may end in these errors, besides those that all of them share."""
    by_status: dict[int, list[problem_details.Problem]] = defaultdict(list)
    for kind in (*(STORED if stored else EVERYWHERE), *kinds):
        problem = problems.PROBLEMS[kind]
        if problem not in by_status[problem.status]:
            by_status[problem.status].append(problem)
    return {
        status: {
            "description": " ".join(f"`{problem.slug}`: {problem.meaning}" for problem in found),
            "content": {
                problem_details.MEDIA_TYPE: {
                    "schema": reference(problem_details.ProblemDetails),
                    "example": {
                        "type": found[0].type,
                        "title": found[0].title,
                        "status": status,
                        "detail": found[0].meaning,
                        "instance": "/v1/...",
                    },
                }
            },
        }
        for status, found in sorted(by_status.items())
    }


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
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=TAGS
        )
        _, definitions = models_json_schema([(model, "validation") for model in _NAMED], ref_template=REF)
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
        app.openapi_schema = schema
    return app.openapi_schema
