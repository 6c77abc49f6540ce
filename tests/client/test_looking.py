"""Looking into a model from the client and the command line."""

import json
from pathlib import Path

import pytest

from client import Client, Dataset
from client.commands.what_if import _count
from client.models import Model
from client.what_if import Paths
from tests.client.conftest import ROOT, Run


@pytest.fixture(scope="module")
def flowers(url: str, iris: Dataset) -> Model:
    spec = json.loads((ROOT / "examples" / "iris.json").read_text("utf-8"))
    with Client(url) as client:
        job = client.jobs.submit(spec | {"dataset": iris.id, "epochs": 5, "name": "laid-open"})
        job.wait()
        return job.model()


def test_what_if_tells_the_change_and_its_paths(nudge: Client, flowers: Model, iris: Dataset, run: Run) -> None:
    model = nudge.models.get(flowers.id)
    found = model.what_if(0, "weight", (2, 1), 0.01, dataset=iris.id, row=3)
    assert found.predicted == pytest.approx(found.gradient * 0.01)
    assert found.paths is not None
    assert found.paths.total == pytest.approx(found.gradient)
    row = nudge.datasets.rows(iris.id, offset=3, limit=1)[0]
    assert model.what_if(0, "weight", (2, 1), 0.01, input=row.x, target=row.y).measured == found.measured

    asked = ["what-if", model.id, "--layer", 0, "--index", "2,1", "--data", iris.id, "--row", 3]
    shown = run(*asked)
    assert shown.returncode == 0, shown.stderr
    assert f"{found.paths.count} paths from this weight to the cost" in shown.stdout
    assert "w ─▶ 0:1 ─▶" in shown.stdout
    assert json.loads(run(*asked, "--json").stdout)["gradient"] == found.gradient
    line = run("what-if", model.id, "--layer", 0, "--index", "2,1", "--input", json.dumps(row.x), "--target", row.y)
    assert f"{found.gradient:.4g}" in line.stdout


def test_homework_is_marked(nudge: Client, flowers: Model, iris: Dataset, run: Run, tmp_path: Path) -> None:
    model = nudge.models.get(flowers.id)
    rows = {"dataset": iris.id, "rows": [0, 60, 120]}
    found = model.gradient_check(**rows)
    assert found.right
    assert found.marks == ()
    right = [model.what_if(0, "bias", [unit], 0.1, **rows).gradient or 0.0 for unit in range(8)]
    assert model.gradient_check([{"layer": 0, "parameter": "bias", "values": right}], **rows).marks[0].right
    homework = tmp_path / "homework.json"
    homework.write_text(json.dumps([{"layer": 0, "parameter": "bias", "values": [3 * value for value in right]}]))
    words = ["gradient-check", model.id, "--row", 0, "--row", 60, "--row", 120]
    marked = run(*words, "--gradients", homework)
    assert marked.returncode == 1, marked.stderr
    assert "average: This is the sum over the rows" in marked.stdout
    assert (
        json.loads(run(*words, "--gradients", homework, "--json").stdout)["marks"][0]["slips"][0]["name"] == "average"
    )
    assert run(*words).returncode == 0
    homework.write_text("{")
    assert run(*words, "--gradients", homework).returncode == 2


def test_where_kinks_left_nothing_to_compare_nothing_is_called_right(nudge: Client, iris: Dataset, run: Run) -> None:
    zeros = {"type": "dense", "units": 3, "weights": {"type": "zeros"}}  # so that every unit sits at the ReLU's kink
    job = nudge.train(
        dataset=iris,
        network=[zeros, "relu"],
        loss="quadratic",
        optimizer={"type": "sgd", "learning_rate": 1e-30},
        epochs=1,
    )
    job.wait()
    found = job.model().gradient_check(dataset=iris.id, row=0)
    assert found.right is None
    assert [(one.right, one.compared) for one in found.parameters] == [(None, 0)] * 2
    shown = run("gradient-check", job.model().id, "--row", 0)
    assert (shown.returncode, shown.stdout.count("not told"), "right" in shown.stdout) == (1, 2, False)


def test_an_example_that_is_none_is_wrong_usage(run: Run) -> None:
    for words, says in (
        ([], "--input with --target"),
        (["--input", "[1]", "--data", "ds_1"], "needs its --target"),
        (["--target", "1", "--row", "2"], "rows of a dataset bring theirs"),
        (["--row", "5:3"], "names no rows"),
        (["--input", "[1]"], "needs its --target"),
        (["--data", "ds_1"], "Name the example: --row"),
        (["--mask", "[1]", "--row", "2"], "rows of a dataset bring theirs"),
        (["--input", "[1]", "--target", "1", "--mask", "1"], "no list"),
        (["--input", '{"inputs": [[1]], "mask": [[1]]}', "--target", "1", "--mask", "[1]"], "two masks"),
        (["--input", "[1", "--target", "1"], "JSON"),
    ):
        done = run("what-if", "m", "--layer", "0", "--index", "0", *words)
        assert done.returncode == 2, (words, done.stdout, done.stderr)
        assert says in done.stderr, (words, done.stderr)
    assert (
        "write FROM,TO" in run("what-if", "m", "--layer", "0", "--index", "a", "--input", "[1]", "--target", "1").stderr
    )


def test_paths_that_carry_nothing_are_not_listed() -> None:
    path = {"units": [[0, 1]], "factors": [0.0], "contribution": 0.0}
    empty = {"count": 8, "total": 0.0, "absolute": 0.0, "enumerated": 0.0}
    for top in ([], [path]):
        told = _count(Paths.model_validate(empty | {"top": top}), "weight").plain
        assert told == "8 paths from this weight to the cost; nothing goes through any of them."
    one = Paths.model_validate(empty | {"top": [path | {"contribution": 0.5}]})
    assert "the heaviest:" in _count(one, "weight").plain


def test_rows_that_teach_are_looked_for_in_a_part(run: Run, flowers: Model) -> None:
    told = json.loads(run("models", "rows", flowers.id, "--offset", 100, "--count", 5, "--json").stdout)
    assert sorted(row["row"] for row in told) == [100, 101, 102, 103, 104]
