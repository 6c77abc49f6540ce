import io
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.readers import ReadLimits, ReadOptions, TooLarge
from core.readers.draft import Draft
from core.readers.parquet_table import read_table
from core.schema import ClassTarget, RealTarget
from tests.core.readers.reading import Read, bad_rows, load, refusal


def parquet(row_group_size=None, **columns) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, row_group_size=row_group_size)
    return file.getvalue()


def load_here(file: bytes, options=None) -> Read:
    """Read in this process, which is quicker than in the one made for it."""
    with tempfile.TemporaryDirectory() as name:
        path, into = Path(name) / "file", Path(name) / "into"
        path.write_bytes(file)
        into.mkdir()
        with Draft(into, ReadLimits()) as draft:
            schema = read_table(path, draft, ReadOptions.model_validate(options or {}))
        (into / "schema.json").write_text(schema.model_dump_json())
        return Read(into)


def column(values, dtype) -> pa.Array:
    return pa.array(np.array(values, dtype))


@pytest.mark.parametrize(
    ("types", "stored"),
    [
        (["uint8", "uint8"], "uint8"),
        (["uint8", "int16"], "float32"),
        (["float16", "float32"], "float32"),
        (["bool", "uint8"], "float32"),
        (["uint8", "int64"], "float64"),
        (["float32", "float64"], "float64"),
    ],
)
def test_numbers_come_back_in_the_narrowest_common_type(types, stored):
    result = load_here(
        file=parquet(a=column([1, 0, 1], types[0]), b=column([0, 1, 1], types[1]), label=["x", "y", "x"])
    )
    assert result.schema.input_dtype == stored
    assert result.x.tolist() == [[1, 0], [0, 1], [1, 1]]
    assert result.labels == ["x", "y", "x"]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pa.array([1, 0, 1]), None, ClassTarget(classes=(0, 1))),
        (pa.array([True, False, True]), None, ClassTarget(classes=(False, True))),
        (pa.array([0.5, 1, 2]), None, RealTarget(shape=())),
        (pa.array([0.5, 1, 2]), "class", ClassTarget(classes=(0.5, 1.0, 2.0))),
        (pa.array([1, 0, 1]), "real", RealTarget(shape=())),
        (pa.array(["b", "a", "b"]).dictionary_encode(), None, ClassTarget(classes=("a", "b"))),
    ],
)
def test_the_type_of_the_target_says_what_it_means(values, kind, expected):
    result = load_here(file=parquet(y=values, a=[1.0, 2, 3]), options={"target": {"kind": kind}})
    assert result.schema.target == expected
    wanted = values.to_pylist()
    assert (result.labels if expected.kind == "class" else result.y.tolist()) == wanted


def test_many_rows_and_row_groups_and_roles():
    n = 300_000
    content = parquet(
        row_group_size=70_000, a=np.arange(n) % 1000, u=np.arange(n) * 0.5, v=np.arange(n), w=np.ones(n), t=["x"] * n
    )
    roles = {"u": "target", "v": "target", "w": "weight", "t": "ignore"}
    result = load(file=content, options={"columns": roles})
    assert np.array_equal(result.x[:, 0], np.arange(n) % 1000)
    assert np.array_equal(result.y, np.stack([np.arange(n) * 0.5, np.arange(n)], axis=1))
    assert result.side["3"].sum() == n


def test_bad_cells_are_told_by_row_and_column():
    content = parquet(a=[1.0, None, 3, 4], b=[1, 2, 2**53 + 1, 4], f=[True, None, False, True], y=[1, 2, 1, None])
    assert bad_rows(refusal(load, file=content)) == [(2, "a"), (3, "b"), (4, "y")]
    assert bad_rows(refusal(load_here, file=parquet(a=[1.0, np.nan], y=[0, 1]))) == [(2, "a")]
    assert bad_rows(refusal(load_here, file=parquet(a=[1.0, 2], y=[None, "a"]))) == [(1, "y")]
    masked = parquet(a=[1.0, 2, 3], b=[1, 2, 3], m=[3, 2, 0], y=[0, 1, 0])
    assert bad_rows(refusal(load_here, file=masked, options={"columns": {"m": "mask"}})) == [(1, "m")]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (parquet(a=["x", "y"], label=[0, 1]), 'The column "a" of type string holds no numbers'),
        (parquet(a=[[1, 2], [3, 4]], label=[0, 1]), "holds no numbers"),
        (parquet(a=[1, 2], b=["x", "y"], c=[1, 2]), 'role "ignore"'),
        (parquet(a=[1, 2], label=[b"x", b"y"]), 'The column "label" of type binary cannot be a target'),
        (parquet(a=[1, 2], label=["x", "y"]).replace(b"label", b"\xffabel"), "damaged"),
        (parquet(label=[0, 1]), "No column is left for the features"),
        (parquet(a=pa.array([], "f8"), label=pa.array([], "i8")), "no rows"),
        (b"PAR1" + bytes(100) + b"PAR1", "damaged"),
        (parquet(a=[1, 2], label=[0, 1])[:-30], "damaged"),
    ],
)
def test_what_is_no_table_of_numbers_is_told(content, word):
    assert word in str(refusal(load_here, file=content))


def test_enormous_tables_are_refused_by_their_footer():
    content = parquet(a=np.zeros(3_000_000, "uint8"), label=np.arange(3_000_000, dtype="uint8") % 2)
    with pytest.raises(TooLarge, match="suspiciously many cells"):
        load(file=content, limits=ReadLimits(free_bytes=1000))
    with pytest.raises(TooLarge, match="max_bytes"):
        load(file=content, limits=ReadLimits(max_bytes=1_000_000))
    with pytest.raises(TooLarge, match="smaller row groups"):
        load(file=content, limits=ReadLimits(max_part_bytes=100))


def test_a_file_that_makes_the_library_abort_is_only_damaged():
    whole = parquet(a=[1, 2, 3], b=[1.0, 2, 3], label=["x", "y", "x"])
    # The column becomes a required one, which contradicts its histogram of levels: an uncaught exception in C++.
    broken = whole.replace(b"%\x02\x18\x01a", b"%\x00\x18\x01a")
    assert broken != whole
    assert "damaged" in str(refusal(load, file=broken))
    assert load(file=whole).labels == ["x", "y", "x"]


def test_without_the_extra_its_name_is_told(tmp_path: Path):
    (tmp_path / "table.parquet").write_bytes(parquet(a=[1, 2], label=[0, 1]))
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"  # as if it were not installed
        "from pathlib import Path; from core.readers import read, DataError\n"
        "try: read({'file': Path(sys.argv[1])}, Path(sys.argv[2]))\n"
        "except DataError as error: print(error)\n"
    )
    (tmp_path / "into").mkdir()
    run = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "table.parquet", tmp_path / "into"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "nudge-training[parquet]" in run.stdout
