"""A job's events, live: server-sent events, joined again where the connection broke."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from client.errors import NudgeError
from client.schemas import Epoch
from client.transport import Transport, problem, retry_after

LAST = frozenset({"succeeded", "failed", "cancelled"})
"""A stream of events ends after one of these."""

PATIENCE_S = 60.0
SILENCE_S = 60.0


@dataclass(frozen=True)
class Event:
    """One thing that happened to a job. Numbers rise without gaps; `data` depends on the type."""

    number: int
    type: str
    data: dict[str, Any]

    @property
    def last(self) -> bool:
        """True when nothing can follow."""
        return self.type in LAST

    @property
    def epoch(self) -> Epoch | None:
        """The metrics, when this is the end of an epoch."""
        return Epoch.model_validate(self.data.get("metrics", self.data)) if self.type == "epoch" else None


def follow(transport: Transport, job: str, after: int = 0) -> Iterator[Event]:
    """Yield every event of a job after number `after`, in order and once each, until the job is over.

    A connection that breaks, or says nothing for a minute, is opened again after the last event seen
    (Last-Event-ID). Raises UnreachableError when the server stays away for a minute.
    """
    number = after
    broken_since: float | None = None
    pause = 0.1
    while True:
        failure: Exception | None = None
        wanted: float | None = None
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(number)}
        timeout = httpx.Timeout(transport.http.timeout.connect, read=SILENCE_S)
        try:
            with transport.http.stream("GET", f"/v1/jobs/{job}/events", headers=headers, timeout=timeout) as response:
                if response.status_code in {429, 502, 503, 504}:
                    wanted = retry_after(response)
                    response.read()
                    failure = problem(response)
                elif not response.is_success:
                    response.read()
                    raise problem(response)
                else:
                    broken_since, pause = None, 0.1
                    for event in parse(response.iter_bytes()):
                        if event.number > number:
                            number = event.number
                            yield event
                        if event.last:
                            return
        except httpx.TransportError as error:
            failure = error
        if failure is not None:
            now = time.monotonic()
            broken_since = broken_since if broken_since is not None else now
            if now - broken_since > PATIENCE_S:
                if isinstance(failure, NudgeError):
                    raise failure
                raise transport.unreachable(failure) from failure
        time.sleep(wanted if wanted is not None else pause)
        pause = min(pause * 2, 5.0)


def parse(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Events from the bytes of a `text/event-stream` (WHATWG HTML, section 9.2); comments are passed over.

    Lines are cut at line feeds only: JSON may hold U+2028 and U+0085, where `str.splitlines` would cut too.
    """
    fields: dict[str, str] = {}
    for line in _lines(chunks):
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value
        else:
            if fields.get("id", "").isdecimal() and "data" in fields:
                yield Event(int(fields["id"]), fields.get("event", "message"), json.loads(fields["data"]))
            fields = {}


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode()
