"""The Python client against a running system."""

import itertools
from typing import Any

import numpy as np
import pytest

from client import Client, Dataset, Job, JobError, NudgeError, UnreachableError
from tests.client.conftest import DIGITS, SAMPLES

NETWORK: list[Any] = [{"type": "dense", "units": 8}, "tanh", {"type": "dense", "units": 3}]


def train_iris(nudge: Client, iris: Dataset, **more: Any) -> Job:
    fields: dict[str, Any] = {"dataset": iris, "network": NETWORK, "loss": "cross_entropy", "epochs": 3, "seed": 1}
    return nudge.train(**fields | more)


def test_the_whole_path(nudge: Client, iris: Dataset) -> None:
    job = train_iris(nudge, iris, validation=0.2, epochs=4, name="path")
    epochs = list(job.epochs())
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert all(epoch.train_loss and epoch.validation_accuracy is not None for epoch in epochs)
    assert job.status == "succeeded"
    assert [epoch.epoch for epoch in job.metrics()] == [1, 2, 3, 4]
    assert job.metrics()[-1].train_loss == epochs[-1].train_loss
    assert job.checkpoints()[0].epoch == 4
    answer = job.predict([[5.9, 3.0, 5.1, 1.8], [5.1, 3.5, 1.4, 0.2]], top=2)
    assert answer.predictions is not None
    assert len(answer.outputs) == len(answer.predictions) == 2
    assert answer.predictions[0].label in ("setosa", "versicolor", "virginica")
    assert len(answer.predictions[0].top) == 2
    assert nudge.models.get("path").id == job.record.model
    assert sum(value or 0 for value in answer.outputs[0]) == pytest.approx(1)


def test_events_come_in_order_and_end(nudge: Client, iris: Dataset) -> None:
    job = train_iris(nudge, iris)
    events = list(job)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert events[0].type == "queued"
    assert events[-1].type == "succeeded"
    assert [event.number for event in job.events(after=2)] == list(range(3, len(events) + 1))


def test_nothing_follows_the_last_event(nudge: Client, iris: Dataset) -> None:
    job = train_iris(nudge, iris)
    last = list(job)[-1].number
    assert list(job.events(after=last)) == []


def test_iteration_can_be_left_and_taken_up_again(nudge: Client, iris: Dataset) -> None:
    job = train_iris(nudge, iris, epochs=5)
    first = list(itertools.islice(job, 2))
    rest = list(job.events(after=first[-1].number))
    assert [event.number for event in first + rest] == list(range(1, len(first + rest) + 1))


def test_waiting_ends_with_the_job_or_with_the_time(nudge: Client, digits: Dataset) -> None:
    network = ["flatten", {"type": "dense", "units": 10}, "sigmoid"]
    job = nudge.train(dataset=digits, network=network, loss="quadratic", epochs=1_000_000)
    with pytest.raises(JobError, match="it goes on"):
        job.wait(timeout=0.5)
    job.cancel()
    assert job.wait(timeout=60).status == "cancelled"
    with pytest.raises(JobError, match=r"cancelled.*no model"):
        job.predict([[0]])


def test_an_array_arrives_as_it_is(nudge: Client) -> None:
    x = np.arange(24, dtype="uint8").reshape(6, 2, 2)
    dataset = nudge.datasets.upload(x=x, y=np.array([0, 1, 2, 0, 1, 2]), name="array")
    assert (dataset.rows, dataset.input_shape, dataset.input_dtype) == (6, (2, 2), "uint8")
    assert dataset.target.classes == (0, 1, 2)
    rows = nudge.datasets.rows(dataset.id, offset=1, limit=2)
    assert [(row.row, row.x, row.y) for row in rows] == [(1, [[4, 5], [6, 7]], 1), (2, [[8, 9], [10, 11]], 2)]
    nudge.datasets.delete(dataset.id)
    with pytest.raises(NudgeError) as caught:
        nudge.datasets.get(dataset.id)
    assert caught.value.status == 404


def test_lists_with_labels_of_any_kind(nudge: Client) -> None:
    dataset = nudge.datasets.upload(x=[[0.0, 1], [1, 0], [1, 1]], y=[True, False, True], name="lists")
    assert dataset.target.classes == (False, True)
    assert isinstance(dataset.target.classes[0], bool)
    words = nudge.datasets.upload(x=np.eye(2), y=np.array(["ja", "nein"]), name="words")
    assert words.target.classes == ("ja", "nein")


