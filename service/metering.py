"""Requests counted and timed for Prometheus."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Meters:
    """How many requests of each route ended how, and how long the answer took to begin."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self._requests = Counter("nudge_http_requests", "Answered requests.", labels, registry=registry)
        self._seconds = Histogram(
            "nudge_http_seconds", "Time until an answer begins.", ("route",), buckets=BUCKETS, registry=registry
        )
        self.at_once = Counter(
            "nudge_http_at_once", "Requests answered without a task of their own.", registry=registry
        )
        self.open = Gauge("nudge_http_open_requests", "Requests being answered.", registry=registry)
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}  # finding them by name takes longer

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request whose answer begins. `route` is its pattern, never its path: ids would make a series each."""
        found = self._series.get((method, route, status))
        if found is None:
            found = self._requests.labels(method, route, str(status)), self._seconds.labels(route)
            self._series[method, route, status] = found
        found[0].inc()
        found[1].observe(seconds)


class Metering:
    """ASGI middleware: counts and times all requests."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self.app = app
        self.meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                self.meters.count(scope["method"], route, message["status"], time.perf_counter() - start)
            await send(message)

        self.meters.open.inc()
        try:
            await self.app(scope, receive, measured)
        finally:
            self.meters.open.dec()
