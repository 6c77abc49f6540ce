import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.schema import ClassTarget, RealTarget
from tests.core.readers.reading import bad_rows, load, packed, refusal

INPUTS = arrays.arrays(
    np.float64, arrays.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=4), elements=st.floats(-1e300, 1e300)
).filter(lambda x: len(x) > 1)


def lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@given(INPUTS, st.data())
def test_pairs_of_any_shape_come_back_exactly(x, data):
    y = data.draw(arrays.arrays(np.float64, (len(x), 2, 1), elements=st.floats(-1e300, 1e300)))
    result = load(file=lines({"x": a.tolist(), "y": b.tolist()} for a, b in zip(x, y, strict=True)))
    assert result.schema.input_shape == x.shape[1:]
    assert result.schema.target == RealTarget(shape=(2, 1))
    assert result.x.tobytes() == x.tobytes()
    assert result.y.tobytes() == y.tobytes()


def test_flat_objects_are_columns_in_any_order():
    rows = [{"a": 1, "label": "x", "b": 2.5}, {"b": 4, "a": 3, "label": "y"}]
    result = load(file=packed(lines(rows).encode()))
    assert result.x.tolist() == [[1, 2.5], [3, 4]]
    assert result.labels == ["x", "y"]
    assert [column.name for column in result.schema.columns] == ["a", "label", "b"]


def test_arrays_end_with_the_target():
    result = load(file="[1, 2, true]\n\n[3, 4, false]\n")
    assert result.x.tolist() == [[1, 2], [3, 4]]
    assert result.labels == [True, False]


def test_x_and_y_that_are_numbers_are_columns():
    result = load(file=lines([{"x": 1, "y": 2.5}, {"x": 3, "y": 4}]))
    assert result.x.tolist() == [[1], [3]]
    assert result.y.tolist() == [2.5, 4]


def test_roles_are_for_columns_of_objects_too():
    rows = [{"a": 1, "b": 2.0, "c": 3, "w": 0.5, "g": None}, {"a": 4, "b": 5, "c": 6, "w": 1, "g": None}]
    roles = {"b": "target", "c": "target", "w": "weight", "g": "ignore"}
    result = load(file=lines(rows), options={"columns": roles})
    assert result.y.tolist() == [[2, 3], [5, 6]]
    assert result.side["3"].tolist() == [0.5, 1]


def test_a_mask_counts_no_more_steps_than_there_are():
    content = lines([{"x": 1, "z": 2, "y": "a", "m": steps} for steps in (2, 0, 3)])
    assert bad_rows(refusal(load, file=content, options={"columns": {"m": "mask"}})) == [(3, "m")]


@pytest.mark.parametrize(
    ("labels", "kind", "expected"),
    [
        ([1, "1", True, 0], None, ClassTarget(classes=(True, 0, 1, "1"))),
        ([1, 2.5, 1], None, RealTarget(shape=())),
        ([1, 2.5, 1], "class", ClassTarget(classes=(1, 2.5))),
        ([None, "a", None], "class", ClassTarget(classes=(None, "a"))),
        ([3, 4, 3], "real", RealTarget(shape=())),
        ([2**62, -(2**63), 0], None, ClassTarget(classes=(-(2**63), 0, 2**62))),
        (["ä", "𝔘", ""], None, ClassTarget(classes=("", "ä", "𝔘"))),
    ],
)
def test_labels_are_any_json_scalar_and_kinds_are_kept_apart(labels, kind, expected):
    content = lines({"x": [0], "y": label} for label in labels)
    result = load(file=content, options={"target": {"kind": kind}})
    assert result.schema.target == expected
    if expected.kind == "class":
        assert [(type(a), a) for a in result.labels] == [(type(a), a) for a in labels]
        assert [type(a) for a in result.schema.target.classes] == [type(a) for a in expected.classes]


GOOD = '{"x": [1, 2], "y": 0}\n{"x": [3, 4], "y": 1}\n'


