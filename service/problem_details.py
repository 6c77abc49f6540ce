"""What an error looks like on the wire: application/problem+json (RFC 9457)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import Request
from pydantic import BaseModel, Field
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
Members = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """What HTTP says of one kind of error; `members` picks what the answer says beyond the sentence."""

    status: int
    slug: str
    title: str
    meaning: str
    members: Callable[[Any], Members] = lambda error: {}
    retry_after_s: int | None = None

    @property
    def type(self) -> str:
        """The problem's type, a URI that this server answers with the meaning."""
        return f"/problems/{self.slug}"


class ProblemError(BaseModel):
    """One thing that is wrong with the request."""

    pointer: str = Field(
        description="JSON pointer (RFC 6901) into the body; `/query/<name>`, `/path/<name>` and `/header/<name>` "
        "point at the other parts of the request."
    )
    detail: str = Field(description="What is wrong there and what to do about it.")


class ProblemDetails(BaseModel):
    """An error as RFC 9457 describes it."""

    type: str = Field(examples=["/problems/invalid-spec"])
    title: str
    status: int
    detail: str = Field(description="What happened and what to do instead.")
    instance: str = Field(description="The path that was asked for.")
    errors: list[ProblemError] | None = Field(None, description="Each thing that is wrong, for bad input.")


def in_protocol(path: str) -> bool:
    """Whether a path belongs to the Open Inference Protocol."""
    return path == "/v2" or path.startswith("/v2/")


def respond(request: Request, problem: Problem, detail: str, error: Exception | None = None) -> Response:
    """The problem as a response, or the sentence alone where the Open Inference Protocol has its own form of errors."""
    members = problem.members(error) if error is not None else {}
    headers = {} if problem.retry_after_s is None else {"Retry-After": str(problem.retry_after_s)}
    if in_protocol(request.url.path):
        places = [f"{place['pointer']}: {place['detail']}".removeprefix(": ") for place in members.get("errors", ())]
        return Response(_bytes({"error": " ".join(places) or detail}), problem.status, headers, "application/json")
    body = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "instance": request.url.path,
        **members,
    }
    return Response(_bytes(body), problem.status, headers, MEDIA_TYPE)


def _bytes(body: Members) -> bytes:
    try:
        return orjson.dumps(body)  # NaN becomes null
    except orjson.JSONEncodeError:  # half a surrogate pair, quoted from what was sent
        return orjson.dumps(_printable(body))


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list) else value
