"""Hot routes, reached past the framework, whose layers and routing cost more than what they do."""

from collections.abc import Callable, Sequence

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Refuse = Callable[[Request, Exception], Response]


class Express:
    """ASGI middleware: hands the requests of `routes` to their endpoints, which take the request itself.

    The framework knows the routes too: it describes them, and answers their other methods. Errors of the kinds `known`
    are answered by `refuse`; others go on to whoever logs them.
    """

    def __init__(
        self, app: ASGIApp, routes: Sequence[APIRoute], known: tuple[type[Exception], ...], refuse: Refuse
    ) -> None:
        self.app = app
        self.routes = [(frozenset(route.methods or ()), route.path_regex.match, route) for route in routes]
        self.known = known
        self.refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            method, path = scope["method"], scope["path"]
            for methods, match, route in self.routes:
                if method in methods and (found := match(path)) is not None:
                    scope["route"], scope["path_params"] = route, found.groupdict()
                    await self._answer(route, scope, receive, send)
                    return
        await self.app(scope, receive, send)

    async def _answer(self, route: APIRoute, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response: Response = await route.endpoint(request)
        except self.known as error:
            response = self.refuse(request, error)
        await response(scope, receive, send)
