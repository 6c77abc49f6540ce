"""Bytes and lines of a file, unpacked if need be, never more in memory or in total than is allowed."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from core.readers.errors import DataError, TooLarge
from core.readers.options import ReadLimits

GZIP = b"\x1f\x8b"
BLOCK = 2**20


class Packed(Protocol):
    """What unpacks: a gzip file, a member of a zip archive."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class Counted(io.RawIOBase):
    """Unpacked bytes from `source`, counted against the limits and against the packed size (bombs)."""

    def __init__(self, source: Packed, packed: int, limits: ReadLimits) -> None:
        self._source = source
        self._packed = packed
        self._limits = limits
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        try:
            data = self._source.read(len(buffer))
        except (EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
            raise DataError("The compressed data are damaged or cut off: pack or upload the file once more.") from error
        self._count += len(data)
        if self._count > self._limits.max_bytes:
            raise TooLarge("max_bytes", self._limits.max_bytes, "Unpacked, the file is too large")
        if self._count > max(self._limits.free_bytes, self._packed * self._limits.max_ratio):
            message = "The file unpacks to suspiciously many times its size: upload it uncompressed"
            raise TooLarge("max_ratio", self._limits.max_ratio, message)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._source.close()
        super().close()


def open_bytes(path: Path, limits: ReadLimits) -> BinaryIO:
    """The bytes of a file, unpacked if it is gzipped."""
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    if not packed:
        return path.open("rb", buffering=BLOCK)
    counted = Counted(gzip.open(path, "rb"), path.stat().st_size, limits)  # noqa: SIM115
    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, counted), BLOCK))


class Lines:
    """Lines of UTF-8 text, with their ends; a byte order mark is skipped.

    Bytes that are not UTF-8 become lone surrogates, so that the row that holds them can be named. `since_mark` counts
    the characters since it was last set to 0, at the end of a row: a row that grows too long raises TooLarge.
    """

    def __init__(self, file: BinaryIO, limits: ReadLimits) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._limit = limits.max_row_bytes
        self.since_mark = 0

    def __iter__(self) -> Iterator[str]:
        readline, limit = self._text.readline, self._limit
        while line := readline(limit + 1):
            self.since_mark += len(line)
            if self.since_mark > limit:
                message = "A row of the text is too long: check the line ends, or upload such data as NPZ"
                raise TooLarge("max_row_bytes", limit, message)
            yield line

    def close(self) -> None:
        self._text.close()


def is_text(value: str) -> bool:
    """Whether a string is what UTF-8 files and databases can carry: no lone surrogates, no NUL."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value
