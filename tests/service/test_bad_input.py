"""Input that must get a 4xx with a problem that names the place and the way out, quickly, and hurt nobody."""

import gzip
import io
import json
import re
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.infrastructure.processes import eventually
from tests.service.conftest import OpenHouse
from tests.service.house import House, is_problem

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def unhurt(house: House) -> Any:
    """Each of these is answered before its client loses patience, and the next request works."""
    yield
    assert house.http.get("/readyz").status_code == 200


def spec_text(dataset: str, changes: dict[str, Any] | None = None) -> str:
    layers = {"layers": [{"type": "dense", "units": 2}]}
    fields = {"dataset": dataset, "network": layers, "loss": {"type": "cross_entropy"}, "batch_size": 4}
    return json.dumps(fields | (changes or {}))


# Each replaces the word "!!" of a sound spec.
BROKEN_JSON = {
    "NaN": ("NaN", "/batch_size"),
    "Infinity": ("-Infinity", "/batch_size"),
    "1e400": ("1e400", "/batch_size"),
    "2^63": ("9223372036854775808", "/batch_size"),
    "2^4096": ("1" + "0" * 1200, "/batch_size"),
    "surrogate": (r'"\ud800"', "/batch_size"),
    "NUL": (r'"\u0000"', "/batch_size"),
    "twice": ('1,"batch_size":2', ""),
    "deep": ("[" * 900 + "]" * 900, "/batch_size/0/0/0/0/0/0/0"),
}


@pytest.mark.parametrize("name", BROKEN_JSON)
def test_broken_values_in_a_spec(house: House, dataset: str, name: str) -> None:
    value, place = BROKEN_JSON[name]
    text = spec_text(dataset, {"batch_size": "!!"}).replace('"!!"', value)
    problem = is_problem(house.http.post("/v1/jobs", content=text, headers=JSON), 422, "refused-value")
    assert problem["errors"][0]["pointer"] == place


@pytest.mark.parametrize("name", BROKEN_JSON)
def test_broken_values_in_inline_data(house: House, name: str) -> None:
    value, _ = BROKEN_JSON[name]
    value = value.replace("batch_size", "name")
    text = '{"name":"broken","x":[[1,2],[3,!!]],"y":[0,1]}'.replace("!!", value if name != "twice" else '4]],"y":[1,1')
    answer = house.http.post("/v1/datasets", content=text, headers=JSON)
    assert answer.status_code in (400, 422)
    is_problem(answer, answer.status_code)


@pytest.mark.parametrize(
    "text", ["", "{", "[1,2", '"text"', "[]", "null", "3", '{"dataset": }', "\x00", "{'dataset': 1}"], ids=range(10)
)
def test_bodies_that_are_no_object(house: House, text: str) -> None:
    answer = house.http.post("/v1/jobs", content=text, headers=JSON)
    assert answer.status_code in (400, 422)
    is_problem(answer, answer.status_code)


def test_bytes_that_are_no_text(house: House) -> None:
    is_problem(house.http.post("/v1/jobs", content=b'{"name":"\xff\xfe"}', headers=JSON), 400, "malformed-json")


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"network": {"layers": [{"type": "dense", "units": 3}]}}, "/network/layers/0", "2"),
        ({"network": {"layers": [{"type": "dens", "units": 2}]}}, "/network/layers/0/type", "dense"),
        ({"network": {"layers": []}}, "/network/layers", ""),
        (
            {"network": {"layers": [{"type": "dense", "units": 2}, {"type": "softmax"}]}},
            "/network/layers/1",
            "softmax",
        ),
        ({"optimizer": {"type": "sgd", "learning_rate": -1}}, "/optimizer/learning_rate", ""),
        ({"optimizer": {"type": "sgd", "learning_rate": "fast"}}, "/optimizer/learning_rate", ""),
        ({"batch_size": 1000}, "/batch_size", "12"),
        ({"batch_size": 0}, "/batch_size", ""),
        ({"epochs": 1.5}, "/epochs", ""),
        ({"epoch": 5}, "/epoch", "no field"),
        ({"loss": {"type": "crossentropy"}}, "/loss/type", "cross_entropy"),
        ({"validation": {"fraction": 1.5}}, "/validation/fraction", ""),
        ({"name": "job_mine"}, "/name", "id"),
        ({"name": "../../etc"}, "/name", ""),
        ({"metadata": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": {}}}}}}}}}}}, "/metadata", ""),
        ({"dataset": 7}, "/dataset", ""),
    ],
    ids=range(16),
)
def test_specs_that_do_not_fit(house: House, dataset: str, changes: dict[str, Any], place: str, words: str) -> None:
    answer = house.http.post("/v1/jobs", content=spec_text(dataset, changes), headers=JSON)
    errors = is_problem(answer, 422, "invalid-spec")["errors"]
    assert place in [error["pointer"] for error in errors]
    assert words in " ".join(error["detail"] for error in errors)
    assert len(house.http.get("/v1/jobs?name=job_mine").json().get("data", [])) == 0