@pytest.mark.parametrize(
    ("line", "column", "word"),
    [
        ('{"x": [1, NaN], "y": 0}', None, "NaN is not JSON"),
        ('{"x": [1, -Infinity], "y": 0}', None, "-Infinity is not JSON"),
        ('{"x": [1, 1e400], "y": 0}', "x[1]", "inf is not a finite number"),
        ('{"x": [9223372036854775808, 2], "y": 0}', "x[0]", "64 bits"),
        ('{"x": [9007199254740993, 2], "y": 0}', "x[0]", "more digits"),
        ('{"x": [' + "9" * 5000 + ', 2], "y": 0}', None, "thousands of digits"),
        ('{"x": [' + "9" * 4000 + ', 2], "y": 0}', "x[0]", "64 bits"),
        ('{"x": [1, "2"], "y": 0}', "x[1]", "without quotes"),
        ('{"x": [1, true], "y": 0}', "x[1]", "write 0 or 1"),
        ('{"x": [1, null], "y": 0}', "x[1]", "null"),
        ('{"x": [1, {}], "y": 0}', "x[1]", "make all rows alike"),
        ('{"x": [1], "y": 0}', "x", "another shape"),
        ('{"x": [[1], [2]], "y": 0}', "x[0]", "make all rows alike"),
        ('{"x": 1, "y": 0}', "x", "another shape"),
        ('{"x": [1, 2]}', None, 'keys "x" and "y"'),
        ('{"x": [1, 2], "y": 0, "z": 1}', None, 'keys "x" and "y"'),
        ('{"x": [1, 2], "y": [0]}', "y", "single value in the first row"),
        ('{"x": [1, 2], "y": null}', "y", "null"),
        ('{"x": [1, 2], "y": "\\ud800"}', "y", "UTF-8"),
        ('{"x": [1, 2], "y": "a\\u0000"}', "y", "NUL"),
        ('{"x": [1, 2], "y": ' + "9" * 30 + "}", "y", "64 bits"),
        ('{"x": [1, 2], "x": [1, 2], "y": 0}', None, 'key "x" is given twice'),
        ('{"x": [1, 2], "y": 0', None, "no row in JSON"),
        ("[1, 2, 0]", None, 'keys "x" and "y"'),
        ("[" * 900 + "]" * 900, None, ""),
        ("[" * 100_000, None, "nested too deep"),
        ('{"x": [1, ' + "[" * 900 + "]" * 900 + '], "y": 0}', "x[1]", ""),
    ],
)
def test_a_bad_line_is_named_with_its_place(line, column, word):
    error = refusal(load, file=GOOD + line + "\n" + GOOD)
    assert bad_rows(error) == [(3, column)]
    assert error.total == 1
    assert word in str(error)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('{"a": 1, "c": 2, "y": 1}', 'The column "b" of the first row is missing'),
        ('{"a": 1, "b": 2, "c": 2, "y": 1}', 'The column "c" is not in the first row'),
        ("[1, 2, 3]", "not of the form of the first"),
        ("7", "not of the form of the first"),
    ],
)
def test_objects_have_the_columns_of_the_first(line, word):
    error = refusal(load, file='{"a": 1, "b": 2, "y": 0}\n' + line + "\n")
    assert bad_rows(error) == [(2, None)]
    assert word in str(error)


def test_bad_utf8_is_named_with_its_row():
    error = refusal(load, file=GOOD.encode() + b'{"x": [1, 2], "y": "caf\xe9"}\n')
    assert bad_rows(error) == [(3, "y")]
    assert "UTF-8" in str(error)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ('{"x": [[1, 2], [3, 4]], "y": [0, 1]}\n', "one JSON document"),
        ("[\n[1, 2],\n[3, 4]\n]\n", "no row in JSON"),
        ('{"x": [], "y": 0}\n', "give each row numbers"),
        ('{"x": ' + "[" * 9 + "1" + "]" * 9 + ', "y": 0}\n', "more than 8 deep"),
        ('"text"\n', "must be a row"),
        ('{"y": 1}\n', "No column is left"),
        ("{}\n", "No column is left"),
        ("[]\n", "No column is left"),
        ("\n \n", "no rows"),
    ],
)
def test_files_of_another_form_are_told(content, word):
    assert word in str(refusal(load, file=content, format="jsonl"))


def test_class_labels_are_no_lists():
    error = refusal(load, file='{"x": [1], "y": [1]}\n', options={"target": {"kind": "class"}})
    assert "one label per row" in str(error)
