"""Whether the server lives, whether it can work, what it measures, and what its problems mean."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0, generate_latest
from pydantic import BaseModel
from starlette.responses import Response

from service.answers import Listing, answer
from service.dependencies import NotReady, Opened
from service.lanes import Busy
from service.lifespan import Services
from service.openapi import refuses
from service.problems import documented
from store.errors import NotFound, Unavailable
from store.migrate import is_migrated

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    """A sign of life."""

    status: Literal["ok"] = "ok"


class ProblemType(BaseModel):
    """What a type of problem means."""

    type: str
    title: str
    status: int
    meaning: str


@router.get("/livez", summary="Does the server live?", response_model=Health, responses=refuses(stored=False))
async def livez() -> Response:
    """Answers as long as the process does anything at all; looks at nothing else."""
    return answer(Health())


@router.get("/readyz", summary="Can the server work?", response_model=Health, responses=refuses(NotReady))
async def readyz(services: Opened) -> Response:
    """Whether the database answers and has the tables that this version needs."""
    try:
        reasons = await services.call(_missing, services)
    except (Unavailable, Busy) as error:
        reasons = [str(error)]
    if reasons:
        raise NotReady(reasons)
    return answer(Health())


def _missing(services: Services) -> list[str]:
    services.database.check()
    if not is_migrated(services.database):
        return ["The database lacks the tables of this version; run `nudged migrate`."]
    return []


@router.get(
    "/metrics",
    summary="Measurements for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **refuses(stored=False)},
)
async def metrics(request: Request) -> Response:
    """Requests by route and status, their durations, and who follows."""
    text = generate_latest(request.app.state.registry)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_PLAIN_1_0_0})


@router.get(
    "/problems",
    summary="List the types of problems",
    response_model=Listing[ProblemType],
    responses=refuses(stored=False),
)
async def list_problems() -> Response:
    """Every `type` that an error of this server can have."""
    return answer(Listing(data=[_problem(slug) for slug in sorted(documented())]))


@router.get(
    "/problems/{slug}",
    summary="Explain a type of problem",
    response_model=ProblemType,
    responses=refuses(NotFound, stored=False),
)
async def get_problem(slug: Annotated[str, Path(description="The end of a problem's `type`.")]) -> Response:
    """What a problem's `type` points at."""
    if slug not in documented():
        raise NotFound("problem", slug[:80])
    return answer(_problem(slug))


def _problem(slug: str) -> ProblemType:
    problem = documented()[slug]
    return ProblemType(type=problem.type, title=problem.title, status=problem.status, meaning=problem.meaning)
