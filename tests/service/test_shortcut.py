"""Predictions that are answered at once, beside the same ones answered the usual way."""

import json
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.infrastructure.processes import eventually
from tests.service.conftest import OpenHouse
from tests.service.house import House

# The server reads this header and does as without it, only not at once.
USUAL = "Content-Encoding: identity\r\n"
JSON = "Content-Type: application/json\r\n"
PLAIN = "Content-Type: text/plain\r\n"


class Answer(NamedTuple):
    """What came back; `headers` in lower case, without the date."""

    status: int
    headers: dict[str, str]
    body: bytes


def request(path: str, body: bytes | str, more: str = JSON, method: str = "POST") -> bytes:
    """A request as bytes."""
    content = body.encode() if isinstance(body, str) else body
    return (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}Content-Length: {len(content)}\r\n\r\n".encode()
        + content
    )


class Client:
    """One connection."""

    def __init__(self, house: House) -> None:
        self.socket = socket.create_connection(("127.0.0.1", house.port), timeout=60)
        self._left = b""

    def answer(self) -> Answer:
        """The next answer."""
        while b"\r\n\r\n" not in self._left:
            self._more()
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._left) < length:
            self._more()
        body, self._left = self._left[:length], self._left[length:]
        headers.pop("date", None)
        return Answer(int(line.split()[1]), headers, body)

    def ask(self, sent: bytes) -> Answer:
        """Send one request and take its answer."""
        self.socket.sendall(sent)
        return self.answer()

    def _more(self) -> None:
        part = self.socket.recv(65536)
        assert part, f"closed after {self._left!r}"
        self._left += part


@pytest.fixture
def client(house: House) -> Iterator[Client]:
    """A connection to the shared server."""
    found = Client(house)
    with found.socket:
        yield found


@pytest.fixture(scope="module")
def model(house: House, dataset: str) -> str:
    """A model of two inputs that is soon beyond all numbers."""
    layers = [{"type": "expression", "expression": "x * x * x * x"}, {"type": "dense", "units": 2}]
    return house.train(house.submit(dataset, network={"layers": layers}))


@pytest.fixture(scope="module")
def path(model: str) -> str:
    """Where it predicts."""
    return f"/v1/models/{model}/predict"


@pytest.fixture(scope="module")
def paths(house: House, model: str, path: str) -> list[str]:
    """All the ways to ask it."""
    found = house.http.get(f"/v1/models/{model}").json()
    named = f"/v2/models/{found['name']}"
    return [path, f"{named}/infer", f"{named}/versions/{found['version']}/infer"]


def at_once(house: House) -> int:
    """How many requests have been answered at once."""
    (count,) = re.findall(r"^nudge_http_at_once_total (\d+)", house.http.get("/metrics").text, re.MULTILINE)
    return int(count)


def all_at_once(house: House, count: int, ask: Callable[[], object]) -> None:
    """So many of the requests that `ask` sends are answered at once, unless the model must just be asked for again."""

    def asked() -> bool:
        before = at_once(house)
        ask()
        return at_once(house) == before + count

    eventually(asked, 10, f"{count} requests answered at once")


def tensors(rows: Sequence[Sequence[float]], **more: Any) -> str:
    """A request of the Open Inference Protocol."""
    data = [number for row in rows for number in row]
    return json.dumps(
        {"inputs": [{"name": "input", "shape": [len(rows), 2], "datatype": "FP64", "data": data}], **more}
    )


def test_plain_predictions_are_answered_at_once(house: House, path: str, paths: list[str], client: Client) -> None:
    bodies = [json.dumps({"inputs": [[1, 0.5]], "top": 2})] + [tensors([[1, 0.5]])] * 2
    for path_, body in zip(paths, bodies, strict=True):
        usual = client.ask(request(path_, body, JSON + USUAL))
        assert usual.status == 200
        assert client.ask(request(path_, body)) == usual
        all_at_once(house, 1, partial(client.ask, request(path_, body)))
        before = at_once(house)
        for more in (USUAL + JSON, PLAIN + JSON, JSON + JSON):
            client.ask(request(path_, body, more))
        assert at_once(house) == before


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**64), 2**64)
rows = st.lists(st.lists(numbers, min_size=2, max_size=2) | st.lists(numbers, max_size=3), max_size=4)
bodies = st.one_of(
    st.builds(lambda rows, top: json.dumps({"inputs": rows, "top": top}), rows, st.integers(-1, 4)),
    st.builds(
        lambda rows, more: tensors(rows, **more), rows, st.sampled_from([{}, {"id": "7"}, {"outputs": []}, {"x": 1}])
    ),
    st.builds(lambda rows: json.dumps({"inputs": rows}) + "x", rows),
    st.text(max_size=20).filter(lambda text: text.isascii()),
)
kinds = st.sampled_from(
    [JSON, "", PLAIN, JSON + JSON, JSON + PLAIN, PLAIN + JSON, JSON + "Origin: http://evil.example\r\n"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 2), bodies, kinds, st.sampled_from(["", "?top=3", "/"]))
