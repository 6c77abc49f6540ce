"""The Open Inference Protocol through its best-known client, and by hand where that client cannot go wrong."""

import asyncio
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from core.checkpoint import Checkpoint
from core.predictor import Predictor
from tests.service.house import TENANT, House

ROWS = np.array([[0.0, 0.5], [1.0, 1.0], [0.25, -3.5]])
PAGE = Path(__file__).parents[2] / "docs" / "inference.md"
LENGTH = "Inference-Header-Content-Length"


@pytest.fixture(scope="module")
def client(house: House) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{house.port}") as client:
        yield client


@pytest.fixture(scope="module")
def predictor(house: House, model: str) -> Predictor:
    return predictor_of(house, model)


@pytest.fixture(scope="module")
def versions(house: House, trained: str) -> list[str]:
    """The ids of three different models of one name, `served`; `production` is the first."""
    checkpoints = house.http.get(f"/v1/jobs/{trained}/checkpoints").json()["data"]
    others = house.add_dataset("others")
    job = house.submit(others, name="another", seed=5, epochs=1)
    house.train(job)
    checkpoints.append(house.http.get(f"/v1/jobs/{job}/checkpoints").json()["data"][0])
    made = [
        house.http.post("/v1/models", json={"checkpoint": checkpoint["id"], "name": "served"}).json()["id"]
        for checkpoint in checkpoints
    ]
    house.http.put("/v1/models/served/aliases/production", json={"version": 1})
    return made


def predictor_of(house: House, model: str) -> Predictor:
    checkpoint = Checkpoint.from_bytes(house.models.load(house.models.get(TENANT, model)))
    return Predictor.from_checkpoint(checkpoint, compiled=True)


def tensor(values: np.ndarray, datatype: str, binary: bool = True, name: str = "inputs") -> triton.InferInput:
    given = triton.InferInput(name, list(values.shape), datatype)
    given.set_data_from_numpy(values, binary_data=binary)
    return given


