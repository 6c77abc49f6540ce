import csv
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.schema import ClassTarget, RealTarget
from tests.core.readers.reading import bad_rows, load, packed, refusal

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
# labels that no other reading than as text is possible of
WORDS = TEXT.map(lambda text: "w" + text.strip(" \t\r\n") + "w")


@given(
    st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(FLOATS, min_size=width, max_size=width), min_size=2)),
    st.sampled_from(",;\t|"),
    st.data(),
)
def test_what_the_csv_module_writes_comes_back_exactly(rows, delimiter, data):
    labels = data.draw(st.lists(WORDS, min_size=len(rows), max_size=len(rows)))
    labels[0], labels[1] = "w", "ww"
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow([f"c{i}" for i in range(len(rows[0]))] + ["label"])
    writer.writerows([*map(repr, row), label] for row, label in zip(rows, labels, strict=True))
    result = load(file=file.getvalue(), options={"delimiter": delimiter})
    assert result.x.tobytes() == np.array(rows, dtype=np.float64).tobytes()
    assert result.labels == labels


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiter_header_and_line_ends_are_found_out(delimiter, header, end):
    rows = ([["a", "b", "species"]] if header else []) + [["1.5", "-2", "x"], ["3e2", ".5", "y"]]
    content = end.join(delimiter.join(row) for row in rows)
    result = load(file=content)
    assert result.x.tolist() == [[1.5, -2], [300, 0.5]]
    assert result.labels == ["x", "y"]
    assert [column.name for column in result.schema.columns] == (["a", "b", "species"] if header else [])


def test_a_byte_order_mark_blank_lines_spaces_and_gzip_do_not_matter():
    content = b"\xef\xbb\xbfa, b ,label\n\n 1 ,\t2, x\n\n3,4,y\n\n"
    for form in (content, packed(content)):
        result = load(file=form)
        assert result.x.tolist() == [[1, 2], [3, 4]]
        assert result.labels == ["x", "y"]
        assert [column.name for column in result.schema.columns] == ["a", "b", "label"]


@pytest.mark.parametrize(
    ("header", "options", "target", "features"),
    [
        ("a,label,c", {}, "label", ["a", "c"]),
        ("target,b,c", {}, "target", ["b", "c"]),
        ("a,Y,c", {}, "Y", ["a", "c"]),
        ("y,target,label", {}, "label", ["y", "target"]),
        ("a,b,c", {}, "c", ["a", "b"]),
        ("a,b,c", {"target": {"column": "b"}}, "b", ["a", "c"]),
        ("a,b,c", {"target": {"column": 0}}, "a", ["b", "c"]),
        ("a,b,c", {"target": {"column": -2}}, "b", ["a", "c"]),
        ("a,b,c", {"columns": {"b": "target"}}, "b", ["a", "c"]),
        ("a,b,label", {"columns": {"label": "ignore"}}, "b", ["a"]),
        ("label,0,1", {}, "label", ["0", "1"]),
    ],
)
def test_the_target_is_the_column_asked_for_or_named_so_or_the_last(header, options, target, features):
    result = load(file=f"{header}\n1,2,3\n4,5,6\n", options=options)
    roles = {column.name: column.role for column in result.schema.columns}
    assert [name for name, role in roles.items() if role == "target"] == [target]
    assert [name for name, role in roles.items() if role == "feature"] == features
    names = header.split(",")
    assert result.x.tolist() == [
        [[1, 2, 3][names.index(f)] for f in features],
        [[4, 5, 6][names.index(f)] for f in features],
    ]
    assert result.labels == [[1, 2, 3][names.index(target)], [4, 5, 6][names.index(target)]]


