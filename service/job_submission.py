"""A job of any kind is asked for: admitted, stored once under its idempotency key, and its worker told."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request
from starlette.responses import Response

from core.estimate import Estimate
from core.spec import SpecError
from service.admission import TooMuchMemory
from service.answers import answer
from service.dependencies import BadHeader
from service.job_views import DryRun, JobView
from service.lifespan import Services
from service.openapi import JSON_BODY, refuses
from service.references import references
from store.crash_points import reach
from store.errors import KeyInProgress, KeyReused, NotFound
from store.submissions import Idempotency, JobSpec, NewJob, Submission

SUBMITTED: dict[int | str, dict[str, Any]] = {
    200: {"model": DryRun, "description": "With `validate_only`: the estimate; nothing was stored."},
    **refuses(*JSON_BODY, SpecError, TooMuchMemory, BadHeader, KeyReused, KeyInProgress, NotFound),
}
"""The `responses` of an operation that answers what `submitted` does."""


async def submitted(
    request: Request,
    services: Services,
    tenant: str,
    spec: JobSpec,
    admit: Callable[[], Awaitable[tuple[Estimate, int | None]]],
    validate_only: bool,
) -> Response:
    """The answer to a job of any kind that is asked for; `admit` says what it costs, and how many rows it predicts."""
    idempotency = _idempotency(request, spec)
    with references(spec):
        try:
            estimate, rows = await admit()
        except (NotFound, TooMuchMemory):
            # What was let in once stays accepted, also when the checkpoint or model that it began from is gone by now.
            if idempotency is None:
                raise
            earlier = await services.call(services.jobs.replay, tenant, idempotency)
            if earlier is None:
                raise
            return _accepted(earlier)
        if validate_only:
            return answer(DryRun(spec=spec.model_dump(mode="json"), estimate=estimate))
        submission = await services.submissions.submit(NewJob(tenant, spec, estimate, idempotency, rows))
    reach("submit.before_bell")
    if not submission.replayed:
        services.doorbell.ring(submission.job.id)
    reach("submit.before_answer")
    return _accepted(submission)


def _accepted(submission: Submission) -> Response:
    job = submission.job
    headers = {"Location": f"/v1/jobs/{job.id}", "Retry-After": "1"}
    if submission.replayed:
        headers["Idempotent-Replayed"] = "true"
    return answer(JobView.of(job), 202, headers)


def _idempotency(request: Request, spec: JobSpec) -> Idempotency | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if len(key) >= 2 and key[0] == key[-1] == '"':  # the draft's form: a structured-field string
        key = key[1:-1]
    if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise BadHeader("Idempotency-Key", "The key must be 1 to 255 printable ASCII characters, such as a UUID.")
    return Idempotency(key, "sha256:" + hashlib.sha256(spec.model_dump_json().encode()).hexdigest())