def test_a_network_larger_than_memory_is_refused_by_its_estimate(house: House, dataset: str) -> None:
    layers = [{"type": "dense", "units": 200_000}, {"type": "dense", "units": 200_000}, {"type": "dense", "units": 2}]
    answer = house.http.post("/v1/jobs", content=spec_text(dataset, {"network": {"layers": layers}}), headers=JSON)
    problem = is_problem(answer, 422, "too-much-memory")
    assert problem["memory_bytes"] > problem["limit_bytes"] > 0
    assert "GiB" in problem["detail"]
    assert "NUDGE_MAX_MEMORY_BYTES" in problem["detail"]


def test_a_network_beyond_all_bounds(house: House, dataset: str) -> None:
    layers = [{"type": "dense", "units": 2**31 - 1}] * 3 + [{"type": "dense", "units": 2}]
    answer = house.http.post("/v1/jobs", content=spec_text(dataset, {"network": {"layers": layers}}), headers=JSON)
    is_problem(answer, 422)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs?limit=-1",
        "/v1/jobs?limit=0",
        "/v1/jobs?limit=201",
        "/v1/jobs?limit=9223372036854775808",
        "/v1/jobs?limit=ten",
        "/v1/jobs?limit=１０",
        "/v1/jobs?status=done",
        "/v1/jobs?name=%00",
        "/v1/jobs?cursor=nonsense",
        "/v1/jobs?cursor=MTIzOgA",
        "/v1/jobs?cursor=" + "A" * 300,
        "/v1/datasets?limit=-1",
        "/v1/models?cursor=%00",
        "/v1/jobs/{job}?wait=-1",
        "/v1/jobs/{job}?wait=nan",
        "/v1/jobs/{job}?wait=1e400",
        "/v1/jobs/{job}/events?after=-1",
        "/v1/jobs/{job}/events?after=9223372036854775808",
        "/v1/jobs/{job}/metrics?max_points=1",
        "/v1/jobs/{job}/metrics?max_points=NaN",
        "/v1/datasets/{dataset}/rows?offset=-1",
        "/v1/datasets/{dataset}/rows?offset=9223372036854775808",
    ],
)
def test_parameters_out_of_bounds(house: House, dataset: str, trained: str, path: str) -> None:
    answer = house.http.get(path.format(job=trained, dataset=dataset), headers={"Accept": "application/json"})
    problem = is_problem(answer, 422)
    assert problem["type"] in ("/problems/invalid-parameter", "/problems/invalid-cursor")
    for error in problem.get("errors", []):
        assert not re.search("Input should|String should|valid integer", error["detail"])


@pytest.mark.parametrize("kind", ["jobs", "datasets", "models", "checkpoints"])
@pytest.mark.parametrize(
    "name", ["1", "job_1", "ds_" + "0" * 26, "9223372036854775808", "%00", "%ff", "..%2f..", "job_" + "z" * 5000]
)
def test_ids_that_nothing_has(house: House, kind: str, name: str) -> None:
    is_problem(house.http.get(f"/v1/{kind}/{name}"), 404)


def test_last_event_id_that_is_no_number(house: House, trained: str) -> None:
    for value in ("-1", "x", "9223372036854775808", "1e3"):
        answer = house.http.get(f"/v1/jobs/{trained}/events", headers={"Last-Event-ID": value})
        is_problem(answer, 422, "invalid-parameter")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_wrong_content_types(house: House, dataset: str, kind: str) -> None:
    answer = house.http.post("/v1/jobs", content=spec_text(dataset), headers={"Content-Type": kind})
    is_problem(answer, 415, "wrong-content-type")


def test_wrong_content_types_of_datasets_and_predictions(house: House, model: str) -> None:
    for path in ("/v1/datasets", f"/v1/models/{model}/predict"):
        answer = house.http.post(path, content=b"a,b\n1,2\n", headers={"Content-Type": "text/csv"})
        is_problem(answer, 415, "wrong-content-type")


