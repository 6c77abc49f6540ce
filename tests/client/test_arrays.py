import io

import numpy as np
import pytest

from client.arrays import to_list, to_npy


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"])
@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 5), (1, 1, 1, 7)])
def test_an_array_becomes_the_npy_file_numpy_reads(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    packed = to_npy(array)
    assert packed is not None
    read = np.load(io.BytesIO(packed), allow_pickle=False)
    assert read.dtype == array.dtype
    assert read.shape == shape
    assert np.array_equal(read, array)
    assert packed.index(b"\n") % 64 == 63


def test_a_transposed_array_keeps_its_order() -> None:
    array = np.arange(12).reshape(3, 4).T
    assert np.array_equal(np.load(io.BytesIO(to_npy(array) or b"")), array)


@pytest.mark.parametrize(
    "value",
    [
        [1, 2],
        (1.0,),
        b"bytes",
        "text",
        np.array(["a", "b"]),
        np.array([None]),
        np.zeros((0, 3)),
        np.array(3),
        np.array([1], ">i4"),
    ],
    ids=repr,
)
def test_what_is_no_plain_array_is_left_to_lists(value: object) -> None:
    assert to_npy(value) is None


def test_lists_come_from_anything() -> None:
    assert to_list(np.array([[1, 2], [3, 4]], "u1")) == [[1, 2], [3, 4]]
    assert to_list([np.array([1.5]), np.array([2.5])]) == [[1.5], [2.5]]
    assert to_list(np.array(["a", "b"])) == ["a", "b"]
    assert to_list(range(3)) == [0, 1, 2]


def test_tables_are_asked_for_their_numbers() -> None:
    class Table:
        def to_numpy(self) -> np.ndarray:
            return np.ones((2, 2))

    assert to_list(Table()) == [[1.0, 1.0], [1.0, 1.0]]
    assert np.array_equal(np.load(io.BytesIO(to_npy(Table()) or b"")), np.ones((2, 2)))
