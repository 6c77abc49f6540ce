"""multipart/form-data streamed to disk: no file is ever held whole in memory, and nothing is left behind."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from core.spec import Finding, SpecError, pointer
from service import bodies
from service.lanes import Busy
from store.blobs import files_must_be

FILES = ("file", "images", "labels", "x", "y")
FIELDS = ("name", "format", "options")
MAX_FIELD_BYTES = 256 * 1024
BATCH = 1024 * 1024  # bytes gathered before a thread writes them
PATIENCE_S = 20.0


class MalformedForm(Exception):
    """The body is not the form that its Content-Type promises."""


@dataclass
class Form:
    """A form that has arrived: short fields as text, files by their path."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)


class Uploads:
    """The folder that uploads pass through, and how many may do so at once."""

    def __init__(self, folder: Path, at_once: int) -> None:
        self.folder = folder
        self._slots = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Path]:
        """An empty folder for one upload, removed afterwards whatever happens.

        Raises:
            Busy: too many uploads are under way.
            Unavailable: the disk is full or fails, now or while the upload is dealt with.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._slots.acquire()
        except TimeoutError:
            raise Busy from None
        folder = self.folder / secrets.token_hex(8)
        try:
            with files_must_be("received"):
                await asyncio.to_thread(folder.mkdir, parents=True)
                yield folder
        finally:
            # Shielded: a client that goes away must not leave its files behind.
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
            self._slots.release()

    def clear(self) -> None:
        """Remove what a killed server left in the folder, which belongs to this process alone."""
        shutil.rmtree(self.folder, ignore_errors=True)


async def receive(
    request: Request,
    folder: Path,
    limit: int,
    timeout_s: float,
    fields: tuple[str, ...] = FIELDS,
    files: tuple[str, ...] = FILES,
) -> Form:
    """Stream the form of a request into files in `folder`; it has these parts and no others.

    Raises:
        MalformedForm: no boundary, or not a form.
        SpecError: a part that nobody reads, or one that came twice.
        BodyTooLarge, BodyTooSlow: as for every body.
    """
    _, parameters = parse_options_header(request.headers.get("content-type"))
    boundary = parameters.get(b"boundary")
    if not boundary:
        raise MalformedForm("The Content-Type has no boundary; let the HTTP library write it.")
    form = _FormWriter(folder, fields, files)
    try:
        try:
            parser = form.parser(boundary)
            async for batch in _batches(bodies.stream(request, "NUDGE_MAX_UPLOAD_BYTES", limit, timeout_s)):
                await asyncio.to_thread(parser.write, batch)
            await asyncio.to_thread(parser.finalize)
        except FormParserError as error:
            raise MalformedForm(f"The body is not a multipart form: {error}.") from None
        if not form.ended:
            raise MalformedForm("The form ends before its last boundary; send it whole.")
        return form.form
    finally:
        form.close()


async def _batches(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    async for chunk in chunks:
        gathered.append(chunk)
        size += len(chunk)
        if size >= BATCH:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)


class _FormWriter:
    """Takes what the parser finds, part by part."""

    def __init__(self, folder: Path, fields: tuple[str, ...], files: tuple[str, ...]) -> None:
        self.form = Form()
        self._fields, self._files = fields, files
        self.ended = False
        self._folder = folder
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._name = ""
        self._file: BinaryIO | None = None
        self._text = bytearray()

    def parser(self, boundary: bytes) -> MultipartParser:
        data: Callable[[bytes, int, int], None] = self._on_data
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": data,
                "on_part_end": self._on_end_of_part,
                "on_end": self._on_end,
            },
        )

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _on_begin(self) -> None:
        self._disposition = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        parts = (*self._fields, *self._files)
        if name not in parts:
            known = f"known are {', '.join(parts)}" if len(parts) > 1 else f"send the part {parts[0]} alone"
            raise SpecError([Finding(pointer((name[:80],)), f"There is no such part; {known}.")])
        if name in self.form.fields or name in self.form.files:
            raise SpecError([Finding(pointer((name,)), "The part is given twice; keep one of them.")])
        self._name = name
        if name in self._files:
            self.form.files[name] = self._folder / name
            self._file = self.form.files[name].open("wb")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > MAX_FIELD_BYTES:
            detail = f"The part is longer than {MAX_FIELD_BYTES} bytes; only files may be long."
            raise SpecError([Finding(pointer((self._name,)), detail)])

    def _on_end_of_part(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            return
        try:
            self.form.fields[self._name] = self._text.decode("utf-8")
        except UnicodeDecodeError:
            raise SpecError([Finding(pointer((self._name,)), "The part is not UTF-8 text.")]) from None
        self._text = bytearray()

    def _on_end(self) -> None:
        self.ended = True