def test_nobody_can_tell_which_way_it_went(
    paths: list[str], client: Client, place: int, body: str, kind: str, behind: str
) -> None:
    sent = paths[place] + behind
    usual = client.ask(request(sent, body, kind + USUAL))
    assert client.ask(request(sent, body, kind)) == usual


def test_binary_tensors_too(house: House, paths: list[str], client: Client) -> None:
    for dtype, name in (("<f4", "FP32"), ("<f8", "FP64"), ("u1", "UINT8")):
        content = np.array([[1, 2], [3, 0]], dtype).tobytes()
        given = {"name": "input", "shape": [2, 2], "datatype": name, "parameters": {"binary_data_size": len(content)}}
        head = json.dumps({"inputs": [given], "parameters": {"binary_data_output": True}}).encode()
        more = f"Inference-Header-Content-Length: {len(head)}\r\n"
        usual = client.ask(request(paths[1], head + content, more + USUAL))
        assert client.ask(request(paths[1], head + content, more)) == usual
        all_at_once(house, 1, partial(client.ask, request(paths[1], head + content, more)))
        assert "inference-header-content-length" in usual.headers
        wrong = client.ask(request(paths[1], head + content[:-1], more))
        assert wrong.status == 422, wrong


def together(house: House, sent: list[bytes], before: Sequence[bytes] = ()) -> list[Answer]:
    """The answers to requests that all arrive in one turn of the server's event loop, right after those `before`."""
    with ExitStack() as stack:
        clients = [Client(house) for _ in sent]
        for one in clients:
            stack.enter_context(one.socket)
        warm = [one.ask(request("/livez", "", "", "GET")) for one in clients]
        warm += [clients[0].ask(one) for one in before]
        assert all(answer.status == 200 for answer in warm)
        house.server.send(signal.SIGSTOP)
        try:
            for one, content in zip(clients, sent, strict=True):
                one.socket.sendall(content)
        finally:
            house.server.send(signal.SIGCONT)
        return [one.answer() for one in clients]


def test_those_that_arrive_together_get_their_own_answers(house: House, paths: list[str], client: Client) -> None:
    huge = json.dumps({"inputs": [[1e12, 1]]})  # what comes of it is no longer finite
    bodies = [json.dumps({"inputs": [[n, 1]] * (n % 3 + 1), "top": n % 2 + 1}) for n in range(8)]
    sent = [request(paths[0], body) for body in [*bodies, huge]] + [
        request(paths[1], tensors([[n, 2]])) for n in range(4)
    ]
    sent += [request(paths[0], "{"), request(paths[0], bodies[0], "")]
    known = [request(paths[0], bodies[0], JSON + USUAL), request(paths[1], tensors([[1, 2]]), USUAL)]
    alone = [client.ask(one) for one in sent]
    assert [answer.status for answer in alone] == [200] * 8 + [422] + [200] * 4 + [400, 415]
    assert together(house, sent) == alone
    # The one that is refused sends its group the usual way, so that it alone is refused.
    all_at_once(house, 12, lambda: together(house, sent[:8] + sent[9:], known))


def test_requests_in_a_row_are_answered_in_their_order(house: House, paths: list[str], client: Client) -> None:
    body = json.dumps({"inputs": [[1, 0.5]]})
    sent = [
        request(paths[0], body),
        request(paths[0], "{"),
        request("/livez", "", "", "GET"),
        request(paths[0], json.dumps({"inputs": [[3, 2]]})),
        request(paths[1], tensors([[1, 0.5]])),
        request("/v1/models/mdl_none", "", "", "GET"),
        request(paths[0], body, JSON + USUAL),
        request(paths[0], body),
    ]
    alone = [client.ask(one) for one in sent]
    assert [answer.status for answer in alone] == [200, 400, 200, 200, 200, 404, 200, 200]
    client.socket.sendall(b"".join(sent))
    assert [client.answer() for _ in sent] == alone


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.data())
def test_it_does_not_matter_how_the_bytes_arrive(house: House, paths: list[str], data: st.DataObject) -> None:
    sent = [
        request(paths[0], json.dumps({"inputs": [[1, 0.5]], "top": 2})),
        request(paths[0], json.dumps({"inputs": [[1, "0.5"]]})),
        request(paths[1], tensors([[1, 0.5]])),
    ]
    client = Client(house)
    with client.socket:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        alone = [client.ask(one) for one in sent]
        whole = b"".join(sent)
        cuts = sorted(data.draw(st.lists(st.integers(1, len(whole) - 1), max_size=6, unique=True)))
        for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
            client.socket.sendall(whole[start:stop])
            time.sleep(data.draw(st.sampled_from([0, 0.001])))
        assert [client.answer() for _ in sent] == alone


