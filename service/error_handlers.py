"""Every error of the application becomes the problem that the table has for it."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.problem_details import respond
from service.problems import PROBLEMS, ROUTING, UNEXPECTED

logger = logging.getLogger("nudge.service")


def answer(request: Request, error: Exception) -> Response:
    """The response to an error of the table."""
    problem = next(PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS)
    if problem.status == 500:
        logger.error("%s %s: %s", request.method, request.url.path, error)
    detail = problem.meaning if isinstance(error, RequestValidationError) else str(error)
    return respond(request, problem, detail or problem.meaning, error)


def _methods(request: Request) -> list[str]:
    """The methods of every route with this path; Starlette names only those of the first."""
    path = request.url.path
    contexts = iter_route_contexts(request.app.routes)
    return sorted({method for at in contexts if at.path_regex.match(path) for method in at.methods or ()})


def install(app: FastAPI) -> None:
    """Make the application answer every error as a problem."""

    async def known(request: Request, error: Exception) -> Response:
        return answer(request, error)

    async def routing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        problem = ROUTING.get(error.status_code, UNEXPECTED)
        response = respond(request, problem, f"{request.method} {request.url.path}: {problem.meaning}")
        response.headers.update(error.headers or {})
        if problem.status == 405:
            response.headers["Allow"] = ", ".join(_methods(request))
        return response

    async def unexpected(request: Request, error: Exception) -> Response:
        return respond(request, UNEXPECTED, "The server failed to answer; the fault is logged. Trying again may help.")

    for kind in PROBLEMS:
        app.add_exception_handler(kind, known)
    app.add_exception_handler(HTTPException, routing)
    app.add_exception_handler(Exception, unexpected)
