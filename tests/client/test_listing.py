"""Lists and rows on the command line: how many, and which numbers they bear."""

import json

import pytest

from client import Dataset
from client.commands.listing import listed
from client.schemas import Page
from client.terminal import Terminal
from tests.client.conftest import Run


def _ask(limit: int, cursor: str | None) -> Page[int]:
    """500 numbers, 200 at once at most."""
    start = int(cursor or 0)
    end = min(start + limit, 500)
    assert limit <= 200
    return Page(data=[*range(start, end)], has_more=end < 500, next_cursor=str(end) if end < 500 else None)


@pytest.mark.parametrize(("limit", "more"), [(20, True), (450, True), (500, False), (900, False)])
def test_pages_are_joined_and_more_is_told(limit: int, more: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(Terminal(), _ask, limit) == [*range(min(limit, 500))]
    told = capsys.readouterr()
    assert (told.out, "There are more than these" in told.err) == ("", more)


def test_a_list_that_is_cut_says_so(run: Run, iris_model: str, digits: Dataset) -> None:
    cut = run("datasets", "list", "--limit", "1", "--json")
    assert len(json.loads(cut.stdout)) == 1
    assert "There are more than these 1: --limit" in cut.stderr
    for noun in ("datasets", "jobs", "models", "weights"):
        whole = run(noun, "list", "--limit", "1000")
        assert (whole.returncode, whole.stderr) == (0, "")
    assert iris_model in run("models", "list", "--limit", "1000").stdout


def test_predictions_bear_the_numbers_of_their_rows(run: Run, iris: Dataset, iris_model: str) -> None:
    def numbers(*words: str) -> list[str]:
        done = run("predict", iris_model, *words)
        assert done.returncode == 0, done.stderr
        return [line.partition(":")[0] for line in done.stdout.splitlines()]

    assert numbers("--dataset", iris.id, "--rows", "148:160") == ["148", "149"]
    assert numbers("--input", json.dumps([[5.9, 3.0, 5.1, 1.8]] * 5), "--rows", "3:") == ["3", "4"]
    assert numbers("--input", "[[5.9, 3.0, 5.1, 1.8]]") == ["0"]