@pytest.mark.parametrize(
    ("cells", "kind", "expected"),
    [
        (["1", "0", "01"], None, ClassTarget(classes=(0, 1))),
        (["true", "False", "true"], None, ClassTarget(classes=(False, True))),
        (["1", "cat", "01"], None, ClassTarget(classes=("01", "1", "cat"))),
        (["1", "2", "2.0"], None, RealTarget(shape=())),
        (["1", "2", "3"], "real", RealTarget(shape=())),
        (["1.5", "2", "2.0"], "class", ClassTarget(classes=(1.5, 2.0))),
        (["1.5", "cat", "2"], "class", ClassTarget(classes=("1.5", "2", "cat"))),
        (["nan", "inf", "1"], "class", ClassTarget(classes=("1", "inf", "nan"))),
        (["-3", "+3", "10"], None, ClassTarget(classes=(-3, 3, 10))),
    ],
)
def test_the_whole_column_says_what_the_target_means(cells, kind, expected):
    result = load(file="a,b\n" + "".join(f"1,{cell}\n" for cell in cells), options={"target": {"kind": kind}})
    assert result.schema.target == expected
    assert type(expected) is not ClassTarget or [type(c) for c in result.schema.target.classes] == [
        type(c) for c in expected.classes
    ]
    if expected.kind == "real":
        assert result.y.tolist() == [float(cell) for cell in cells]


def test_a_float_in_the_last_row_makes_a_million_integers_real():
    content = "x,y\n" + "".join(f"0,{row}\n" for row in range(50_000)) + "0,0.5\n"
    result = load(file=content)
    assert result.schema.target == RealTarget(shape=())
    assert result.y[:-1].tolist() == list(range(50_000))
    assert result.y[-1] == 0.5


def test_several_targets_make_a_wide_real_one_and_other_roles_are_kept():
    content = "a,u,w,g,m,v,note\n1,2,0.5,anna,1,3,hello\n4,5,0,bob,0,6,\n7,8,2,anna,true,9,-\n"
    roles = {"u": "target", "v": "target", "w": "weight", "g": "group", "m": "mask", "note": "ignore"}
    result = load(file=content, options={"columns": roles})
    assert result.x.tolist() == [[1], [4], [7]]
    assert result.schema.target == RealTarget(shape=(2,))
    assert result.y.tolist() == [[2, 3], [5, 6], [8, 9]]
    listed = [(column.name, column.role) for column in result.schema.columns]
    assert listed == [(n, roles.get(n, "feature")) for n in ("a", "u", "w", "g", "m", "v")]
    assert result.side["2"].tolist() == [0.5, 0, 2]
    assert result.side["4"].tolist() == [1, 0, 1]
    groups = result.side["3"]
    assert groups[0] == groups[2] != groups[1]


def test_features_take_the_type_and_the_shape_asked_for():
    content = "0,255,3,4,a\n5,6,7,8,b\n"
    result = load(file=content, options={"dtype": "uint8", "input_shape": [2, 2]})
    assert result.x.dtype == np.uint8
    assert result.x.tolist() == [[[0, 255], [3, 4]], [[5, 6], [7, 8]]]
    assert load(file=content, options={"dtype": "float32"}).x.dtype == np.float32
    error = refusal(load, file=content.replace("255", "256").replace("7", "7.5"), options={"dtype": "uint8"})
    assert bad_rows(error) == [(1, "1"), (2, "2")]
    assert "0 to 255" in str(error)
    assert "1e39 does not fit into float32" in str(
        refusal(load, file=content.replace("255", "1e39"), options={"dtype": "float32"})
    ).replace("1e+39", "1e39")
    assert "holds 9 numbers, but each row has 4" in str(refusal(load, file=content, options={"input_shape": [3, 3]}))