def test_a_body_that_comes_slowly_is_waited_for(house: House, path: str, client: Client) -> None:
    sent = request(path, json.dumps({"inputs": [[1, 0.5]]}))
    quick, before = client.ask(sent), at_once(house)
    client.socket.sendall(sent[:-5])
    time.sleep(0.4)
    client.socket.sendall(sent[-5:])
    assert client.answer() == quick
    assert at_once(house) == before
    all_at_once(house, 1, partial(client.ask, sent))
    client.socket.sendall(sent[:-5])
    assert client.answer().status == 408


def test_a_client_that_leaves_within_a_body_disturbs_nobody(open_house: OpenHouse) -> None:
    house = open_house()
    model = house.train(house.submit(house.add_dataset()))
    path, body = f"/v1/models/{model}/predict", json.dumps({"inputs": [[1, 0.5]]})
    for whole in (False, True) * 3:
        one = Client(house)
        with one.socket:
            assert one.ask(request(path, body)).status == 200
            sent = request(path, body)
            one.socket.sendall(sent if whole else sent[:-5])
    time.sleep(0.3)  # longer than a body is waited for
    assert house.http.post(path, json={"inputs": [[1, 0.5]]}).status_code == 200
    assert "Traceback" not in house.server.last_words(100_000)
    assert "ERROR" not in house.server.last_words(100_000)


def test_clients_may_ask_before_they_send_and_may_close(path: str, client: Client) -> None:
    sent = request(path, json.dumps({"inputs": [[1, 0.5]]}), JSON + "Expect: 100-continue\r\n")
    head, _, body = sent.partition(b"\r\n\r\n")
    client.socket.sendall(head + b"\r\n\r\n")
    assert client.answer().status == 100
    assert client.ask(body).status == 200
    last = client.ask(request(path, json.dumps({"inputs": [[1, 0.5]]}), JSON + "Connection: close\r\n"))
    assert (last.status, last.headers["connection"]) == (200, "close")
    assert client.socket.recv(1) == b""


def test_what_is_not_http_closes_behind_the_answers_before_it(path: str, client: Client) -> None:
    client.socket.sendall(request(path, json.dumps({"inputs": [[1, 0.5]]})) + b"\x01\x02\r\n\r\n")
    assert client.answer().status == 200
    assert client.answer().status == 400
    assert client.socket.recv(1) == b""


def test_unknown_hosts_are_refused(path: str, client: Client) -> None:
    sent = request(path, json.dumps({"inputs": [[1, 0.5]]})).replace(b"Host: localhost", b"Host: evil.example")
    assert client.ask(sent).status == 421


def test_a_body_on_its_way_is_answered_before_the_server_stops(open_house: OpenHouse) -> None:
    house = open_house()
    model = house.train(house.submit(house.add_dataset()))
    path = f"/v1/models/{model}/predict"
    with ExitStack() as stack:
        half, whole = Client(house), Client(house)
        stack.enter_context(half.socket)
        stack.enter_context(whole.socket)
        assert whole.ask(request(path, json.dumps({"inputs": [[1, 0.5]]}))).status == 200
        sent = request(path, json.dumps({"inputs": [[1, 0.5]]}))
        house.server.send(signal.SIGSTOP)
        half.socket.sendall(sent[:-5])
        whole.socket.sendall(sent)
        house.server.send(signal.SIGTERM)
        house.server.send(signal.SIGCONT)
        assert whole.answer().status == 200
        time.sleep(0.05)
        half.socket.sendall(sent[-5:])
        assert half.answer().status == 200
    eventually(lambda: house.server.returncode is not None, 30, "the end of the server")


