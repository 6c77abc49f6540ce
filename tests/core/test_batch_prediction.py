"""Predictions of whole datasets: the same file however the run is cut, and what the predictor says of each row."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.batch_prediction import BatchPrediction, RowRefused, check
from core.checkpoint import Checkpoint
from core.data import Dataset
from core.prediction_spec import PredictionSpec
from core.schema import ClassTarget, Column, DataSchema, JsonScalar, RealTarget, Target
from core.spec import SpecError
from core.training import Epoch, fit
from core.training_spec import TrainingSpec

ROWS = 700  # more than are computed together
CLASSES = ("a, b", "d", 'say "c"')


def dataset(target: Target, rows: int = ROWS) -> Dataset:
    draw = np.random.default_rng(5)
    x = draw.normal(size=(rows, 3)).astype(np.float32)
    y = draw.integers(0, target.width, rows).astype(np.int32)
    schema = DataSchema(rows=rows, input_shape=(3,), input_dtype="float32", target=target)
    return Dataset(schema, x, y if isinstance(target, ClassTarget) else draw.normal(size=(rows, *target.shape)))


def model(data: Dataset, loss: str = "cross_entropy", width: int | None = None, **changes: object) -> Checkpoint:
    layers = [{"type": "dense", "units": 5}, {"type": "tanh"}]
    layers += [{"type": "dense", "units": data.schema.target.width if width is None else width}]
    spec = {"dataset": "d", "network": {"layers": layers}, "loss": {"type": loss}, "epochs": 1}
    *_, last = fit(TrainingSpec.model_validate(spec | changes), data)
    assert isinstance(last, Epoch)
    return last.checkpoint()


def asked(**changes: object) -> PredictionSpec:
    return PredictionSpec.model_validate({"dataset": "d", "model": "mdl_1", **changes})


def written(spec: PredictionSpec, model: Checkpoint, data: Dataset, folder: Path, cuts: Sequence[int] = ()) -> bytes:
    """The file, of a run that is begun anew behind each of the places in `cuts`."""
    spool, done = bytearray(), 0
    for cut in (*cuts, None):
        run = BatchPrediction(spec, model, data)
        for piece in run.pieces(done):
            spool += piece.content
            done = piece.done
            if cut is not None and done >= cut:
                break
    (folder / "pieces").write_bytes(spool)
    file = io.BytesIO()
    for _ in run.file.write(folder / "pieces", file):
        pass
    return file.getvalue()


@pytest.mark.parametrize("form", ["csv", "npz", "parquet"])
@pytest.mark.parametrize("target", [ClassTarget(classes=CLASSES), RealTarget(shape=(2,))], ids=["class", "real"])
def test_a_run_that_is_cut_writes_the_same_bytes(form: str, target: Target, tmp_path: Path) -> None:
    data = dataset(target)
    of = model(data) if isinstance(target, ClassTarget) else model(data, "mean_squared_error")
    spec = asked(format=form, top=2, outputs=True, rows=[7, 600])
    whole = written(spec, of, data, tmp_path)
    assert whole == written(spec, of, data, tmp_path, cuts=(1, 300))
    assert whole != written(asked(format=form, top=2, outputs=True, rows=[8, 600]), of, data, tmp_path)


def test_csv_says_what_the_predictor_says(tmp_path: Path) -> None:
    data = dataset(ClassTarget(classes=CLASSES))
    of = model(data)
    text = written(asked(top=3, outputs=True), of, data, tmp_path).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    predictor = BatchPrediction(asked(), of, data).predictor
    outputs = predictor.predict(data.x)
    assert len(rows) == ROWS
    for number, (row, told) in enumerate(zip(rows, predictor.label(outputs, 3), strict=True)):
        assert int(row["row"]) == number
        assert [row["class"], row["class_2"], row["class_3"]] == [guess["class"] for guess in told["top"]]
        chances = [np.float32(row[name]) for name in ("probability", "probability_2", "probability_3")]
        assert chances == [guess["probability"] for guess in told["top"]]
        assert [np.float32(row[f"output_{place}"]) for place in range(3)] == outputs[number].tolist()


def test_npz_and_parquet_hold_the_same_columns(tmp_path: Path) -> None:
    from pyarrow import parquet

    data = dataset(ClassTarget(classes=CLASSES))
    of = model(data)
    changes = {"top": 2, "outputs": True, "rows": [100, 300]}
    archive = np.load(io.BytesIO(written(asked(format="npz", **changes), of, data, tmp_path)))
    content = written(asked(format="parquet", **changes), of, data, tmp_path)
    table = parquet.read_table(io.BytesIO(content)).to_pydict()
    predictor = BatchPrediction(asked(), of, data).predictor
    outputs = predictor.predict(data.x[100:400])
    assert (archive["outputs"] == outputs).all()
    assert table["row"] == archive["row"].tolist() == list(range(100, 400))
    for rank, name in enumerate(("class", "class_2")):
        expected = [told["top"][rank]["class"] for told in predictor.label(outputs, 2)]
        assert table[name] == archive[name].tolist() == expected
    assert table["probability_2"] == archive["probability_2"].tolist() == np.sort(outputs)[:, -2].tolist()
    assert table["output_2"] == outputs[:, 2].tolist()


def test_a_network_of_one_output_names_classes_too(tmp_path: Path) -> None:
    data = dataset(ClassTarget(classes=(False, True)))
    of = model(data, "binary_cross_entropy", width=1)
    rows = written(asked(top=2, outputs=True), of, data, tmp_path).decode().splitlines()
    assert rows[0] == "row,class,probability,class_2,probability_2,output_0"
    for row in rows[1:]:
        _, first, chance, second, other, output = row.split(",")
        assert {first, second} == {"false", "true"}
        assert float(chance) >= float(other)
        assert float(output) == float(chance if first == "true" else other)


@pytest.mark.parametrize(
    ("classes", "cells", "labels"),
    [
        ((1, 2), ["1", "2"], [1, 2]),
        ((0.5, 2.5), ["0.5", "2.5"], [0.5, 2.5]),
        ((1, 2.5), ["1", "2.5"], [1.0, 2.5]),
        (("", "x\ny"), ['""', '"x\ny"'], ["", "x\ny"]),
        ((None, True, 3, "z"), ["", "true", "3", "z"], ["null", "true", "3", '"z"']),
    ],
)
def test_classes_of_every_kind(
    classes: tuple[JsonScalar, ...], cells: list[str], labels: list[object], tmp_path: Path
) -> None:
    data = dataset(ClassTarget(classes=classes), 60)
    of = model(data)
    archive = np.load(io.BytesIO(written(asked(format="npz", top=len(classes)), of, data, tmp_path)))
    text = written(asked(), of, data, tmp_path).decode()
    first = archive["class"].tolist()
    assert set(first) <= set(labels)
    expected = [cells[labels.index(label)] for label in first]
    lines = text.split("\r\n")[1:-1]
    assert [line.split(",", 1)[1].rpartition(",")[0] for line in lines] == expected


def test_rows_that_cannot_be_predicted_are_named() -> None:
    data = dataset(RealTarget(shape=()))
    line = {"layers": [{"type": "dense", "units": 1}]}
    of = model(data, "mean_squared_error", network=line)
    weight = next(tensor for tensor in of.tensors.values() if tensor.shape == (3, 1))
    weight[...] = 2
    data.x[333] = 3e38
    with pytest.raises(RowRefused, match="Row 333 of the dataset: its numbers are so large") as large:
        list(BatchPrediction(asked(rows=[100, 400]), of, data).pieces(0))
    assert "before it with `rows` [100, 233] and those behind it with `rows` [334, 166]." in str(large.value)
    with pytest.raises(RowRefused, match=r"Ask for those behind it with `rows` \[334, 1\]\.$"):
        list(BatchPrediction(asked(rows=[333, 2]), of, data).pieces(0))
    with pytest.raises(RowRefused, match=r"no longer finite\.$"):
        list(BatchPrediction(asked(rows=[333, 1]), of, data).pieces(0))
    words = dataset(ClassTarget(classes=(0, 1)))
    words.x[...] = np.arange(ROWS)[:, None] % 4
    layers = [{"type": "embedding", "size": 4, "dimension": 2}, {"type": "flatten"}, {"type": "dense", "units": 2}]
    of = model(words, network={"layers": layers}, preprocessing={"scale": "none"})
    words.x[20] = 9
    with pytest.raises(RowRefused, match="Row 20 of the dataset: This model knows the whole numbers from 0 to 3"):
        list(BatchPrediction(asked(rows=[10, 50]), of, words).pieces(0))


def test_masks_of_the_dataset_count(tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    lengths = draw.integers(1, 7, 300).astype(np.int32)
    x, y = draw.normal(size=(300, 6, 2)), draw.integers(0, 2, 300).astype(np.int32)
    schema = DataSchema(
        rows=300,
        input_shape=(6, 2),
        input_dtype="float64",
        target=ClassTarget(classes=(0, 1)),
        columns=(Column(name="steps", role="mask"),),
    )
    data = Dataset(schema, x, y, masks=(lengths,))
    of = model(data, network={"layers": [{"type": "gru", "units": 3}, {"type": "dense", "units": 2}]})
    told = written(asked(outputs=True, rows=[5, 290]), of, data, tmp_path)
    x[np.arange(6) >= lengths[:, None]] = 1e6  # padding
    assert written(asked(outputs=True, rows=[5, 290]), of, data, tmp_path) == told
    x[:, 0] += 1
    assert written(asked(outputs=True, rows=[5, 290]), of, data, tmp_path) != told


@pytest.mark.parametrize(
    ("changes", "pointer", "says"),
    [
        ({"rows": [700, 1]}, "/rows", "from 0 to 699"),
        ({"rows": [690, 11]}, "/rows", "pass over 690 and take 10"),
    ],
)
def test_what_cannot_be_predicted_is_refused_at_the_door(changes: dict[str, object], pointer: str, says: str) -> None:
    data = dataset(ClassTarget(classes=CLASSES))
    predictor = BatchPrediction(asked(), model(data), data).predictor
    with pytest.raises(SpecError) as refused:
        check(asked(**changes), predictor, data.schema)
    [(at, detail)] = refused.value.errors
    assert at == pointer
    assert says in detail


def test_without_the_extra_parquet_is_refused() -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"  # as if it were not installed
        "from core.prediction_files import check_form; from core.prediction_spec import PredictionSpec\n"
        "from core.spec import SpecError\n"
        "for form in ('csv', 'npz', 'parquet'):\n"
        "    try: check_form(PredictionSpec(dataset='d', model='mdl_1', format=form))\n"
        "    except SpecError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.startswith("/format: This server writes no Parquet, which needs an extra")
    assert run.stdout.count("\n") == 1


def test_data_of_another_shape_are_refused_at_the_door() -> None:
    data = dataset(ClassTarget(classes=CLASSES))
    predictor = BatchPrediction(asked(), model(data), data).predictor
    other = data.schema.model_copy(update={"input_shape": (2, 2)})
    with pytest.raises(SpecError, match="takes inputs of 3, but those of the dataset are 2 x 2"):
        check(asked(), predictor, other)
    assert json.loads(check(asked(), predictor, data.schema).model_dump_json())["parameters"] == predictor.network.size
