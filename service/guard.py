"""Who may speak to a server without API keys: only callers that name it, and only pages that it served itself.

A web page may make its visitor's browser send requests to this machine. Checking `Host` stops pages whose domain was
pointed at this machine (DNS rebinding), checking `Origin` stops all others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.settings import ServiceSettings, as_address, is_loopback


@dataclass
class HostRefused(Exception):
    """The request names a host that this server is not known by."""

    host: str

    def __str__(self) -> str:
        return (
            f"This server is not known as {self.host[:100]!r}. Address it as localhost or 127.0.0.1, "
            "or add the name to NUDGE_ALLOWED_HOSTS."
        )


@dataclass
class OriginRefused(Exception):
    """A web page of another origin sent the request."""

    origin: str

    def __str__(self) -> str:
        return f"Pages of {self.origin[:100]!r} may not use this server; only pages that it serves itself may."


Refuse = Callable[[Request, Exception], Response]
Headers = Sequence[tuple[bytes, bytes]]  # names in lower case


class Callers:
    """The callers that these settings let in."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.allowed = frozenset(settings.allowed_hosts)
        # An address cannot be rebound; where the server listens beyond this machine it may be named by any of its own.
        self.addresses = settings.insecure
        self._known = lru_cache(256)(self._knows)  # a few names come again and again

    def check(self, headers: Headers) -> None:
        """Raises HostRefused, OriginRefused."""
        hosts = [value for name, value in headers if name == b"host"]
        host = hosts[0] if len(hosts) == 1 else b""
        if not self._known(host):
            raise HostRefused(_text(host))
        for name, value in headers:
            if name == b"origin" and _authority(_text(value)) != _text(host):
                raise OriginRefused(_text(value))

    def _knows(self, host: bytes) -> bool:
        name = _without_port(_text(host))
        if is_loopback(name) or name in self.allowed or "*" in self.allowed:
            return True
        return self.addresses and as_address(name) is not None


class Guard:
    """ASGI middleware: checks Host and Origin before anything else is looked at."""

    def __init__(self, app: ASGIApp, callers: Callers, refuse: Refuse) -> None:
        self.app = app
        self.callers = callers
        self.refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self.callers.check(scope["headers"])
            except (HostRefused, OriginRefused) as error:
                await self.refuse(Request(scope), error)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _text(value: bytes) -> str:
    return value.decode("latin-1").lower()


def _without_port(authority: str) -> str:
    """`localhost:8080` -> `localhost`, `[::1]:8080` -> `[::1]`."""
    name, colon, port = authority.rpartition(":")
    return name if colon and port.isascii() and port.isdigit() else authority


def _authority(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
