import numpy as np
import pytest

from core.schema import ClassTarget, RealTarget
from tests.core.readers.reading import inline, refusal


def test_xor_as_classes_and_as_numbers():
    x = [[0, 0], [0, 1], [1, 0], [1, 1]]
    classes = inline(x, [0, 1, 1, 0])
    assert classes.x.dtype == np.float64
    assert classes.x.tolist() == x
    assert classes.schema.target == ClassTarget(classes=(0, 1))
    assert inline(x, [[0], [1], [1], [0]]).schema.target == RealTarget(shape=(1,))
    real = inline(x, [0, 1, 1, 0], {"target": {"kind": "real"}})
    assert (real.schema.target, real.y.tolist()) == (RealTarget(shape=()), [0, 1, 1, 0])


def test_images_keep_their_shape_and_may_be_bytes():
    result = inline([[[0, 255], [1, 2]], [[3, 4], [5, 6]]], ["a", "b"], {"dtype": "uint8"})
    assert result.x.dtype == np.uint8
    assert result.x.shape == (2, 2, 2)


def test_many_rows_are_taken_in_parts():
    x = np.arange(30_000.0).reshape(10_000, 3)
    result = inline(x.tolist(), (x[:, 0] % 7).astype(int).tolist())
    assert np.array_equal(result.x, x)
    assert np.array_equal(result.labels, x[:, 0] % 7)


@pytest.mark.parametrize(
    ("x", "y", "pointer", "word"),
    [
        ([[1, 2], [3, float("inf")]], [0, 1], "/x/1/1", "finite"),
        ([[1, 2], [3, "4"]], [0, 1], "/x/1/1", "without quotes"),
        ([[1, 2], [3, 2**63]], [0, 1], "/x/1/1", "64 bits"),
        ([[[1], [2]], [[3], [None]]], [0, 1], "/x/1/1/0", "null"),
        ([[1, 2], [3]], [0, 1], "/x/1", "another shape"),
        ([[1, 2], 3], [0, 1], "/x/1", "another shape"),
        ([[1, 2], [3, 4]], [0, None], "/y/1", "null"),
        ([[1, 2], [3, 4]], [0, 10**5000], "/y/1", "64 bits"),
        ([[1, 2], [3, 4]], [[0.5], [None]], "/y/1/0", "null"),
        ([[1, 2], [3, 4]], [0], "/y", "x has 2 rows, but y has 1"),
        ([], [], "/x", "no rows"),
        ([[1, 2], [3, 4]], ["a", "\udc00"], "/y/1", "UTF-8"),
    ],
)
def test_problems_point_into_the_body(x, y, pointer, word):
    error = refusal(inline, x, y)
    assert [problem.pointer for problem in error.errors] == [pointer]
    assert word in str(error)


def test_a_byte_that_does_not_fit_points_into_the_body():
    error = refusal(inline, [[1, 2], [3, 256]], [0, 1], {"dtype": "uint8"})
    assert [problem.pointer for problem in error.errors] == ["/x/1/1"]


@pytest.mark.parametrize(
    ("x", "y", "word"),
    [
        ([1, 2, 3], [0, 1, 0], "as a list"),
        ([[], []], [0, 1], "give each row numbers"),
        ([[1], [2]], ["a", "a"], 'the label "a"'),
        ([[1], [2]], [0.5, "a"], "mixes numbers"),
    ],
)
def test_data_of_another_form_are_told(x, y, word):
    assert word in str(refusal(inline, x, y))


def test_columns_cannot_be_chosen_where_there_are_none():
    error = refusal(inline, [[1], [2]], [0, 1], {"target": {"column": "a"}})
    assert [problem.pointer for problem in error.errors] == ["/options"]