def test_the_limits_of_the_server_hold(open_house: OpenHouse) -> None:
    house = open_house(NUDGE_MAX_BODY_BYTES="1024", NUDGE_MAX_PREDICT_ROWS="3", NUDGE_MAX_PREDICT_FLOPS="20")
    layers = {"layers": [{"type": "dense", "units": 2}]}  # ten operations a row
    model = house.train(house.submit(house.add_dataset(), network=layers))
    client = Client(house)
    with client.socket:
        for rows, blanks, status in ((2, 0, 200), (2, 1200, 413), (3, 0, 413), (4, 0, 413)):
            body = json.dumps({"inputs": [[1, 0.5]] * rows}) + " " * blanks
            for _ in range(2):
                assert client.ask(request(f"/v1/models/{model}/predict", body)).status == status


def test_a_connection_waits_for_requests_alone(open_house: OpenHouse) -> None:
    house = open_house(NUDGE_KEEP_ALIVE_S="1", NUDGE_HEARTBEAT_S="60")
    model = house.train(house.submit(dataset := house.add_dataset()))
    path, waiting = f"/v1/models/{model}/predict", house.submit(dataset)
    client = Client(house)
    with client.socket:
        sent = request(path, json.dumps({"inputs": [[1, 0.5]]}))
        assert client.ask(sent).status == 200
        client.socket.sendall(sent + request(f"/v1/jobs/{waiting}?wait=3", "", "", "GET"))
        assert client.answer().status == 200
        assert client.answer().status == 200  # after three seconds, in which nothing was sent
        client.socket.settimeout(20)
        assert client.socket.recv(1) == b""


def test_connections_keep_nothing_of_what_they_answered(open_house: OpenHouse) -> None:
    house = open_house()
    path = f"/v1/models/{house.train(house.submit(house.add_dataset()))}/predict"
    padded = request(path, json.dumps({"inputs": [[1, 0.5]]}) + " " * 1_000_000)
    server = psutil.Process(house.server.pid)
    with ExitStack() as stack:
        clients = [Client(house) for _ in range(60)]
        for one in clients:
            stack.enter_context(one.socket)
        for one in clients[:20]:  # so that there is memory to be used again
            assert one.ask(padded).status == 200
        before, used = at_once(house), server.memory_info().rss
        for one in clients:
            assert one.ask(padded).status == 200
        assert at_once(house) > before
        assert server.memory_info().rss < used + 20_000_000


def test_requests_on_their_way_when_the_server_stops_are_answered(open_house: OpenHouse) -> None:
    # They have a moment to arrive, which a machine that is busy elsewhere may let pass.
    assert any(told_that_it_was_the_last(open_house()) for _ in range(3))


def told_that_it_was_the_last(house: House) -> bool:
    """Whether all connections that ask again and again hear of the stop in an answer, and none is cut."""
    path = f"/v1/models/{house.train(house.submit(house.add_dataset()))}/predict"
    sent = request(path, json.dumps({"inputs": [[1, 0.5]]}))
    with ExitStack() as stack:
        clients = [Client(house) for _ in range(8)]
        for one in clients:
            stack.enter_context(one.socket)
            assert one.ask(sent).status == 200
        house.server.send(signal.SIGTERM)
        try:
            while clients:
                answers = [(one, one.ask(sent)) for one in clients]
                clients = [one for one, answer in answers if answer.headers.get("connection") != "close"]
        except (AssertionError, OSError):
            return False
    eventually(lambda: house.server.returncode is not None, 30, "the end of the server")
    return True


def test_what_arrives_late_is_counted_once(house: House, path: str, client: Client) -> None:
    sent = request(path, json.dumps({"inputs": [[1, 0.5]]}))
    for _ in range(3):
        before = counted(house)
        client.socket.sendall(sent[:-5])
        time.sleep(0.05)
        house.server.send(signal.SIGSTOP)
        client.socket.sendall(sent[-5:])
        time.sleep(0.1)  # its patience ends while the rest is there
        house.server.send(signal.SIGCONT)
        assert client.answer().status == 200
        assert counted(house) == before + 1


def counted(house: House) -> int:
    """How many predictions were answered."""
    pattern = r'^nudge_http_requests_total{method="POST",route="/v1/models/{model_id}/predict",status="200"} (\d+)'
    found = re.findall(pattern, house.http.get("/metrics").text, re.MULTILINE)
    return int(found[0]) if found else 0


def test_a_deleted_model_is_gone_at_once(house: House, client: Client) -> None:
    model = house.train(house.submit(house.add_dataset("short-lived")))
    path, body = f"/v1/models/{model}/predict", json.dumps({"inputs": [[1, 0.5]]})
    assert [client.ask(request(path, body)).status for _ in range(2)] == [200, 200]
    assert house.http.delete(f"/v1/models/{model}").status_code == 204
    assert client.ask(request(path, body)).status == 404
