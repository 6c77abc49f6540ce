import gzip
import json
import struct
from pathlib import Path

import pytest

from client.inputs import Given, read
from tests.client.conftest import DIGITS


def test_a_mask_comes_along() -> None:
    assert read('{"inputs": [[1], [2]], "mask": [[1], [0]]}') == Given([[1], [2]], [[1], [0]])
    with pytest.raises(ValueError, match="mask that is no list"):
        read('{"inputs": [[1]], "mask": 1}')


@pytest.mark.parametrize("text", ["[[1, 2], [3, 4]]", '{"inputs": [[1, 2], [3, 4]]}', " \n[[1,2],[3,4]]"])
def test_json_is_read_from_the_command_line_and_from_a_file(text: str, tmp_path: Path) -> None:
    file = tmp_path / "inputs"
    file.write_text(text)
    assert read(text) == read(str(file)) == Given([[1, 2], [3, 4]])


def test_csv_may_have_a_header(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("\ufefflength,width\n1,2.5\n\n3,4\n", encoding="utf-8")
    assert read(str(file)).inputs == [[1.0, 2.5], [3.0, 4.0]]


def test_idx_images_are_read_with_their_shape(pixels: list[list[list[int]]]) -> None:
    assert read(str(DIGITS[0])).inputs == pixels
    assert read(str(DIGITS[1])).inputs[:5] == [0, 1, 2, 3, 4]


def test_idx_of_floats(tmp_path: Path) -> None:
    file = tmp_path / "floats.idx"
    file.write_bytes(b"\0\0\x0d\x02" + struct.pack(">II4f", 2, 2, 0.5, 1.5, 2.5, 3.5))
    assert read(str(file)).inputs == [[0.5, 1.5], [2.5, 3.5]]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"x": 1}', "no list of inputs"),
        (b"[[1, 2]", "no JSON"),
        (b"1,2\n3,four\n", "line 2"),
        (b"\0\0\x08\x03\0\0\0\x02", "damaged IDX"),
        (b"\0\0\x08\x01" + struct.pack(">I", 2**32 - 1) + b"abc", "another length"),
        (gzip.compress(b"[[1]]" * 100, mtime=0)[:-9], "damaged gzip"),
        (b"\x89PNG\xff\xfe", "neither JSON nor CSV nor IDX"),
    ],
)
def test_what_cannot_be_read_is_said(data: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=says):
        read(str(file))


def test_json_numbers_stay_what_they_are() -> None:
    assert json.dumps(read("[[1, 2.0]]").inputs) == "[[1, 2.0]]"