def test_files_of_a_pair_may_come_in_any_order(nudge: Client, digits: Dataset) -> None:
    again = nudge.datasets.upload(DIGITS[1], DIGITS[0])
    named = nudge.datasets.upload(images=DIGITS[0], labels=DIGITS[1])
    assert again.digest == digits.digest == named.digest
    assert (again.rows, again.input_shape, again.input_dtype) == (1797, (8, 8), "uint8")
    assert named.name == "digits"


def test_options_say_how_to_read(nudge: Client) -> None:
    options = {"target": {"column": "petal_width"}, "columns": {"label": "ignore"}}
    dataset = nudge.datasets.upload(SAMPLES / "iris.csv", options=options)
    assert dataset.target.kind == "real"
    assert dataset.input_shape == (3,)


def test_of_many_bad_rows_the_first_are_shown(nudge: Client) -> None:
    with pytest.raises(NudgeError) as caught:
        nudge.datasets.upload(SAMPLES / "iris.csv", options={"target": {"column": "petal_width"}})
    assert len(caught.value.errors) == 100
    assert str(caught.value).count("\n") == 11
    assert str(caught.value).endswith("... and 140 more")


def test_bad_rows_are_named(nudge: Client, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("bad") / "bad.csv"
    file.write_text("a,b,label\n1,2,x\n1,oops,y\n")
    with pytest.raises(NudgeError) as caught:
        nudge.datasets.upload(file)
    error = caught.value
    assert error.status == 422
    assert error.errors[0].place.startswith("row ")
    assert "column b" in str(error)


def test_a_spec_that_does_not_fit_says_where(nudge: Client, iris: Dataset) -> None:
    with pytest.raises(NudgeError) as caught:
        train_iris(nudge, iris, network=[{"type": "dense", "units": 7}])
    error = caught.value
    assert error.status == 422
    assert error.refused
    assert any(finding.place.startswith("/network/layers/0") for finding in error.errors)
    assert "/network/layers/0" in str(error)
    assert error.type != "about:blank"


def test_an_estimate_stores_nothing(nudge: Client, iris: Dataset) -> None:
    before = [record.id for record in nudge.jobs.list(limit=1)]
    estimate = nudge.jobs.estimate(dataset=iris, network=NETWORK, loss="cross_entropy")
    assert estimate.parameters == 4 * 8 + 8 + 8 * 3 + 3
    assert [record.id for record in nudge.jobs.list(limit=1)] == before


def test_lists_are_walked_page_by_page(nudge: Client, iris: Dataset) -> None:
    jobs = [train_iris(nudge, iris, name="pages", epochs=1) for _ in range(3)]
    page = nudge.jobs.list(name="pages", limit=2)
    assert page.has_more
    rest = nudge.jobs.list(name="pages", limit=2, cursor=page.next_cursor)
    assert [record.id for record in [*page, *rest]] == [job.id for job in reversed(jobs)]
    assert len(list(nudge.datasets)) >= 1


def test_nobody_there_is_said_soon() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(UnreachableError, match="Nobody answers at"):
        client.datasets.list()


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://x", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        Client(url)


def test_answers_that_are_not_nudge_are_told_apart(nudge: Client, url: str) -> None:
    with Client(f"{url}/elsewhere") as client, pytest.raises(NudgeError) as caught:
        client.jobs.list()
    assert caught.value.status == 404


def test_problems_read_as_sentences() -> None:
    def said(detail: str, *errors: dict[str, str], title: str = "") -> str:
        return str(NudgeError(detail, status=422, problem={"title": title, "errors": list(errors)}))

    units = {"pointer": "/units", "detail": "Too many."}
    epochs = {"pointer": "/epochs", "detail": "Too few."}
    assert said("Gone.") == "Gone."
    assert said("/units: Too many.", units) == "/units: Too many."
    assert said("/units: Too many.; /epochs: Too few.", units, epochs, title="It does not fit") == (
        "It does not fit:\n  - /units: Too many.\n  - /epochs: Too few."
    )
    assert said("It does not fit.", units) == "It does not fit.\n  - /units: Too many."
