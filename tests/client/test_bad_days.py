"""What the client does when the way to the server breaks."""

import time

import psutil
import pytest

from client import Client, Dataset, NudgeError, UnreachableError
from standalone.system import System
from tests.client.gateway import Gateway

SPEC = {"network": [{"type": "dense", "units": 3}], "loss": "cross_entropy", "epochs": 2}


@pytest.mark.parametrize("fault", [("drop", 0), ("drop", 200), ("refuse", 0), ("busy", 0)])
def test_a_submit_whose_answer_is_lost_makes_one_job(gateway: Gateway, iris: Dataset, fault: tuple[str, int]) -> None:
    name = f"once-{fault[0]}-{fault[1]}"
    gateway.faults = [fault, fault]
    with Client(gateway.url) as client:
        job = client.train(SPEC, dataset=iris, name=name)
        assert [record.id for record in client.jobs.list(name=name)] == [job.id]
    assert not gateway.faults


def test_a_busy_server_is_asked_again_when_it_says(gateway: Gateway) -> None:
    gateway.faults = [("busy", 1)]
    start = time.monotonic()
    with Client(gateway.url) as client:
        client.datasets.list()
    assert time.monotonic() - start >= 1


def test_a_server_that_stays_busy_is_an_error(gateway: Gateway) -> None:
    gateway.faults = [("busy", 0)] * 5
    with Client(gateway.url) as client, pytest.raises(NudgeError, match="Come again") as caught:
        client.datasets.list()
    assert caught.value.status == 503
    assert not caught.value.refused


def test_a_server_that_asks_for_an_hour_is_an_error_at_once(gateway: Gateway) -> None:
    gateway.faults = [("busy", 3600)]
    with Client(gateway.url) as client, pytest.raises(NudgeError):
        client.datasets.list()
    assert len(gateway.requests) == 1


def test_an_upload_is_not_sent_twice_when_it_may_have_arrived(gateway: Gateway, nudge: Client) -> None:
    gateway.faults = [("drop", 0)]
    with Client(gateway.url) as client, pytest.raises(UnreachableError, match="broke"):
        client.datasets.upload(x=[[1.0], [2.0]], y=[0, 1], name="fragile")
    assert sum(b"POST" in request for request in gateway.requests) == 1


def test_an_upload_of_a_file_is_sent_again_whole_to_a_busy_server(gateway: Gateway) -> None:
    gateway.faults = [("busy", 0)]
    with Client(gateway.url) as client:
        dataset = client.datasets.upload("samples/iris.csv", name="again")
    assert dataset.rows == 150


def test_events_go_on_after_the_connection_broke(gateway: Gateway, nudge: Client, iris: Dataset) -> None:
    job = nudge.train(SPEC, dataset=iris, epochs=8)
    whole = list(job)
    # The first connection lives long enough to tell of the job, and breaks within its events.
    gateway.faults = [("drop", 3000), ("drop", 900), ("busy", 0), ("refuse", 0), ("drop", 1)]
    with Client(gateway.url) as client:
        broken = list(client.jobs.get(job.id))
    assert not gateway.faults
    assert broken == whole
    assert any(b"last-event-id: 0" not in request.lower() for request in gateway.requests if b"/events" in request)


def test_a_server_that_dies_is_waited_for(system: System, nudge: Client, digits: Dataset) -> None:
    network = ["flatten", {"type": "dense", "units": 10}]
    job = nudge.train(dataset=digits, network=network, loss="cross_entropy", epochs=1_000_000)
    numbers = []
    killed = 0
    for event in job:
        numbers.append(event.number)
        if len(numbers) == 10:
            (server,) = (child for child in psutil.Process(system.pid).children() if "service" in child.cmdline())
            server.kill()
            killed = event.number
        if killed and event.number > killed + 500:
            break
    assert numbers == list(range(1, len(numbers) + 1))
    assert job.cancel().wait(60).status == "cancelled"


def test_events_of_no_job_are_an_error(nudge: Client, iris: Dataset) -> None:
    job = nudge.train(SPEC, dataset=iris)
    job.wait()
    job.delete()
    with pytest.raises(NudgeError) as caught:
        list(job)
    assert caught.value.status == 404
