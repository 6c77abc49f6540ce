"""Models by name, version and alias, their notes, and what they achieve: with the client and with `nudge models`."""

import json

import click
import pytest

from client import Client, Dataset, Model, NudgeError
from client.commands.row_choice import chosen_rows
from tests.client.conftest import Run


@pytest.fixture(scope="module")
def flowers(url: str, iris: Dataset) -> Model:
    """The second version of a model of irises."""
    with Client(url) as nudge:
        job = nudge.train(
            dataset=iris, name="flowers", network=[{"type": "dense", "units": 3}], loss="cross_entropy",
            optimizer={"type": "adam", "learning_rate": 0.05}, epochs=20,
        )  # fmt: skip
        checkpoint = job.wait(60).record.checkpoint
        assert checkpoint is not None
        return nudge.models.create(checkpoint, "flowers")


def test_an_alias_is_pointed_by_who_saw_it(nudge: Client, flowers: Model) -> None:
    models = nudge.models
    assert models.set_alias("flowers", "seen", 1, new=True).record.aliases == ("seen",)
    with pytest.raises(NudgeError) as refused:
        models.set_alias("flowers", "seen", 2, new=True)
    assert refused.value.status == 412
    tag = models.alias("flowers", "seen").etag
    assert models.set_alias("flowers", "seen", 2, if_match=tag).id == flowers.id
    with pytest.raises(NudgeError) as refused:
        models.remove_alias("flowers", "seen", if_match=tag)
    assert refused.value.status == 412
    assert models.get("flowers@seen").id == models.get("flowers").id == models.get("flowers@2").id == flowers.id
    assert [alias.alias for alias in models.aliases("flowers")][:1] == ["seen"]
    models.remove_alias("flowers", "seen")
    with pytest.raises(NudgeError) as refused:
        models.get("flowers@seen")
    assert refused.value.status == 404


def test_evaluating_a_model(nudge: Client, flowers: Model, iris: Dataset) -> None:
    model = nudge.models.get("flowers@2")
    found = model.evaluate(iris, rows=range(50, 150), top=2)
    assert (found.first_row, found.rows, len(found.costliest)) == (50, 100, 2)
    assert found.confusion_matrix is not None
    assert found.confusion_matrix.classes == iris.target.classes
    assert sum(map(sum, found.confusion_matrix.counts)) == 100
    first, second = found.costliest
    assert first.cost >= second.cost
    [row] = nudge.datasets.rows(iris.id, first.row, 1)
    [said] = model.predict([row.x]).predictions or []
    assert (first.target, first.prediction) == (row.y, said.label)
    assert first.probability == pytest.approx(said.probability, rel=1e-4)
    assert model.evaluate(iris, rows=(50, 100), top=2) == found
    assert model.evaluate(iris.id).rows == 150
    with pytest.raises(NudgeError, match="/rows: The rows must follow one another"):
        model.evaluate(iris, rows=range(0, 10, 2))


def test_evaluating_from_the_command_line(run: Run, flowers: Model, iris: Dataset) -> None:
    done = run("models", "evaluate", "flowers@2", iris.id, "--rows", "100:", "--top", "1")
    assert done.returncode == 0, done.stderr
    assert "rows       50 (100 to 149)" in done.stdout
    assert "is \\ said" in done.stdout
    assert run("models", "evaluate", "flowers", iris.id, "--rows", "150:").returncode == 2


@pytest.mark.parametrize(("rows", "meant"), [("3:5", (3, 5)), (":5", (0, 5)), ("5:", (5, 9)), (":", (0, 9)),
                                             ("7", (7, 8)), ("5:99", (5, 9))])  # fmt: skip
def test_rows_on_the_command_line(rows: str, meant: tuple[int, int]) -> None:
    assert chosen_rows(rows, 9) == range(*meant)


@pytest.mark.parametrize("rows", ["x", "9:", "5:5", "-1:3", "9", "1:2:3", ""])
def test_what_names_no_rows(rows: str) -> None:
    with pytest.raises(click.BadParameter):
        chosen_rows(rows, 9)


def test_the_registry_from_the_command_line(run: Run, flowers: Model) -> None:
    pointed = run("models", "alias", "flowers", "production", "1", "--new")
    assert pointed.returncode == 0, pointed.stderr
    tag = pointed.stdout.split()[-1]
    assert run("models", "alias", "flowers", "production", "2", "--if-match", '"other"').returncode == 4
    assert run("models", "alias", "flowers", "production", "2", "--if-match", tag).returncode == 0
    assert flowers.id in run("models", "aliases", "flowers").stdout
    assert run("models", "notes", "flowers@production", "The one that is used.").stdout == "The one that is used.\n"
    assert "The one that is used." in run("models", "show", "flowers@2").stdout
    assert run("models", "delete", "flowers@2").returncode == 4
    assert run("models", "delete", "flowers").returncode == 2
    assert run("models", "unalias", "flowers", "production").stdout == "Removed flowers@production.\n"
    assert run("models", "delete", "flowers@2").stdout == f"Deleted {flowers.id}, flowers@2.\n"


def test_a_model_of_a_checkpoint_is_changed_by_who_saw_it(run: Run, nudge: Client, flowers: Model) -> None:
    made = run("models", "create", str(flowers.record.checkpoint), "picked", "--notes", "By hand.")
    assert (made.returncode, "picked@1" in made.stdout) == (0, True), made.stderr
    shown = json.loads(run("models", "show", "picked", "--json").stdout)
    assert shown["notes"] == "By hand."
    seen = shown["etag"]
    assert f"etag            {seen}" in run("models", "show", "picked").stdout
    assert run("models", "notes", "picked", "Changed.", "--if-match", seen).stdout == "Changed.\n"
    for words in (["notes", "picked", "Again."], ["delete", "picked"]):
        assert run("models", *words, "--if-match", seen).returncode == 4
    assert run("models", "notes", "picked", "--if-match", seen).returncode == 2
    assert run("models", "delete", "picked", "--if-match", nudge.models.get("picked").etag()).returncode == 0


def test_what_is_compared_and_told_is_chosen(run: Run, nudge: Client, flowers: Model) -> None:
    row = {"dataset": flowers.record.dataset, "row": 3}
    model = nudge.models.get("flowers@1")
    first, second = (
        json.loads(run("gradient-check", model.id, "--row", "3", "--seed", seed, "--json").stdout) for seed in "01"
    )
    assert first == model.gradient_check(seed=0, **row).to_json()
    assert second == model.gradient_check(seed=1, **row).to_json()
    words = ["gradient-check", model.id, "--row", "3", "--layer", "0", "--entries", "0", "--json"]
    some = json.loads(run(*words).stdout)
    assert some == model.gradient_check(layers=[0], entries=0, **row).to_json()
    assert all(
        one["compared"] > other["compared"]
        for one, other in zip(first["parameters"][-2:], some["parameters"], strict=True)
    )
    whole, strongest = (
        json.loads(run("explain", model.id, "--row", "3", "--json", *words).stdout)["layers"][0]["weight_nudge"]
        for words in ([], ["--no-whole"])
    )
    assert (whole["values"] is None, strongest["values"]) == (False, None)