@pytest.mark.parametrize(
    ("cell", "word"),
    [
        ("nan", "not a finite number"),
        ("-inf", "not a finite number"),
        ("Infinity", "not a finite number"),
        ("1e400", "larger than any finite number"),
        ("1_000", "not a plain number"),
        ('"1,000"', "decimal point"),
        ('"1,5"', "decimal point"),
        ("٣", "not a plain number"),
        ("１２", "not a plain number"),
        ("", "is empty"),
        (" ", "is empty"),
        ("0x10", "not a number"),
        ("cat", 'the role "ignore"'),
        ("1\x002", "NUL"),
        ("9007199254740993", "more digits than a float64"),
        ("1" + "0" * 5000, "larger than any finite number"),
        ("0" * 5000 + "9007199254740993", "more digits"),
    ],
)
@pytest.mark.parametrize("place", ["feature", "target"])
def test_what_only_looks_like_a_number_is_refused_with_its_place(cell, word, place):
    row = f"{cell},2" if place == "feature" else f"2,{cell}"
    options = {"target": {"kind": "real"}}
    error = refusal(load, file=f"a,b\n1,2\n1.5,3.5\n{row}\n4,5\n", options=options, format="csv")
    assert bad_rows(error) == [(3, "a" if place == "feature" else "b")]
    assert error.total == 1
    assert word in str(error)
    assert "row 3" in str(error)


@pytest.mark.parametrize("cell", ["nan", "inf", "1_000", "٣", "1e400", '"1,5"', ""])
def test_an_undecided_target_does_not_take_misspelt_numbers_for_words(cell):
    assert bad_rows(refusal(load, file=f"a,b\n1,2\n1,3\n1,{cell}\n")) == [(3, "b")]


def test_numbers_with_a_point_beside_words_are_a_contradiction_to_resolve():
    error = refusal(load, file="a,b\n1,0.5\n1,oops\n1,0.7\n")
    assert 'mixes numbers that have a decimal point with "oops" in row 2' in str(error)
    assert bad_rows(error) == [(2, "b")]


def test_the_first_hundred_bad_rows_are_told_and_all_are_counted():
    content = "a,b,c\n" + "".join(f"{'x' if row % 2 else 1},{'y' if row % 2 else 2},{row % 3}\n" for row in range(1000))
    error = refusal(load, file=content)
    assert bad_rows(error) == [(row, "a") for row in range(2, 202, 2)]
    assert error.total == 500
    assert str(error).startswith('500 rows cannot be read; the first problem is in row 2, column "a"')


def test_reading_stops_where_everything_is_wrong():
    error = refusal(load, file="a,b\n" + "x,1\n" * 50_000)
    assert error.total is None
    assert len(error.errors) == 100
    assert str(error).startswith("At least 10,000 rows")


def test_ragged_rows_keep_their_place_among_the_others():
    error = refusal(load, file="a,b,c\n1,2,0\n1,2\n1,2,1\n1,2,3,4\nx,2,1\n")
    assert bad_rows(error) == [(2, None), (4, None), (5, "a")]
    assert "has 2 cells, but the first one has 3" in error.errors[0].reason


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("\n\n\n", "no rows"),
        ("a,b\n", "no data rows"),
        ("a\n1\n2\n", "options.delimiter"),
        ("a,a,b\n1,2,3\n", 'Two columns have the name "a"'),
        (",a,b\n0,2,3\n", "index=False"),
        ('a,b\n1,"2\n3,4\n', "quotation mark is not closed"),
        ('a,b\n1,"2"x\n3,4\n', "quotation mark"),
        ('a,b\n1,"' + "2" * 200_000 + '"\n', "enormous"),
        ("a,b\n1,x\n2,x\n", "nothing to tell apart"),
        ("a," + "b" * 300 + "\n1,2\n", "shorten it"),
        (b"a,b\n1,caf\xe9\n2,tea\n", "UTF-8"),
        (b"a,b\xe9\n1,2\n2,3\n", "UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        ("a,b\n1," + "x" * 300 + "\n2,y\n", "longer than 256"),
        (b"\x01\x02\x00\x03\xff", "neither text nor"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"\x80\x04\x95\x00", "never opened"),
    ],
)
def test_what_is_no_table_is_told_what_to_do(content, message):
    assert message in str(refusal(load, file=content))