def test_forms_that_are_none(house: House) -> None:
    forms = {
        "multipart/form-data": (400, b"--x\r\n"),
        "multipart/form-data; boundary=x": (400, b"no form at all"),
        "multipart/form-data; boundary=y": (400, b'--y\r\nContent-Disposition: form-data; name="name"\r\n\r\nabc'),
        "multipart/form-data; boundary=" + "z" * 500: (400, b"--z\r\n"),
        "multipart/form-data; boundary=a": (
            422,
            b'--a\r\nContent-Disposition: form-data; name="nope"\r\n\r\n1\r\n--a--',
        ),
    }
    for kind, (status, content) in forms.items():
        answer = house.http.post("/v1/datasets", content=content, headers={"Content-Type": kind})
        is_problem(answer, status)


def uploads(house: House) -> list[Path]:
    """What uploads have on the disk now."""
    return list((house.folder / "uploads").glob("*/*"))


def raw(house: House, request: bytes, wait_s: float = 60.0) -> bytes:
    """Send bytes as they are and give back what comes within the time."""
    with socket.create_connection(("127.0.0.1", house.port), timeout=wait_s) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = connection.recv(65536)
            if not part:
                break
            answer += part
        return answer


HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def test_no_length_is_an_empty_body(house: House) -> None:
    assert b" 400 " in raw(house, HEAD + b"\r\n")


def test_a_length_that_promises_more_than_comes(house: House) -> None:
    answer = raw(house, HEAD + b'Content-Length: 1000\r\n\r\n{"name":')
    assert b" 408 " in answer
    assert b"application/problem+json" in answer


def test_a_length_that_promises_less_than_comes(house: House) -> None:
    assert b" 400 " in raw(house, HEAD + b'Content-Length: 5\r\n\r\n{"name":"x"}')


@pytest.mark.parametrize("length", [b"-1", b"abc", b"1e3", b"99999999999999999999999", b"5, 6"])
def test_lengths_that_are_none(house: House, length: bytes) -> None:
    answer = raw(house, HEAD + b"Content-Length: " + length + b"\r\n\r\n{}")
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413"))
    assert b"application/problem+json" in answer
    assert house.http.get("/livez").status_code == 200


def test_a_length_beyond_the_limit_is_refused_before_the_body(house: House) -> None:
    answer = raw(house, HEAD + b"Content-Length: 1000000000000\r\n\r\n")
    assert b" 413 " in answer


def test_bodies_are_counted_whatever_they_promise(house: House) -> None:
    def chunks() -> Any:
        for _ in range(100):
            yield b" " * 65536

    for path, limit in (("/v1/jobs", "NUDGE_MAX_BODY_BYTES"), ("/v1/datasets", "NUDGE_MAX_BODY_BYTES")):
        problem = is_problem(house.http.post(path, content=chunks(), headers=JSON), 413, "body-too-large")
        assert problem["limit"] == limit
        assert problem["limit_bytes"] == 2_000_000


def test_uploads_are_counted(house: House) -> None:
    answer = house.http.post("/v1/datasets", data={"name": "big"}, files={"file": b"1,2\n" * 1_000_000})
    assert is_problem(answer, 413, "body-too-large")["limit"] == "NUDGE_MAX_UPLOAD_BYTES"
    assert uploads(house) == []


