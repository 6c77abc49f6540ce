"""Requests counted and timed for Prometheus."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metering:
    """ASGI middleware: how many requests of each route ended how, and how long the answer took to begin."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        labels = ("method", "route", "status")
        self.requests = Counter("nudge_http_requests", "Answered requests.", labels, registry=registry)
        self.seconds = Histogram(
            "nudge_http_seconds", "Time until an answer begins.", ("route",), buckets=BUCKETS, registry=registry
        )
        self.open = Gauge("nudge_http_open_requests", "Requests being answered.", registry=registry)
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}  # finding them by name takes longer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The route's pattern, never the path: ids would make a series each.
                route = getattr(scope.get("route"), "path", "none")
                requests, seconds = self._of(scope["method"], route, message["status"])
                requests.inc()
                seconds.observe(time.perf_counter() - start)
            await send(message)

        self.open.inc()
        try:
            await self.app(scope, receive, measured)
        finally:
            self.open.dec()

    def _of(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        found = self._series.get((method, route, status))
        if found is None:
            found = self.requests.labels(method, route, str(status)), self.seconds.labels(route)
            self._series[method, route, status] = found
        return found
