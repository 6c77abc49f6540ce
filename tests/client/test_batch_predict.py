"""Predictions of a whole dataset, from Python and from the command line."""

import csv
import io
import json
from pathlib import Path

import pytest

from client import Client, Dataset, NudgeError
from tests.client.conftest import Run


@pytest.fixture(scope="module")
def trained(url: str, iris: Dataset) -> str:
    """The id of a job whose model is named "batched"."""
    with Client(url) as client:
        layers = [{"type": "dense", "units": 3}]
        return client.train(dataset=iris, network=layers, loss="cross_entropy", epochs=2, name="batched").wait().id


def test_a_dataset_is_predicted_to_a_file(nudge: Client, iris: Dataset, trained: str, tmp_path: Path) -> None:
    job = nudge.batch_predict("batched", iris, top=2, name="by-python")
    path = job.save_predictions(tmp_path / "told.csv")
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert [int(row["row"]) for row in rows] == list(range(iris.rows))
    training = nudge.jobs.get(trained)
    asked = training.predict([nudge.datasets.rows(iris.id, 7, 1)[0].x], top=2).predictions
    assert asked is not None
    assert [rows[7]["class"], rows[7]["class_2"]] == [guess.label for guess in asked[0].top]
    assert (job.record.kind, job.record.progress.rows_done, job.record.progress.rows) == ("predict", 150, 150)
    assert [event.type for event in job][-2:] == ["part", "succeeded"]
    assert job.id in [record.id for record in nudge.jobs.list(kind="predict", limit=200)]
    assert job.id not in [record.id for record in nudge.jobs.list(kind="train", limit=200)]
    with pytest.raises(NudgeError, match="is a training"):
        training.save_predictions(tmp_path / "nothing.csv")
    assert [found.name for found in tmp_path.iterdir()] == ["told.csv"]


def test_rows_are_a_range_or_a_pair(nudge: Client, iris: Dataset, trained: str) -> None:
    for rows in (range(140, 150), (140, 10)):
        assert nudge.batch_predict("batched", iris, rows=rows).record.progress.rows == 10
    with pytest.raises(NudgeError, match="follow one another"):
        nudge.batch_predict("batched", iris, rows=range(0, 10, 2))
    model = nudge.models.get("batched")
    assert model.explain(dataset=iris.id, rows=range(3)).cost == model.explain(dataset=iris.id, rows=[0, 1, 2]).cost
    with pytest.raises(NudgeError, match="at least one picture"):
        model.predict_pictures()


def test_one_command_predicts_and_writes(run: Run, iris: Dataset, trained: str, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    words = ["--data", iris.id, "--format", "csv", "--rows", "10:30", "-o", target, "--name", "by-hand"]
    done = run("batch-predict", "batched", *words)
    assert done.returncode == 0, done.stderr
    assert "stored the predictions up to row 20 of 20" in done.stdout
    assert "by-hand succeeded" in done.stdout
    assert "20 rows predicted" in done.stdout
    assert f"{target.stat().st_size:,} bytes" in done.stdout
    lines = target.read_text().splitlines()
    assert (lines[0], lines[1].split(",")[0], len(lines)) == ("row,class,probability", "10", 21)
    [job] = [
        view
        for view in json.loads(run("jobs", "list", "--kind", "predict", "--json").stdout)
        if view["name"] == "by-hand"
    ]
    again = tmp_path / "again.csv"
    assert run("jobs", "predictions", job["id"], "-o", again).returncode == 0
    assert again.read_bytes() == target.read_bytes()
    assert "rows" in run("jobs", "show", job["id"]).stdout
    assert f"model       {job['spec']['model']}" in run("jobs", "show", job["id"]).stdout
    words = ["batch-predict", "batched", "--data", iris.id, "--format", "csv", "-o", target]
    assert run(*words, "--rows", "140:160").returncode == 0
    assert [line.split(",")[0] for line in target.read_text().splitlines()[1:]] == [*map(str, range(140, 150))]
    refused = run(*words, "--rows", "150:160")
    assert refused.returncode == 2
    assert "there are 150" in refused.stderr