def npy(header: str) -> bytes:
    text = header.encode() + b" " * (118 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def saved(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def _structured() -> bytes:
    return saved(np.zeros(3, dtype=[("a", "f8"), ("b", "i4")]))


LABELS = saved(np.array([0, 1, 0]))
FILES: dict[str, Callable[[], dict[str, bytes]]] = {
    "terabytes": lambda: {
        "x": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000)}"),
        "y": LABELS,
    },
    "more than 64 bits": lambda: {
        "x": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775808, 2)}"),
        "y": LABELS,
    },
    "object": lambda: {"x": saved(np.array([[1], [None], ["a"]], dtype=object)), "y": LABELS},
    "structured": lambda: {"x": _structured(), "y": LABELS},
    "zip bomb": lambda: {"file": zipped(x=bytes(200_000_000), y=LABELS)},
    "gzip bomb": lambda: {"file": gzip.compress(b"1,2,3\n" * 33_000_000, 9)},
    "no zip": lambda: {"file": b"PK\x03\x04" + bytes(1000)},
    "ragged csv": lambda: {"file": b"a,b,label\n1,2,0\n3,1\n1,2,3,4\n"},
    "nan csv": lambda: {"file": b"a,label\nnan,0\n1,1\n"},
    "inf csv": lambda: {"file": b"a,label\ninf,0\n1,1\n"},
    "1_000 csv": lambda: {"file": b"a,label\n1_000,0\n1,1\n"},
    "arabic csv": lambda: {"file": "a,label\n١٢,0\n1,1\n".encode()},
    "endless row": lambda: {"file": b"1," * 1_400_000},
    "one class": lambda: {"file": b"a,label\n1,0\n2,0\n"},
    "no rows": lambda: {"file": b"a,label\n"},
    "no width": lambda: {"file": b"label\n1\n0\n"},
    "empty": lambda: {"file": b""},
    "zero rows": lambda: {"x": saved(np.zeros((0, 3))), "y": saved(np.zeros(0, int))},
    "zero width": lambda: {"x": saved(np.zeros((3, 0))), "y": LABELS},
    "labels of another length": lambda: {"x": saved(np.zeros((4, 2))), "y": LABELS},
    "nan array": lambda: {"x": saved(np.array([[1.0], [np.nan], [2.0]])), "y": LABELS},
    "wrong parts": lambda: {"images": b"a,b\n1,2\n"},
    "no part": dict,
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_dataset(house: House, name: str) -> None:
    files = {part: (part, content) for part, content in FILES[name]().items()}
    answer = house.http.post("/v1/datasets", data={"name": "bad"}, files=files or {"options": (None, "{}")})
    assert answer.status_code in (400, 413, 422), answer.text
    is_problem(answer, answer.status_code)
    assert uploads(house) == []
    assert house.http.get("/v1/datasets?name=bad").json()["data"] == []


def test_bad_rows_are_told_by_row_and_column(house: House) -> None:
    answer = house.http.post("/v1/datasets", data={"name": "bad"}, files={"file": b"a,label\n1,0\nx,1\n2,0\ny,1\n"})
    problem = is_problem(answer, 422, "invalid-data")
    assert [(error["row"], error["column"]) for error in problem["errors"]] == [(2, "a"), (4, "a")]
    assert problem["total"] == 2


@pytest.mark.parametrize("options", ["{", "[]", '{"target":7}', '{"nope":1}', '{"target":{"column":NaN}}'])
def test_options_that_are_none(house: House, options: str) -> None:
    form = {"name": "bad", "options": options}
    problem = is_problem(house.http.post("/v1/datasets", data=form, files={"file": b"a,b\n1,0\n2,1\n"}), 422)
    assert problem["errors"][0]["pointer"].startswith("/options")


@pytest.mark.parametrize("name", ["", "ds_mine", "a b", "a" * 65, "-a", "ä"])
def test_names_that_are_none(house: House, name: str) -> None:
    answer = house.http.post("/v1/datasets", data={"name": name}, files={"file": b"a,b\n1,0\n2,1\n"})
    assert is_problem(answer, 422, "invalid-spec")["errors"][0]["pointer"] == "/name"


def test_inline_data_that_is_none(house: House) -> None:
    bodies: list[Any] = [
        {"name": "bad"},
        {"name": "bad", "x": [], "y": []},
        {"name": "bad", "x": [[1], [2, 3]], "y": [0, 1]},
        {"name": "bad", "x": [[1], [2]], "y": [0]},
        {"name": "bad", "x": [[1], ["2"]], "y": [0, 1]},
        {"name": "bad", "x": [[1], [None]], "y": [0, 1]},
        {"name": "bad", "x": [[[[1]]], [[[2]]]], "y": [[], {}]},
        {"name": "bad", "x": 7, "y": [0, 1]},
        {"name": "bad", "x": [[1], [2]], "y": [0, 1], "z": 1},
    ]
    for body in bodies:
        is_problem(house.http.post("/v1/datasets", json=body), 422)


def test_predictions_that_do_not_fit(house: House, model: str) -> None:
    path = f"/v1/models/{model}/predict"
    for text in ('{"inputs":[[1]]}', '{"inputs":[[NaN,1]]}', '{"inputs":[["a",1]]}', '{"inputs":3}', "{}"):
        is_problem(house.http.post(path, content=text, headers=JSON), 422)
    problem = is_problem(house.http.post(path, json={"inputs": [[0, 1]] * 501}), 413, "batch-too-large")
    assert problem["limit_rows"] == 500
    is_problem(house.http.post(path, content=b" " * 3_000_000, headers=JSON), 413, "body-too-large")


