"""Files that claim or become enormous are read in a process of little memory, and refused in little time."""

import gzip
import json
import os
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.readers import ReadLimits, TooLarge
from tests.core.readers.reading import load, npy

MEGABYTE = 2**20
GROWTH = 80 * MEGABYTE

READER = f"""
import json, re, resource, sys, time
from pathlib import Path
import numpy, core.readers as readers

def used(): return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

address_space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (address_space + 2 * {GROWTH}, -1))
before, begin, told = used(), time.process_time(), {{"error": None, "text": ""}}
files = {{name: Path(path) for name, path in json.loads(sys.argv[1]).items()}}
try:
    readers.read(files, Path(sys.argv[2]))
except (readers.DataError, readers.TooLarge) as error:
    told = {{"error": type(error).__name__, "text": str(error)}}
told |= {{"growth": used() - before, "seconds": time.process_time() - begin}}
print(json.dumps(told))
"""


def read_apart(folder: Path, files: dict[str, Path]) -> dict[str, Any]:
    """Read files in a process of its own whose memory cannot grow by more than twice GROWTH."""
    into = folder / "into"
    into.mkdir()
    run = subprocess.run(
        [sys.executable, "-c", READER, json.dumps({name: str(path) for name, path in files.items()}), str(into)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


def packed(path: Path, parts: Callable[[], Any]) -> Path:
    with gzip.open(path, "wb", compresslevel=6) as file:
        for part in parts():
            file.write(part)
    return path


def zeros(count: int, unit: bytes = b"\0"):
    block = unit * (MEGABYTE // len(unit))
    return (block for _ in range(count))


def idx_bomb(folder: Path) -> dict[str, Path]:
    head = b"\0\0\x08\x03" + struct.pack(">III", 200, 1024, 1024)
    labels = folder / "labels"
    labels.write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 200) + bytes(i % 2 for i in range(200)))
    return {"images": packed(folder / "images", lambda: [head, *zeros(200)]), "labels": labels}


def npz_bomb(folder: Path) -> dict[str, Path]:
    np.savez_compressed(folder / "bomb.npz", x=np.zeros((100, MEGABYTE), np.uint8), y=np.arange(100) % 2)
    return {"file": folder / "bomb.npz"}


def csv_bomb(folder: Path) -> dict[str, Path]:
    return {"file": packed(folder / "bomb", lambda: [b"a,b,c,d,e,f,g,h\n", *zeros(30, b"0,0,0,0,0,0,0,0\n")])}


def json_bomb(folder: Path) -> dict[str, Path]:
    return {"file": packed(folder / "bomb", lambda: zeros(50, b"["))}


def packed_npy_of_terabytes(folder: Path) -> dict[str, Path]:
    head = npy(np.zeros((1, 2)))[:128].replace(b"(1, 2)", b"(2000000000, 2000)")[:-1]
    start = head.index(b"{")
    text = head[start:].rstrip().ljust(128 - start - 1) + b"\n"
    (folder / "y").write_bytes(npy(np.zeros(3)))
    return {"x": packed(folder / "x", lambda: [head[:start], text, b"\0" * 64]), "y": folder / "y"}


def idx_of_terabytes(folder: Path) -> dict[str, Path]:
    (folder / "x").write_bytes(b"\0\0\x0e\x03" + struct.pack(">III", 2**31 - 1, 2**31 - 1, 9) + bytes(100))
    (folder / "y").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 2**31 - 1) + bytes(100))
    return {"images": folder / "x", "labels": folder / "y"}


def archive_with_an_enormous_directory(folder: Path) -> dict[str, Path]:
    path, size = folder / "x.npz", 2**30
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(size)
        file.seek(size)
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, size - 4, 4, 0))
    return {"file": path}


def archive_of_countless_members(folder: Path) -> dict[str, Path]:
    path = folder / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"")
    content = path.read_bytes()
    start = content.index(b"PK\x01\x02")
    entry = content[start : content.index(b"PK\x05\x06")]
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, 100_000 * len(entry), start, 0)
    path.write_bytes(content[:start] + 100_000 * entry + end)
    return {"file": path}


def csv_of_one_line(folder: Path) -> dict[str, Path]:
    with (folder / "x.csv").open("wb") as file:
        file.write(b"a,b\n" + b"1,2\n" * 2000 + b"1,")
        file.truncate(2**30)
    return {"file": folder / "x.csv"}


def csv_of_one_quoted_cell(folder: Path) -> dict[str, Path]:
    with (folder / "x.csv").open("wb") as file:
        file.write(b'a,b\n1,"')
        file.writelines(zeros(100, b"line\n"))
    return {"file": folder / "x.csv"}