@pytest.mark.parametrize(
    ("options", "message", "pointer"),
    [
        ({"target": {"column": "z"}}, 'There is no column "z"; the columns are "a", "b"', "/options/target/column"),
        ({"target": {"column": 7}}, "no column at position 7", "/options/target/column"),
        ({"columns": {"z": "ignore"}}, 'no column "z"', "/options/columns"),
        ({"columns": {"a": "target"}, "target": {"column": "b"}}, "different targets", "/options/target/column"),
        ({"columns": {"a": "ignore"}}, "No column is left for the features", None),
        ({"columns": {"a": "target", "b": "target"}}, "No column is left for the features", None),
        ({"columns": {"a": "weight", "b": "group"}}, "No column is left for the target", None),
    ],
)
def test_options_that_do_not_fit_the_columns_are_told(options, message, pointer):
    error = refusal(load, file="a,b\n1,2\n3,4\n", options=options)
    assert message in str(error)
    assert [problem.pointer for problem in error.errors] == ([pointer] if pointer else [])


def test_a_label_of_its_own_for_each_row_is_taken_for_a_mistake():
    texts = "a,b\n" + "".join(f"1,name{row}\n" for row in range(200))
    assert "another column" in str(refusal(load, file=texts))
    assert len(load(file=texts, options={"target": {"kind": "class"}}).schema.target.classes) == 200
    numbers = "a,b\n" + "".join(f"1,{row}\n" for row in range(200))
    assert 'set options.target.kind to "real"' in str(refusal(load, file=numbers))


@pytest.mark.parametrize("kind", [None, "class"])
@pytest.mark.parametrize("label", ["{}", "name{}"])
def test_more_than_ten_thousand_classes_are_too_many(kind, label):
    content = "a,b\n" + "".join(f"1,{label.format(row % 10_001)}\n" for row in range(20_010))
    error = refusal(load, file=content, options={"target": {"kind": kind}})
    assert "more than 10,000 different labels" in str(error)
    assert '"real"' in str(error)


def test_side_columns_are_checked_too():
    content = "a,label,w\n1,x,-1\n1,y,many\n1,y,1\n"
    assert bad_rows(refusal(load, file=content, options={"columns": {"w": "weight"}})) == [(1, "w"), (2, "w")]
    assert bad_rows(refusal(load, file=content, options={"columns": {"w": "mask"}})) == [(1, "w"), (2, "w")]


def test_a_mask_may_count_steps():
    content = "a,b,label,m\n1,2,x,2\n1,0,y,0\n1,2,x,true\n"
    result = load(file=content, options={"columns": {"m": "mask"}, "input_shape": [2, 1]})
    assert result.side["3"].tolist() == [2, 0, 1]
    content = "a,b,label,m\n1,2,x,1.5\n1,2,y,-0\n1,2,y,12345678901\n1,2,x,\n1,2,y,2\n1,2,y,3\n"
    error = refusal(load, file=content, options={"columns": {"m": "mask"}})
    assert bad_rows(error) == [(1, "m"), (2, "m"), (3, "m"), (4, "m"), (6, "m")]
    assert error.errors[4].reason == 'The mask "3" is not a number of steps from 0 to 2.'
    error = refusal(load, file=content, options={"columns": {"m": "mask"}, "input_shape": [1, 2]})
    assert bad_rows(error)[4:] == [(5, "m"), (6, "m")]


def test_masks_for_one_step_each_are_0_or_1():
    content = "a,b,label,m,n\n1,2,x,1,0\n1,2,y,false,true\n1,2,y,0,2\n"
    error = refusal(load, file=content, options={"columns": {"m": "mask", "n": "mask"}})
    assert [(e.row, e.column, e.reason) for e in error.errors] == [(3, "n", 'The mask "2" is not 0 or 1.')]


def test_a_first_row_with_a_bad_cell_is_no_header():
    error = refusal(load, file="oops,2,3\n1,2,4\n")
    assert bad_rows(error) == [(1, "0")]


@given(st.floats())
def test_every_float_is_read_exactly_or_refused(value):
    content = f"0,a\n{value!r},b\n"
    if math.isfinite(value):
        assert load(file=content, options={"header": False}).x[1, 0] == value
    else:
        refusal(load, file=content, options={"header": False})