@pytest.mark.parametrize("key", ["", "k" * 256, "caf\xe9", '""'])
def test_idempotency_keys_that_are_none(house: House, dataset: str, key: str) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1"), "Content-Type": "application/json"}
    answer = house.http.post("/v1/jobs", content=spec_text(dataset), headers=headers)  # type: ignore[arg-type]
    is_problem(answer, 422, "invalid-parameter")


def test_routes_and_methods_that_are_none(house: House) -> None:
    is_problem(house.http.get("/v1/nothing"), 404, "no-such-route")
    is_problem(house.http.get("/v1/jobs/"), 404, "no-such-route")
    answer = house.http.patch("/v1/jobs")
    is_problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "POST"}


def test_half_a_body_from_a_client_that_leaves(open_house: OpenHouse) -> None:
    house = open_house(NUDGE_BODY_TIMEOUT_S="600")
    with socket.create_connection(("127.0.0.1", house.port)) as connection:
        connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
    with socket.create_connection(("127.0.0.1", house.port)) as connection:
        connection.sendall(
            b"POST /v1/datasets HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b'Content-Length: 100000\r\n\r\n--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n1,2\n'
        )
        eventually(lambda: bool(uploads(house)), 30, "the upload has begun")
    eventually(lambda: not uploads(house), 30, "its files are gone")
    assert "Traceback" not in house.server.last_words(100_000)


def test_answers_are_json_whatever_was_asked(house: House) -> None:
    answer: httpx.Response = house.http.get("/v1/jobs?limit=-1", headers={"Accept": "text/html"})
    json.loads(answer.content, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/jobs?validate_onyl=true", "/query/validate_onyl"),
        ("/v1/datasets?foo=1", "/query/foo"),
        ("/v1/jobs?limit=1_0", "/query/limit"),
        ("/livez?x=1", "/query/x"),
    ],
)
def test_query_parameters_are_taken_at_their_word(house: House, path: str, pointer: str) -> None:
    problem = is_problem(house.http.get(path), 422, "invalid-parameter")
    assert problem["errors"][0]["pointer"] == pointer


def test_a_mistyped_dry_run_makes_no_job(house: House) -> None:
    before = house.http.get("/v1/jobs").json()["data"]
    is_problem(house.http.post("/v1/jobs?validate_onyl=true", json={}), 422)
    assert house.http.get("/v1/jobs").json()["data"] == before


def test_bodies_that_are_encoded(house: House, dataset: str, model: str) -> None:
    """Whatever reads JSON or a form: a compressed body is not taken for broken text, nor plain text for compressed."""
    prediction, spec = b'{"inputs": [[1, 1]]}', spec_text(dataset).encode()
    for path, body in ((f"/v1/models/{model}/predict", prediction), ("/v1/jobs?validate_only=true", spec)):
        for content in (gzip.compress(body), body):
            headers = JSON | {"Content-Encoding": "gzip"}
            problem = is_problem(house.http.post(path, content=content, headers=headers), 415, "encoded-body")
            assert "'gzip'; send the body as it is" in problem["detail"]
        for kept in ("identity", "Identity", ""):
            answer = house.http.post(path, content=body, headers=JSON | {"Content-Encoding": kept})
            assert answer.status_code == 200, answer.text
    for path in (f"/v1/models/{model}/predict", "/v1/datasets", "/v1/weights"):
        answer = house.http.post(path, files={"file": ("a", b"1")}, headers={"Content-Encoding": "br"})
        is_problem(answer, 415, "encoded-body")


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        ('{"inputs": "abc"}', "/inputs", "a list of numbers in brackets, or an encoded array as an object"),
        ('{"inputs": [[1, 1]], "mask": "x"}', "/mask", "a list of numbers in brackets, or an encoded array"),
        ('{"inputs": [[]]}', "/inputs", "There are no numbers in the rows; the model takes [2] in each."),
        ('{"inputs": []}', "/inputs", "There are no rows"),
        ('{"inputs": [[1, 1]], "dataset": "ds_1"}', "/dataset", "Send `inputs`, or name rows of a `dataset`: not both"),
        ('{"inputs": [[NaN, 1]]}', "/inputs/0/0", "NaN is not a JSON number; send a finite number"),
    ],
)
def test_predictions_are_refused_in_words_of_their_own(
    house: House, model: str, body: str, pointer: str, says: str
) -> None:
    error = is_problem(house.http.post(f"/v1/models/{model}/predict", content=body, headers=JSON), 422)["errors"][0]
    assert error["pointer"] == pointer
    assert says in error["detail"]
