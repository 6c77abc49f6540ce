"""Where metrics are exported to: is there such a place, and does anybody answer there?"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from urllib.parse import SplitResult, urlsplit

import httpx

from client.errors import InputError, UnreachableError

WAIT_S = 5.0
HTTP = {"http", "https"}
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
PLUGINS = "mlflow.tracking_store"  # packages that teach MLflow more kinds
KINDS = {"", "file", "sqlite", "databricks", *HTTP, *PORTS}
# MLflow's own defaults ask a server that is gone for minutes. What the user has set stays.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


def check_address(uri: str) -> None:
    """Raise InputError where `uri` names no tracking server."""
    parts = _parts(uri)
    kind = _kind(parts)
    if kind not in KINDS | entry_points(group=PLUGINS).names or (kind in HTTP and not parts.hostname):
        raise InputError(
            f"{shown(uri)!r} names no tracking server of MLflow; "
            "write http://host:5000, sqlite:///mlflow.db, or a folder."
        )


def check_reachable(uri: str) -> None:
    """Raise UnreachableError where nobody answers; files are there by themselves."""
    parts = _parts(uri)
    kind = _kind(parts)
    try:
        if kind in HTTP:
            with httpx.stream("GET", uri, timeout=WAIT_S):
                pass
        elif kind in PORTS and parts.hostname:
            socket.create_connection((parts.hostname, parts.port or PORTS[kind]), WAIT_S).close()
    except (httpx.TransportError, httpx.InvalidURL, OSError) as error:
        detail = f"No tracking server answers at {shown(uri)} ({error or type(error).__name__})."
        raise UnreachableError(detail) from error


def shown(uri: str) -> str:
    """The address without the password that may stand in it."""
    parts = _parts(uri)
    return uri.replace(f":{parts.password}@", ":***@") if parts.password else uri


@contextmanager
def bounded() -> Iterator[None]:
    """MLflow gives up soon on a server that stops answering."""
    own = {name: value for name, value in PATIENCE.items() if name not in os.environ}
    os.environ.update(own)
    try:
        yield
    finally:
        for name in own:
            os.environ.pop(name, None)


def _kind(parts: SplitResult) -> str:
    return parts.scheme.partition("+")[0]


def _parts(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        _ = parts.port  # is looked at here for the first time
    except ValueError as error:
        raise InputError(f"{uri!r} is no address: {error}.") from error
    return parts