def post(house: House, name: str = "trained", content: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
    """The status and the JSON of an answer to a body, which is bytes or becomes JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content)
    answer = house.http.post(f"/v2/models/{name}/infer", content=body, headers=headers)
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()


def given(**changes: Any) -> dict[str, Any]:
    return {"name": "inputs", "shape": [1, 2], "datatype": "FP64", "data": [1, 2], **changes}


def test_server_and_models_tell_what_they_are(
    client: triton.InferenceServerClient, house: House, model: str, versions: list[str]
) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    server = client.get_server_metadata()
    assert server["name"] == "nudge"
    assert {"binary_tensor_data", "classification"} == set(server["extensions"])
    assert client.is_model_ready("trained")
    assert client.is_model_ready(model)
    assert client.is_model_ready("served", "production")
    assert not client.is_model_ready("nothing")
    assert not client.is_model_ready("served", "9")
    told = client.get_model_metadata("served", "production")
    assert told == client.get_model_metadata("served")
    assert told["versions"] == [str(number + 1) for number in range(len(versions))]
    assert told["inputs"] == [{"name": "inputs", "datatype": "FP64", "shape": [-1, 2]}]
    assert told["outputs"] == [{"name": "outputs", "datatype": "FP32", "shape": [-1, 2]}]


@pytest.mark.parametrize("into", [True, False], ids=["binary in", "JSON in"])
@pytest.mark.parametrize("out", [True, False], ids=["binary out", "JSON out"])
def test_predictions_equal_the_predictor(
    client: triton.InferenceServerClient, predictor: Predictor, model: str, into: bool, out: bool
) -> None:
    wanted = [triton.InferRequestedOutput("outputs", binary_data=out)]
    for name in ("trained", model):
        answer = client.infer(name, [tensor(ROWS, "FP64", into)], outputs=wanted, request_id="a-1")
        outputs = answer.as_numpy("outputs")
        assert outputs.dtype == np.float32
        assert (outputs == predictor.predict(ROWS)).all()
        told = answer.get_response()
        assert (told["model_name"], told["model_version"], told["id"]) == ("trained", "1", "a-1")
        assert ("parameters" in answer.get_output("outputs")) is out


DATATYPES = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "INT8": np.int8,
    "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
}  # fmt: skip


@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_datatype_is_taken(client: triton.InferenceServerClient, predictor: Predictor, datatype: str) -> None:
    rows = np.array([[0, 1], [1, 1]], DATATYPES[datatype])
    outputs = predictor.predict(rows.astype(np.float64))
    for binary in (True, False):
        answer = client.infer("trained", [tensor(rows, datatype, binary)])
        assert answer.as_numpy("outputs") == pytest.approx(outputs, abs=1e-6)


def test_brain_floats_are_taken(client: triton.InferenceServerClient, predictor: Predictor) -> None:
    rows = np.array([[0.5, -3.0]], ml_dtypes.bfloat16)
    answer = client.infer("trained", [tensor(rows, "BF16")])
    assert (answer.as_numpy("outputs") == predictor.predict(rows.astype(np.float32))).all()


def test_versions_are_numbers_and_aliases(
    client: triton.InferenceServerClient, house: House, versions: list[str]
) -> None:
    def outputs(name: str, version: str = "") -> tuple[str, list[Any]]:
        answer = client.infer(name, [tensor(ROWS, "FP64")], model_version=version)
        return answer.get_response()["model_version"], answer.as_numpy("outputs").tolist()

    of = {str(n + 1): predictor_of(house, model).predict(ROWS).tolist() for n, model in enumerate(versions)}
    newest = str(len(versions))
    assert len({str(values) for values in of.values()}) > 1
    for version, values in of.items():
        model = versions[int(version) - 1]
        assert outputs("served", version) == outputs(model) == outputs(model, version) == (version, values)
    assert outputs("served") == (newest, of[newest])
    assert outputs("served", "production") == outputs(versions[0], "production") == ("1", of["1"])
    # An alias that moves and a version that goes are seen at once.
    house.http.put("/v1/models/served/aliases/production", json={"version": int(newest)})
    assert outputs("served", "production") == (newest, of[newest])
    house.http.put("/v1/models/served/aliases/production", json={"version": 1})
    again = house.http.get(f"/v1/models/{versions[-1]}").json()["checkpoint"]
    extra = house.http.post("/v1/models", json={"checkpoint": again, "name": "served"}).json()
    assert outputs("served") == (str(extra["version"]), of[newest])
    house.http.delete(f"/v1/models/{extra['id']}")
    assert outputs("served")[0] == newest
    for version in ("9", "01", "0", str(2**40), "staging", "a b", "a%00"):
        with pytest.raises(InferenceServerException, match="There is no"):
            client.infer("served", [tensor(ROWS, "FP64")], model_version=version.replace(" ", "%20"))
    with pytest.raises(InferenceServerException, match="There is no model"):
        client.infer(versions[0], [tensor(ROWS, "FP64")], model_version="2")


def test_a_version_that_another_server_made_is_seen_soon(
    client: triton.InferenceServerClient, house: House, trained: str
) -> None:
    checkpoint = house.http.get(f"/v1/jobs/{trained}").json()["checkpoint"]
    house.models.add(TENANT, checkpoint, "elsewhere")
    assert client.infer("elsewhere", [tensor(ROWS, "FP64")]).get_response()["model_version"] == "1"
    house.models.add(TENANT, checkpoint, "elsewhere")
    while client.infer("elsewhere", [tensor(ROWS, "FP64")]).get_response()["model_version"] != "2":
        pass


def test_classification_names_classes(client: triton.InferenceServerClient, predictor: Predictor) -> None:
    outputs = predictor.predict(ROWS)
    for count, binary in ((1, True), (2, False), (7, True)):
        wanted = [triton.InferRequestedOutput("outputs", binary_data=binary, class_count=count)]
        named = client.infer("trained", [tensor(ROWS, "FP64")], outputs=wanted).as_numpy("outputs")
        assert named.shape == (3, min(count, 2))
        for row, texts in zip(outputs, named.tolist(), strict=True):
            for place, text in zip(np.argsort(-row), texts, strict=False):
                value, index, label = (text.decode() if isinstance(text, bytes) else text).split(":")
                assert (float(value), int(index), label) == (pytest.approx(float(row[place])), place, "ab"[place])


def test_compressed_requests_and_async_calls(client: triton.InferenceServerClient, house: House) -> None:
    plain = client.infer("trained", [tensor(ROWS, "FP64")]).as_numpy("outputs")
    for algorithm in ("gzip", "deflate"):
        answer = client.infer("trained", [tensor(ROWS, "FP64")], request_compression_algorithm=algorithm)
        assert (answer.as_numpy("outputs") == plain).all()
    later = client.async_infer("trained", [tensor(ROWS, "FP64")]).get_result()
    assert (later.as_numpy("outputs") == plain).all()

    async def ask() -> np.ndarray:
        async with triton_aio.InferenceServerClient(f"127.0.0.1:{house.port}") as other:
            return (await other.infer("trained", [tensor(ROWS, "FP64")])).as_numpy("outputs")

    assert (asyncio.run(ask()) == plain).all()


def test_parameters_that_only_the_client_knows_change_nothing(client: triton.InferenceServerClient) -> None:
    answer = client.infer("trained", [tensor(ROWS, "FP64")], parameters={"who": "me"}, priority=3, timeout=1000)
    assert "id" not in answer.get_response()


def test_a_body_without_json_is_rows(house: House, predictor: Predictor) -> None:
    answer = house.http.post("/v2/models/trained/infer", content=ROWS.tobytes(), headers={LENGTH: "0"})
    head = int(answer.headers[LENGTH])
    told = json.loads(answer.content[:head])
    assert told["outputs"][0]["shape"] == [3, 2]
    assert answer.content[head:] == predictor.predict(ROWS).tobytes()


def test_large_requests_are_answered_beside_the_event_loop(
    client: triton.InferenceServerClient, predictor: Predictor
) -> None:
    rows = np.random.default_rng(3).normal(size=(500, 2))
    for binary in (True, False):
        for count in (300, 500):
            answer = client.infer("trained", [tensor(rows[:count], "FP64", binary)], request_id="x" * 70_000)
            assert (answer.as_numpy("outputs") == predictor.predict(rows[:count])).all()
            assert len(answer.get_response()["id"]) == 70_000


def test_masked_models_take_a_mask(house: House, client: triton.InferenceServerClient) -> None:
    generator = np.random.default_rng(2)
    rows = generator.normal(size=(12, 5, 3)).round(3)
    body = {"name": "sequences", "x": rows.tolist(), "y": ["a", "b"] * 6}
    dataset = house.http.post("/v1/datasets", json=body).json()["id"]
    network = {"layers": [{"type": "lstm", "units": 4}, {"type": "dense", "units": 2}]}
    model = house.train(house.submit(dataset, name="sequences", network=network))
    predictor = predictor_of(house, model)
    names = [(told["name"], told["shape"]) for told in client.get_model_metadata("sequences")["inputs"]]
    assert names == [("inputs", [-1, 5, 3]), ("mask", [-1, 5])]
    mask = (np.arange(5) < generator.integers(1, 6, size=(12, 1))).astype(np.uint8)
    unmasked = predictor.predict(rows)
    expected = predictor.predict(rows, mask)
    assert not np.allclose(unmasked, expected)
    for order in (1, -1):
        for datatype, values in (("UINT8", mask), ("BOOL", mask.astype(bool)), ("FP32", mask.astype(np.float32))):
            both = [tensor(rows, "FP64"), tensor(values, datatype, name="mask")][::order]
            assert (client.infer("sequences", both).as_numpy("outputs") == expected).all()
    flat = [tensor(rows.reshape(12, 15), "FP64", binary=False)]
    assert (client.infer("sequences", flat).as_numpy("outputs") == unmasked).all()
    for wrong, says in (
        ([tensor(rows, "FP64"), tensor(mask[:3], "UINT8", name="mask")], r"/inputs/1/shape: .*\[12, 5\]"),
        ([tensor(rows, "FP64"), tensor(mask * 2, "UINT8", name="mask")], "/inputs/1: A mask holds 1"),
        ([tensor(mask, "UINT8", name="mask")], "takes 'inputs' and 'mask'"),
        ([tensor(rows, "FP64"), tensor(rows, "FP64")], "takes 'inputs' and 'mask'"),
    ):
        with pytest.raises(InferenceServerException, match=says):
            client.infer("sequences", wrong)


def test_models_of_real_targets_and_of_looked_up_numbers(house: House, client: triton.InferenceServerClient) -> None:
    line = house.http.post("/v1/datasets", json={"name": "line", "x": [[1], [2], [3], [4]], "y": [1.0, 2, 3, 4.5]})
    layers = {"layers": [{"type": "dense", "units": 1}]}
    loss = {"type": "quadratic"}
    house.train(house.submit(line.json()["id"], name="line-v2", network=layers, loss=loss, dtype="float64"))
    answer = client.infer("line-v2", [tensor(np.array([[2.5]]), "FP64", name="anything")])
    assert answer.as_numpy("outputs").dtype == np.float64
    wanted = [triton.InferRequestedOutput("outputs", class_count=1)]
    with pytest.raises(InferenceServerException, match="numbers, not classes"):
        client.infer("line-v2", [tensor(np.array([[2.5]]), "FP64")], outputs=wanted)
    with pytest.raises(InferenceServerException, match=r"/inputs/0: .*row 1 .*no longer finite"):
        client.infer("line-v2", [tensor(np.array([[2.5], [1e308]]) * 1.7, "FP64")])

    words = house.http.post("/v1/datasets", json={"name": "words", "x": [[0, 1], [2, 3]] * 4, "y": ["a", 7] * 4})
    layers = [{"type": "embedding", "size": 4, "dimension": 3}, {"type": "flatten"}, {"type": "dense", "units": 2}]
    scale = {"scale": "none"}
    house.train(house.submit(words.json()["id"], name="words-v2", network={"layers": layers}, preprocessing=scale))
    wanted = [triton.InferRequestedOutput("outputs", class_count=2)]
    tokens = np.array([[0, 1], [2, 3]], np.int64)
    named = client.infer("words-v2", [tensor(tokens, "INT64")], outputs=wanted).as_numpy("outputs")
    assert {text.decode().split(":", 1)[1] for text in named[0]} == {"0:7", "1:a"}
    with pytest.raises(InferenceServerException, match=r"/inputs/0: Row 1: .*whole numbers from 0 to 3"):
        client.infer("words-v2", [tensor(tokens * 2, "INT64")])


HEAD = b'{"inputs": [{"name": "i", "shape": [1, 2], "datatype": "FP64", "data": '
REFUSED: list[tuple[int, Any, str]] = [
    (422, {}, "/inputs"),
    (422, [], "This must be an object"),
    (422, {"inputs": []}, "/inputs"),
    (422, {"inputs": [given()], "parameters": "x"}, "/parameters: This must be an object in braces."),
    (422, {"inputs": [given()] * 3}, "/inputs"),
    (422, {"inputs": [given(), given()]}, "/inputs: This model takes 'inputs'"),
    (422, {"inputs": [given(), given(name="mask")]}, "/inputs: This model takes 'inputs'"),
    (422, {"inputs": [{"name": "inputs"}]}, "/inputs/0/shape"),
    (422, {"inputs": [given(shape=[1, 3], data=[1, 2, 3])]}, "/inputs/0/shape: The model takes rows of [2]"),
    (422, {"inputs": [given(shape=[2])]}, "/inputs/0/shape: The model takes rows of [2]"),
    (422, {"inputs": [given(shape=[])]}, "/inputs/0/shape"),
    (422, {"inputs": [given(shape=[-1, 2])]}, "/inputs/0/shape/0"),
    (422, {"inputs": [given(shape=[0, 2], data=[])]}, "/inputs/0/shape: There are no rows"),
    (422, {"inputs": [given(datatype="BYTES", data=["a", "b"])]}, "/inputs/0/datatype"),
    (422, {"inputs": [given(data=[1])]}, "/inputs/0/data: The shape asks for 2 values"),
    (422, {"inputs": [given(data=[[1], [2]])]}, "/inputs/0/data: The shape asks for 2 values"),
    (422, {"inputs": [given(data=[[1], [2, 3]])]}, "/inputs/0/data: The lists are not all of one length"),
    (422, {"inputs": [given(data=[1, "2"])]}, "/inputs/0/data/1: This is not a number"),
    (422, {"inputs": [given(data=[1, None])]}, "/inputs/0/data/1: This is not a number"),
    (422, {"inputs": [given(data=[[1, True]])]}, "/inputs/0/data/0/1: This is not a number"),
    (422, {"inputs": [given(data=None)]}, "/inputs/0: Send either"),
    (422, {"inputs": [given(datatype="UINT8", data=[1, 256])]}, "/inputs/0/data: A value is not a whole number"),
    (422, {"inputs": [given(datatype="INT8", data=[1, 0.5])]}, "/inputs/0/data: A value is not a whole number"),
    (422, {"inputs": [given(datatype="BOOL", data=[True, 2])]}, "/inputs/0/data: A value is not a whole number"),
    (422, {"inputs": [given(datatype="BOOL", data=[True, 0.5])]}, "/inputs/0/data/1: This is not true"),
    (422, {"inputs": [given(datatype="FP32", data=[1, 1e300])]}, "/inputs/0: Row 0 holds a value that is not a finite"),
    (422, {"inputs": [given(data=[1, 2**63])]}, "/inputs/0/data/1: The integer does not fit"),
    (422, {"inputs": [given(parameters={"binary_data_size": 16})]}, "/inputs/0: Send either"),
    (422, {"inputs": [given(parameters={"shared_memory_region": "a"})]}, "Shared memory is not supported"),
    (422, {"inputs": [given(parameters={"own": [1]})]}, "/inputs/0/parameters/own"),
    (422, {"inputs": [given(parameters=[1])]}, "/inputs/0/parameters"),
    (422, {"inputs": [given()], "parameters": {"sequence_id": 3}}, "/parameters: No model here keeps a state"),
    (422, {"inputs": [given()], "parameters": {"binary_data_output": 1}}, "/parameters/binary_data_output"),
    (422, {"inputs": [given()], "outputs": [{"name": "output"}]}, "/outputs: A model has one output, 'outputs'"),
    (422, {"inputs": [given()], "outputs": [{"name": "outputs"}] * 2}, "/outputs: A model has one output"),
    (
        422,
        {"inputs": [given()], "outputs": [{"name": "outputs", "parameters": {"shared_memory_region": "a"}}]},
        "/outputs/0/parameters: Shared memory is not supported",
    ),
    (
        422,
        {"inputs": [given()], "outputs": [{"name": "outputs", "parameters": {"classification": 0}}]},
        "/outputs/0/parameters/classification",
    ),
    (422, {"inputs": [given()], "id": 7}, "/id"),
    (413, {"inputs": [given(shape=[501, 2], data=[0] * 1002)]}, "500 rows at most (NUDGE_MAX_PREDICT_ROWS)"),
    (400, b"", "The body is not JSON"),
    (400, b'{"inputs": [', "The body is not JSON"),
    (422, b'{"inputs": [], "inputs": []}', "is given twice"),
    (
        422,
        HEAD + b"[1, NaN]}]}",
        "/inputs/0/data/1: NaN",
    ),
    (422, HEAD + b'[1], "data": [1, 2]}]}', "twice"),
    (422, HEAD + b'[1, 2], "data": [1]}]}', "twice"),
    (422, b'{"inputs": ' + b"[" * 99 + b"1" + b"]" * 99 + b"}", "64 levels deep"),
    (413, b" " * 2_000_001, "NUDGE_MAX_BODY_BYTES"),
]


@pytest.mark.parametrize(("status", "content", "says"), REFUSED, ids=range(len(REFUSED)))
def test_bad_input_is_told_in_the_form_of_the_protocol(
    house: House, model: str, status: int, content: Any, says: str
) -> None:
    found, body = post(house, content=content)
    assert found == status, body
    assert set(body) == {"error"}
    assert says in body["error"]


def test_bad_binary_is_refused(house: House, model: str) -> None:
    def sent(head: dict[str, Any], tail: bytes, length: int | str | None = None) -> tuple[int, str]:
        text = json.dumps(head).encode()
        status, body = post(house, "trained", text + tail, **{LENGTH: str(len(text) if length is None else length)})
        return status, body["error"]

    def binary(size: int, **changes: Any) -> dict[str, Any]:
        value = given(parameters={"binary_data_size": size}, **changes)
        del value["data"]
        return {"inputs": [value]}

    good = np.array([1.0, 2.0]).tobytes()
    for head, tail, length, says in (
        (binary(16), good[:-1], None, "/inputs/0: This tensor should end 1 bytes behind"),
        (binary(16), good + b"1", None, "/inputs: 1 bytes are left"),
        (binary(15), good, None, "/inputs/0/parameters/binary_data_size: The shape asks for 16 bytes of FP64, not 15"),
        (binary(16, shape=[2**62, 2**62]), good, None, "NUDGE_MAX_PREDICT_ROWS"),
        (binary(16, shape=[1, 2**62]), good, None, "/inputs/0/parameters/binary_data_size"),
        (binary(-1), good, None, "/inputs/0/parameters/binary_data_size"),
        (binary(16), np.array([1, np.nan]).tobytes(), None, "/inputs/0: Row 0 holds a value"),
        (binary(16), good, 5, "The body is not JSON"),
        (binary(16), good, 10**9, f"/header/{LENGTH}: It must be the length of the JSON"),
        (binary(16), good, "-1", f"/header/{LENGTH}: It must be the length of the JSON"),
        (binary(16), good, "1" * 5000, f"/header/{LENGTH}: It must be the length of the JSON"),
        (binary(16), good, 0, "Without JSON the body is rows of 16 bytes each (FP64)"),
    ):
        status, error = sent(head, tail, length)
        assert status in (413, 422, 400)
        assert says in error, error
    assert post(house, content=b"", **{LENGTH: "0"})[0] == 422


def test_bad_compression_is_refused(house: House, model: str) -> None:
    packed = gzip.compress(json.dumps({"inputs": [given()]}).encode())
    assert post(house, content=packed, **{"Content-Encoding": "gzip"})[0] == 200
    for status, encoding, body in (
        (415, "br", packed),
        (400, "gzip", packed[:-1]),
        (400, "gzip", b"{}"),
        (400, "deflate", packed + b"1"),
        (413, "gzip", gzip.compress(bytes(2_000_001))),
    ):
        found, told = post(house, content=body, **{"Content-Encoding": encoding})
        assert (found, set(told)) == (status, {"error"}), told


def test_every_error_under_v2_is_in_the_form_of_the_protocol(house: House) -> None:
    for status, method, path, headers in (
        (404, "GET", "/v2/models/nothing", {}),
        (404, "GET", "/v2/models/mdl_1", {}),
        (404, "GET", "/v2/models/a%00b/ready", {}),
        (404, "POST", "/v2/models/nothing/infer", {}),
        (404, "GET", "/v2/repository/index", {}),
        (405, "DELETE", "/v2", {}),
        (421, "GET", "/v2", {"Host": "example.com"}),
        (403, "GET", "/v2/health/live", {"Origin": "http://example.com"}),
        (422, "GET", "/v2/health/live?really=1", {}),
    ):
        answer = house.http.request(method, path, headers=headers)
        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "application/json"
        assert set(answer.json()) == {"error"}


def test_the_page_shows_what_works(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4]] * 4
    iris = house.http.post("/v1/datasets", json={"name": "iris", "x": rows, "y": ["a", "b"] * 4}).json()["id"]
    model = house.train(house.submit(iris, name="iris"))
    house.http.put("/v1/models/iris/aliases/production", json={"version": 1})
    [example] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    exec(example.replace("127.0.0.1:8080", f"127.0.0.1:{house.port}"), {})
    expected = predictor_of(house, model).predict(np.array([[5.9, 3.0, 5.1, 1.8]], np.float32))
    assert capsys.readouterr().out == f"{expected}\n"


def test_the_server_gives_its_document(house: House) -> None:
    told = house.http.get("/openapi-v2.json").json()
    assert told == json.loads((PAGE.parents[1] / "openapi" / "openapi-v2.json").read_text("utf-8"))


def test_curl_need_not_name_a_content_type(house: House, model: str) -> None:
    body = json.dumps({"inputs": [given()]}).encode()
    status, told = post(house, content=body, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert status == 200
    assert len(told["outputs"][0]["data"]) == 2
