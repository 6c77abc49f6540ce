"""create_app(settings): the application. Nothing opens before its lifespan begins."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import Depends, FastAPI
from fastapi.middleware import Middleware
from prometheus_client import CollectorRegistry, Gauge
from starlette.responses import JSONResponse, Response

from service import (
    aliases,
    batch_predictions,
    bulk_cancel,
    checkpoints,
    datasets,
    descents,
    error_handlers,
    evaluations,
    events,
    explanations,
    exports,
    gradient_check,
    health,
    inference_metadata,
    inference_v2,
    jobs,
    lifespan,
    models,
    openapi,
    predictions,
    problems,
    receipts,
    teaching,
    weights,
    what_if,
)
from service.express import Express
from service.guard import Callers, Guard
from service.metering import Metering, Meters
from service.parameters import strict_parameters
from service.settings import ServiceSettings
from service.shortcut import Shortcut
from store.settings import StoreSettings

# The hot ones first: routes are tried in order.
ROUTERS = (
    predictions,
    inference_v2,
    jobs,
    bulk_cancel,
    events,
    checkpoints,
    receipts,
    descents,
    datasets,
    models,
    aliases,
    evaluations,
    explanations,
    batch_predictions,
    exports,
    weights,
    what_if,
    gradient_check,
    teaching,
    inference_metadata,
    health,
)
SHORT = (predictions.SHORT, *inference_v2.SHORT)
HOT = [route for part in ROUTERS for route in part.router.routes if isinstance(route, predictions.PlainRoute)]


def create_app(settings: ServiceSettings | None = None, store: StoreSettings | None = None) -> FastAPI:
    """The application for these settings, or for those of the environment."""
    settings = settings or ServiceSettings()
    store = store or StoreSettings()
    registry = CollectorRegistry()
    callers, meters = Callers(settings), Meters(registry)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[dict[str, Shortcut]]:
        async with lifespan.opened(settings, store) as services:
            app.state.services = services
            followers.set_function(lambda: services.broadcast.followers)
            yield {"shortcut": Shortcut(services, callers, meters, SHORT)}

    followers = Gauge("nudge_followers", "Event streams and long polls that wait.", registry=registry)
    app = FastAPI(
        title="Nudge",
        version=version("nudge-training"),
        lifespan=running,
        dependencies=[Depends(strict_parameters)],
        redirect_slashes=False,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        middleware=[
            Middleware(Metering, meters=meters),
            Middleware(Guard, callers=callers, refuse=error_handlers.answer),
            Middleware(Express, routes=HOT, known=tuple(problems.PROBLEMS), refuse=error_handlers.answer),
        ],
    )
    app.state.registry = registry
    error_handlers.install(app)
    for part in ROUTERS:
        app.include_router(part.router)
    app.openapi = partial(openapi.document, app)  # type: ignore[method-assign]

    @app.get("/openapi-v2.json", include_in_schema=False)
    async def openapi_v2() -> Response:
        return JSONResponse(openapi.document_v2(app))

    return app
