"""A job's events, live: server-sent events, joined again where the connection broke."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from client.errors import NudgeError
from client.schemas import Epoch, JobRecord
from client.transport import Transport, problem

LAST = frozenset({"succeeded", "failed", "cancelled"})
"""A stream of events ends after one of these."""

STORY = (
    "queued",
    "started",
    "checkpoint_damaged",
    "part_damaged",
    "cancel_requested",
    "pause_requested",
    "pause_withdrawn",
    "finding",
    "fingerprint_changed",
    "rescued",
    "released",
    "paused",
    "resumed",
    "retried",
    "succeeded",
    "failed",
    "cancelled",
)
"""What tells a job's story: every type of event but epochs, checkpoints and parts of predictions."""

BUSY = frozenset({429, 502, 503, 504})
PATIENCE_S = 60.0
SILENCE_S = 60.0  # the server sends a sign of life every 10 s
STEADY_S = 5.0  # a connection that lived this long was a good one
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


@dataclass(frozen=True)
class Event:
    """One thing that happened to a job. Numbers rise without gaps; `data` depends on the type."""

    number: int
    type: str
    data: dict[str, Any]

    @property
    def message(self) -> str:
        """What happened, in plain words."""
        return str(self.data.get("message", self.type))

    @property
    def created_at(self) -> datetime | None:
        """When it happened."""
        moment = self.data.get("created_at")
        return datetime.fromisoformat(moment) if moment is not None else None

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
    (Last-Event-ID). Raises UnreachableError, or the server's own problem, when that fails for a minute.
    """
    number = after
    broken_since: float | None = None
    pause = SHORTEST_PAUSE_S
    while True:
        seen, opened = number, time.monotonic()
        failure: NudgeError | None = None
        try:
            for event in _stream(transport, job, number):
                number = event.number
                yield event
                if event.last:
                    return
        except httpx.TransportError as error:
            failure = transport.unreachable(error)
        except NudgeError as error:
            if error.status not in BUSY:
                raise
            failure = error
        now = time.monotonic()
        if number > seen or now - opened > STEADY_S:
            broken_since, pause = None, SHORTEST_PAUSE_S
        if failure is None:
            if number == seen and _over(transport, job):
                return  # nothing happened after `after`, and nothing will
        else:
            broken_since = now if broken_since is None else broken_since
            if now - broken_since > PATIENCE_S:
                raise failure
        time.sleep(pause if failure is None or failure.retry_after is None else failure.retry_after)
        pause = min(pause * 2, LONGEST_PAUSE_S)


def listed(transport: Transport, job: str, types: Sequence[str], after: int = 0) -> Iterator[Event]:
    """The events of some types so far, after number `after`."""
    cursor: str | None = str(after)
    while cursor is not None:
        answer = transport.get(
            f"/v1/jobs/{job}/events",
            headers={"Accept": "application/json"},
            type=list(types),
            after=cursor,
            limit=1000,
        ).json()
        for row in answer["data"]:
            told = {name: row[name] for name in ("message", "created_at") if name in row}
            yield Event(row["number"], row["type"], {**row["data"], **told})
        cursor = answer["next_cursor"]


def _stream(transport: Transport, job: str, number: int) -> Iterator[Event]:
    """The events after `number` that come over one connection."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(number)}
    timeout = httpx.Timeout(transport.http.timeout.connect, read=SILENCE_S)
    with transport.http.stream("GET", f"/v1/jobs/{job}/events", headers=headers, timeout=timeout) as response:
        if not response.is_success:
            response.read()
            raise problem(response)
        yield from parse(response.iter_bytes())


def _over(transport: Transport, job: str) -> bool:
    return JobRecord.model_validate_json(transport.get(f"/v1/jobs/{job}").content).over


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
