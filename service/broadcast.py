"""Events from the database to everyone who follows: one reader a process, each event encoded once.

While somebody follows a job, one task asks the store every 50 ms where the followed jobs stand, fetches what is new and
keeps the newest events of each job as bytes. A follower is only a position in that row of bytes: it takes what lies
behind its position, and a slow one that fell behind what is kept reads its gap from the database. So nothing is queued
for anybody, and an event written to 50 clients is the same bytes object 50 times.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import orjson

from service.lanes import Busy
from store.errors import NotFound, Unavailable
from store.lifecycle import FINAL_EVENTS
from store.records import Event, JobRecord
from store.story import tell

logger = logging.getLogger("nudge.service")

POLL_S = 0.05
AFTER_OUTAGE_S = 1.0
KEPT = 1000  # events of one job that are kept as bytes
REPLAY = 500  # events read at once for a follower that is behind
HEARTBEAT = b": heartbeat\n\n"
OPENING = b"retry: 1000\n\n"

Call = Callable[..., Awaitable[Any]]  # runs a store's function in a thread


class Source(Protocol):
    """Where events come from: store.jobs.Jobs."""

    def positions(self, job_ids: Sequence[str]) -> dict[str, int]: ...
    def events(self, tenant: str, job_id: str, after: int = 0, limit: int = 1000) -> list[Event]: ...


def event_data(event: Event) -> dict[str, Any]:
    """What an event says, in numbers and in words, with the moment it was written."""
    return {**event.data, "message": tell(event.type, event.data), "created_at": event.created_at}


def encode(event: Event) -> bytes:
    """An event as the text/event-stream format wants it; NaN becomes null."""
    data = orjson.dumps(event_data(event), option=orjson.OPT_UTC_Z)
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.number, event.type.encode(), data)


class Topic:
    """A job that somebody follows: its newest events as bytes, and where it stands."""

    def __init__(self, job: JobRecord) -> None:
        self.tenant = job.tenant_id
        self.position = job.last_event  # number of the newest event known
        self.final = job.last_event if job.over else None  # number of the event that ends the stream
        self.gone = False
        self.followers = 0
        self.changed = asyncio.Event()
        self._kept: list[bytes] = []
        self._joined: dict[int, bytes] = {}

    def since(self, position: int) -> bytes | None:
        """The events behind a position, joined; None when they are no longer kept."""
        behind = self.position - position
        if behind <= 0:
            return b""
        if behind > len(self._kept):
            return None
        if position not in self._joined:
            self._joined[position] = b"".join(self._kept[-behind:])
        return self._joined[position]

    def append(self, events: Sequence[tuple[Event, bytes]]) -> None:
        """Take new events, in order and without a gap, and wake the followers."""
        last = events[-1][0]
        self._kept = [*self._kept, *(text for _, text in events)][-KEPT:]
        self._joined.clear()
        self.position = last.number
        self.final = last.number if last.type in FINAL_EVENTS else None
        self.wake()

    def wake(self) -> None:
        """Let everyone who waits look again."""
        woken, self.changed = self.changed, asyncio.Event()
        woken.set()


class Broadcast:
    """The followed jobs of this process, and the one reader that keeps them up to date."""

    def __init__(self, source: Source, call: Call, heartbeat_s: float = 10.0) -> None:
        self._source = source
        self._call = call
        self._heartbeat_s = heartbeat_s
        self._topics: dict[str, Topic] = {}
        self._reader: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def followers(self) -> int:
        """How many streams and long polls wait now."""
        return sum(topic.followers for topic in self._topics.values())

    def stop(self) -> None:
        """End every stream and every wait soon. May be called from a signal handler."""
        self._stopping = True

    async def close(self) -> None:
        """Stop the reader."""
        self.stop()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def stream(self, job: JobRecord, after: int) -> AsyncIterator[bytes]:
        """The job's events behind number `after` as text/event-stream, until the job is over."""
        async with self._following(job) as topic:
            yield OPENING
            position = after
            while not (self._stopping or topic.gone):
                chunk = topic.since(position)
                if chunk:
                    position = topic.position
                elif chunk is None:
                    events = await self._patiently(self._events, topic.tenant, job.id, position)
                    position = events[-1][0].number if events else position
                    chunk = b"".join(text for _, text in events)
                if chunk:
                    yield chunk
                elif topic.final is not None and position >= topic.final:
                    return
                elif not await self._change(topic, self._heartbeat_s):
                    yield HEARTBEAT

    async def wait(self, job: JobRecord, timeout_s: float) -> None:
        """Return when the job has an event that this record does not know, or after the time is over."""
        async with self._following(job) as topic:
            deadline = asyncio.get_running_loop().time() + timeout_s
            while topic.position <= job.last_event and not (self._stopping or topic.gone):
                if not await self._change(topic, deadline - asyncio.get_running_loop().time()):
                    return

    @asynccontextmanager
    async def _following(self, job: JobRecord) -> AsyncIterator[Topic]:
        topic = self._topics.setdefault(job.id, Topic(job))
        topic.followers += 1
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read(), name="broadcast")
        try:
            yield topic
        finally:
            topic.followers -= 1
            if not topic.followers and self._topics.get(job.id) is topic:
                del self._topics[job.id]

    async def _change(self, topic: Topic, timeout_s: float) -> bool:
        """Wait for the topic to change; False when the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await topic.changed.wait()
        except TimeoutError:
            return False
        return True

    async def _read(self) -> None:
        """Keep the topics up to date while there are any."""
        loop = asyncio.get_running_loop()
        while self._topics and not self._stopping:
            start = loop.time()
            try:
                await self._look()
            except (Unavailable, Busy):
                await asyncio.sleep(AFTER_OUTAGE_S)
            except Exception:  # whatever it was, the followers must not be left alone
                logger.exception("Events could not be read")
                await asyncio.sleep(AFTER_OUTAGE_S)
            await asyncio.sleep(max(0.0, start + POLL_S - loop.time()))
        for topic in self._topics.values():
            topic.wake()

    async def _look(self) -> None:
        topics = dict(self._topics)
        positions = await self._call(self._source.positions, list(topics))
        for job_id, topic in topics.items():
            if job_id not in positions:
                self._lose(job_id, topic)
            elif positions[job_id] > topic.position:
                try:
                    events = await self._call(self._events, topic.tenant, job_id, topic.position)
                except NotFound:
                    self._lose(job_id, topic)
                    continue
                if events:
                    topic.append(events)

    def _lose(self, job_id: str, topic: Topic) -> None:
        """The job was deleted: nobody can follow it any longer."""
        topic.gone = True
        self._topics.pop(job_id, None)
        topic.wake()

    def _events(self, tenant: str, job_id: str, after: int) -> list[tuple[Event, bytes]]:
        return [(event, encode(event)) for event in self._source.events(tenant, job_id, after, REPLAY)]

    async def _patiently(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call the store, waiting out an outage: the answer has begun, so there is no other way to say it."""
        while True:
            try:
                return await self._call(function, *arguments)
            except NotFound:
                return []
            except (Unavailable, Busy):
                if self._stopping:
                    return []
                await asyncio.sleep(AFTER_OUTAGE_S)
