"""The wall clock, in one place. It dates rows and names; no lease and no fence trusts it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime


def _machine() -> datetime:
    return datetime.now(UTC)


_SOURCE: ContextVar[Callable[[], datetime]] = ContextVar("wall clock", default=_machine)


def now() -> datetime:
    """This moment, in UTC."""
    return _SOURCE.get()()


@contextmanager
def read_from(source: Callable[[], datetime]) -> Iterator[None]:
    """Let `source` be the wall clock of this thread or task until the block ends."""
    token = _SOURCE.set(source)
    try:
        yield
    finally:
        _SOURCE.reset(token)
