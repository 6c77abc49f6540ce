"""A hot route, reached past the framework, whose layers and routing cost more than what it does."""

from collections.abc import Callable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Refuse = Callable[[Request, Exception], Response]


class Express:
    """ASGI middleware: hands the requests of `route` to its endpoint, which takes the request itself.

    The framework knows the route too: it describes it, and answers its other methods. Errors of the kinds `known` are
    answered by `refuse`; others go on to whoever logs them.
    """

    def __init__(self, app: ASGIApp, route: APIRoute, known: tuple[type[Exception], ...], refuse: Refuse) -> None:
        self.app = app
        self.route = route
        self.methods = frozenset(route.methods or ())
        self.known = known
        self.refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = None
        if scope["type"] == "http" and scope["method"] in self.methods:
            found = self.route.path_regex.match(scope["path"])
        if found is None:
            await self.app(scope, receive, send)
            return
        scope["route"], scope["path_params"] = self.route, found.groupdict()
        request = Request(scope, receive)
        try:
            response: Response = await self.route.endpoint(request)
        except self.known as error:
            response = self.refuse(request, error)
        await response(scope, receive, send)
