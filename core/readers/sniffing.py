"""Which format a file has, told from its first bytes."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from core.readers.errors import DataError
from core.readers.options import Format, ReadLimits
from core.readers.streams import open_bytes

HEAD = 4096
MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "npz"),
    (b"PK\x05\x06", "npz"),
    (b"PAR1", "parquet"),
    (b"\0\0", "idx"),
)
FOREIGN = (
    (b"\x80", "a pickle, which is never opened: save the arrays with numpy.savez"),
    (b"\x89HDF", "HDF5: save its arrays with numpy.savez"),
    (b"\x89PNG", "a picture: collect the pictures in one array and save it with numpy.savez"),
    (b"\xff\xd8\xff", "a picture: collect the pictures in one array and save it with numpy.savez"),
    (b"\xff\xfe", "UTF-16 text: save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text: save it as UTF-8"),
    (b"\x1f\x8b", "gzipped twice: unpack it once"),
    (b"BZh", "packed with bzip2: upload it unpacked or gzipped"),
    (b"\xfd7zXZ", "packed with xz: upload it unpacked or gzipped"),
    (b"\x28\xb5\x2f\xfd", "packed with Zstandard: upload it unpacked or gzipped"),
    (b"%PDF", "a PDF: upload its data as CSV"),
)
TEXT = ("csv", "jsonl")
KNOWN = ("csv", "jsonl", "npz", "npy", "idx", "parquet")


def find_format(path: Path, said: str | None, limits: ReadLimits) -> Format:
    """The format of a file; `said` decides between text formats and must not contradict the bytes otherwise."""
    with open_bytes(path, limits) as stream:
        head = stream.read(HEAD)
    if not head:
        raise DataError("The file is empty: upload one that holds data.")
    found = next((name for magic, name in MAGIC if head.startswith(magic)), None)
    if found is None:
        foreign = next((what for magic, what in FOREIGN if head.startswith(magic)), None)
        if foreign is not None:
            raise DataError(f"The file is {foreign}.")
        if said is None and b"\0" in head:
            raise DataError(f"The file is neither text nor has one of the formats {', '.join(KNOWN)}.")
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        found = cast(Format, said) if said in TEXT else "jsonl" if start in (b"{", b"[") else "csv"
    if said is not None and said != found:
        what = "text" if found in TEXT else found
        raise DataError(f"The file does not have the format {said}, it looks like {what}: leave the format away.")
    return found