def csv_of_one_quoted_row(folder: Path) -> dict[str, Path]:
    with (folder / "x.csv").open("wb") as file:
        file.write(b"a,b\n1")
        file.writelines(zeros(100, b',"\n"'))
    return {"file": folder / "x.csv"}


def csv_of_ragged_enormous_rows(folder: Path) -> dict[str, Path]:
    with (folder / "x.csv").open("wb") as file:
        file.write(b"a,b\n")
        for _ in range(60):
            file.writelines([*zeros(1, b"1,"), b"1\n"])
    return {"file": folder / "x.csv"}


def csv_of_enormous_labels(folder: Path) -> dict[str, Path]:
    with (folder / "x.csv").open("wb") as file:
        file.write(b"a,b\n")
        file.writelines(b"1,%d" % row + b"x" * 120_000 + b"\n" for row in range(1000))
    return {"file": folder / "x.csv"}


def json_of_enormous_rows(folder: Path) -> dict[str, Path]:
    with (folder / "x.jsonl").open("wb") as file:
        for _ in range(10):
            file.writelines([b'{"y": 1, "x": [0', *zeros(1, b",0"), b"]}\n"])
        file.write(b"[]\n")
    return {"file": folder / "x.jsonl"}


@pytest.mark.parametrize(
    ("make", "error", "word"),
    [
        (idx_bomb, "TooLarge", "max_ratio"),
        (npz_bomb, "TooLarge", "max_ratio"),
        (csv_bomb, "TooLarge", "max_ratio"),
        (json_bomb, "TooLarge", "max_row_bytes"),
        (packed_npy_of_terabytes, "TooLarge", "asks for 32,000,000,000,000 bytes"),
        (idx_of_terabytes, "DataError", "promises"),
        (archive_with_an_enormous_directory, "DataError", "damaged"),
        (archive_of_countless_members, "DataError", "damaged"),
        (csv_of_one_line, "TooLarge", "max_row_bytes"),
        (csv_of_one_quoted_cell, "DataError", "enormous"),
        (csv_of_one_quoted_row, "TooLarge", "max_row_bytes"),
        (csv_of_ragged_enormous_rows, "DataError", "60 rows cannot be read"),
        (csv_of_enormous_labels, "DataError", "1,000 rows cannot be read"),
        (json_of_enormous_rows, "DataError", "One row cannot be read"),
    ],
)
def test_no_file_takes_much_memory_or_time(make, error, word, tmp_path: Path):
    files = make(tmp_path)
    told = read_apart(tmp_path, files)
    assert (told["error"], word in told["text"]) == (error, True), told
    assert told["growth"] < GROWTH, told
    assert told["seconds"] < 20, told
    assert sum(path.stat().st_size for path in (tmp_path / "into").rglob("*")) < 512 * MEGABYTE


def test_a_long_file_is_read_as_a_stream(tmp_path: Path):
    draw = random.Random(1)
    rows = [",".join(f"{draw.gauss(0, 1):.3f}" for _ in range(20)) + f",{row % 10}\n" for row in range(1000)]
    with (tmp_path / "x.csv").open("w") as file:
        for _ in range(60):
            file.writelines(rows)
    told = read_apart(tmp_path, {"file": tmp_path / "x.csv"})
    assert told["error"] is None, told
    assert told["growth"] < 24 * MEGABYTE, told
    # 1,260,000 cells; a million a second on an idle machine
    assert told["seconds"] < 8, told
    assert np.load(tmp_path / "into/x.npy", mmap_mode="r").shape == (60_000, 20)


def test_the_arrays_written_are_counted():
    limits = ReadLimits(max_bytes=1000)
    content = "a,b,c\n" + "1,2,0\n3,4,1\n" * 40
    with pytest.raises(TooLarge, match="The arrays of the dataset become too large") as caught:
        load(file=content, limits=limits)
    assert (caught.value.limit, caught.value.value) == ("max_bytes", 1000)
    with pytest.raises(TooLarge, match="asks for"):
        load(x=npy(np.zeros((100, 2))), y=npy(np.zeros(100)), limits=limits)


def test_wide_tables_are_refused_by_name():
    limits = ReadLimits(max_columns=3)
    assert load(file="1,2,3\n4,5,6\n", limits=limits).x.tolist() == [[1, 2], [4, 5]]
    with pytest.raises(Exception, match="more than 3 columns"):
        load(file="1,2,3,4\n4,5,6,7\n", limits=limits)
