"""From the connection straight to the answer, for predictions that wait for nothing.

A row of a small network takes some ten microseconds; a task, the messages of ASGI and the framework take many times
that. What can be answered at once is, together with all that arrived in the same turn of the event loop: their rows go
through the network as one batch. Whatever is unusual about a request, be it wrong or only large, sends it the usual
way, on which alone things are refused.
"""

import asyncio
import re
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from core.layers.layer import Array
from core.predictor import Predictor
from service.dependencies import tenant_of
from service.guard import Callers, Headers
from service.lifespan import Services
from service.metering import Meters

Fields = dict[bytes, bytes]
# What changes how a body is read.
UNUSUAL = frozenset({b"content-encoding", b"transfer-encoding"})
MOST_BYTES = 1024 * 1024  # of a body


class Asked(NamedTuple):
    """Rows (n, *input_shape) for a predictor, whatever their answer needs besides the outputs, and the `kind` of it:
    others are not answered together with it."""

    predictor: Predictor
    inputs: Array
    more: Any
    kind: Hashable = None


class Said(NamedTuple):
    """A good answer, and its headers without the Content-Length."""

    content: bytes
    headers: Headers


@dataclass(frozen=True)
class Short:
    """A POST to `route` that may be answered at once.

    `read` is given the services, the tenant, the open parts of the path, the headers and the body.
    `say` is given what it has read of several requests to one predictor, and the outputs (n, k) of all their rows. Both
    give None, or raise, for what must go the usual way.
    """

    route: str
    read: Callable[[Services, str, tuple[str, ...], Fields, bytes], Asked | None]
    say: Callable[[list[Asked], Array], list[Said] | None]


class Arrived(NamedTuple):
    """A request; `reply` is told its answer, or None where it must go the usual way, and gives whether it was sent."""

    short: Short
    groups: tuple[str, ...]
    headers: Headers
    body: bytes
    reply: Callable[[Said | None], bool]
    at: float


class Shortcut:
    """The requests that are answered at once. `most_bytes`: of a body that is gathered for it."""

    def __init__(self, services: Services, callers: Callers, meters: Meters, known: Iterable[Short]) -> None:
        self._services, self._callers, self._meters = services, callers, meters
        self.most_bytes = min(MOST_BYTES, services.settings.max_body_bytes)
        self._known = [(_pattern(short.route).fullmatch, short) for short in known]
        self._waiting: list[Arrived] = []

    def find(self, method: bytes, target: bytes) -> tuple[Short, tuple[str, ...]] | None:
        """Which of them a request is, by its first line, and the open parts of its path; None for all others."""
        if method == b"POST":
            for match, short in self._known:
                if found := match(target):
                    return short, tuple(group.decode() for group in found.groups())
        return None

    def take(
        self,
        found: tuple[Short, tuple[str, ...]],
        headers: Headers,
        body: bytes,
        reply: Callable[[Said | None], bool],
    ) -> None:
        """Answer a request that `find` knows before the event loop takes its next turn."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.answer)
        self._waiting.append(Arrived(*found, headers, body, reply, time.perf_counter()))

    def answer(self) -> None:
        """Answer all that have been taken."""
        waiting, self._waiting = self._waiting, []
        replies: list[tuple[Arrived, Said | None]] = []
        together: dict[Hashable, _Group] = {}
        for arrived in waiting:
            asked = self._read(arrived)
            if asked is None:
                arrived.reply(None)
                continue
            key = id(asked.predictor), asked.inputs.dtype, arrived.short, asked.kind
            group = together.setdefault(key, _Group())
            group.add(arrived, asked)
            if group.rows >= asked.predictor.rows:  # more are not computed together
                self._send(together.pop(key).say())
        for group in together.values():
            replies.extend(group.say())
        self._send(replies)

    def _send(self, replies: Iterable[tuple[Arrived, Said | None]]) -> None:
        """One right after the other: a client that the first one wakes finds them all."""
        answered = 0
        for arrived, said in replies:
            if arrived.reply(said):
                self._meters.count("POST", arrived.short.route, 200, time.perf_counter() - arrived.at)
                answered += 1
        self._meters.at_once.inc(answered)

    def _read(self, arrived: Arrived) -> Asked | None:
        fields = dict(arrived.headers)
        if len(fields) < len(arrived.headers) or not UNUSUAL.isdisjoint(fields):
            return None
        try:
            self._callers.check(arrived.headers)
            tenant = tenant_of(arrived.headers)
            asked = arrived.short.read(self._services, tenant, arrived.groups, fields, arrived.body)
            if asked is None or not self._services.forwards.at_once(asked.predictor, asked.inputs):
                return None
        except Exception:  # the usual way meets it again, and says what it is
            return None
        return asked


def _pattern(route: str) -> re.Pattern[bytes]:
    """Paths of a route in which nothing is escaped."""
    return re.compile(re.sub(r"\{\w+\}", "([A-Za-z0-9._-]+)", route).encode())


class _Group:
    """Requests of one kind to one predictor, with rows of one type: others would be computed from other numbers."""

    def __init__(self) -> None:
        self.rows = 0
        self._arrived: list[Arrived] = []
        self._asked: list[Asked] = []

    def add(self, arrived: Arrived, asked: Asked) -> None:
        self._arrived.append(arrived)
        self._asked.append(asked)
        self.rows += len(asked.inputs)

    def say(self) -> Iterable[tuple[Arrived, Said | None]]:
        predictor, inputs = self._asked[0].predictor, [asked.inputs for asked in self._asked]
        said: Sequence[Said | None] | None = None
        with suppress(Exception):  # as above
            outputs = predictor.predict(inputs[0] if len(inputs) == 1 else np.concatenate(inputs))
            said = self._arrived[0].short.say(self._asked, outputs)
        return zip(self._arrived, said or [None] * len(inputs), strict=True)
