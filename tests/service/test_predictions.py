"""What a model may be asked, and how; each answer beside that of the predictor itself."""

import asyncio
import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from core.checkpoint import Checkpoint
from core.predictor import Predictor
from tests.service.house import TENANT, House, is_problem

DRAW = np.random.default_rng(7)
PIXELS = DRAW.integers(0, 256, (12, 6, 4), np.uint8)
SEQUENCES = DRAW.normal(size=(8, 3, 2))
LENGTHS = np.array([3, 1, 2, 3, 2, 1, 3, 2])


def upload(house: House, name: str, options: str = "{}", **arrays: Any) -> str:
    """A dataset of an NPZ; gives its id."""
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    answer = house.http.post(
        "/v1/datasets", data={"name": name, "options": options}, files={"file": ("a.npz", packed.getvalue())}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.fixture(scope="module")
def pixels(house: House) -> str:
    """A dataset of pictures, 4 wide and 6 high."""
    return upload(house, "pixels", x=PIXELS, y=np.arange(12) % 3)


@pytest.fixture(scope="module")
def sighted(house: House, pixels: str) -> str:
    """A model of them."""
    layers = {"layers": [{"type": "flatten"}, {"type": "dense", "units": 3}]}
    return house.train(house.submit(pixels, network=layers, epochs=1))


@pytest.fixture(scope="module")
def wide(house: House, pixels: str) -> str:
    """A model large enough that its forwards are shared."""
    layers = [{"type": "flatten"}, {"type": "dense", "units": 400}, {"type": "relu"}, {"type": "dense", "units": 400}]
    return house.train(house.submit(pixels, network={"layers": [*layers, {"type": "dense", "units": 3}]}, epochs=1))


def predictor(house: House, model: str) -> Predictor:
    """The same model, asked directly."""
    return Predictor.from_checkpoint(Checkpoint.from_bytes(house.models.load(house.models.get(TENANT, model))))


def png(pixels: Any) -> bytes:
    """A file of these pixels."""
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def test_pictures_are_answered_like_their_pixels(house: House, sighted: str) -> None:
    path = f"/v1/models/{sighted}/predict"
    wanted = house.http.post(path, json={"inputs": PIXELS[:3].tolist(), "top": 2}).json()
    files = [("file", (f"{number}.png", png(picture))) for number, picture in enumerate(PIXELS[:3])]
    answer = house.http.post(path, files=files, data={"top": "2"})
    assert answer.status_code == 200, answer.text
    assert np.allclose(answer.json()["outputs"], wanted["outputs"], rtol=1e-5)
    assert [len(guess["top"]) for guess in answer.json()["predictions"]] == [2, 2, 2]
    one = house.http.post(path, files=files[:1])
    assert np.allclose(one.json()["outputs"], wanted["outputs"][:1], rtol=1e-5)
    large = np.kron(PIXELS[0], np.ones((8, 8), np.uint8))
    problem = is_problem(house.http.post(path, files={"file": ("a.png", png(large))}), 422, "invalid-inputs")
    assert problem["errors"][0]["pointer"] == "/file"
    assert "takes 4 x 6" in problem["detail"]
    assert "resize=true" in problem["detail"]
    stretched = house.http.post(path, files={"file": ("a.png", png(large))}, data={"resize": "true"})
    assert np.allclose(stretched.json()["outputs"], wanted["outputs"][:1], atol=0.05)


def test_forms_that_are_not_what_they_should_be(house: House, sighted: str, model: str) -> None:
    path, picture = f"/v1/models/{sighted}/predict", ("a.png", png(PIXELS[0]))
    for form, at in (
        ({"data": {"top": "2"}, "files": {"other": picture}}, "/other"),
        ({"data": {"top": "0"}, "files": {"file": picture}}, "/top"),
        ({"data": {"resize": "perhaps"}, "files": {"file": picture}}, "/resize"),
        ({"data": {"top": ["1", "2"]}, "files": {"file": picture}}, "/top"),
        ({"files": {"file": (None, "text")}}, "/file"),
        ({"files": {"top": (None, "1")}}, "/file"),
    ):
        problem = is_problem(house.http.post(path, **form), 422, "invalid-spec")
        assert problem["errors"][0]["pointer"] == at
    is_problem(house.http.post(f"/v1/models/{model}/predict", files={"file": picture}), 422, "invalid-inputs")
    headers = {"content-type": "multipart/form-data; boundary=x"}
    is_problem(house.http.post(path, content=b"--x\r\n", headers=headers), 400, "malformed-form")
    is_problem(house.http.post(path, content=b"", headers={"content-type": "multipart/form-data"}), 400)
    refused = is_problem(house.http.post(path, content=b"a", headers={"content-type": "image/png"}), 415)
    assert "application/json or multipart/form-data" in refused["detail"]


def test_limits_are_named_wherever_a_batch_comes_from(house: House, sighted: str, pixels: str) -> None:
    path = f"/v1/models/{sighted}/predict"
    tiny = ("a.png", png(PIXELS[0]))
    for request in (
        {"json": {"inputs": [[0] * 24] * 501}},
        {"json": {"inputs": {"data": "", "dtype": "uint8", "shape": [501, 0]}}},
        {"json": {"dataset": pixels, "limit": 501}},
        {"files": [("file", tiny)] * 501},
        {"files": [("file", tiny)] * 504},
    ):
        problem = is_problem(house.http.post(path, **request), 413, "batch-too-large")
        assert (problem["limit"], problem["limit_rows"]) == ("NUDGE_MAX_PREDICT_ROWS", 500)
    large = png(np.zeros((8000, 7000), np.uint8))
    answer = house.http.post(path, files={"file": ("a.png", large)}, data={"resize": "true"})
    assert is_problem(answer, 413, "too-many-pixels")["limit"] == "NUDGE_MAX_PREDICT_PIXELS"


def test_rows_of_a_dataset_are_answered_like_their_values(house: House, sighted: str, pixels: str) -> None:
    path = f"/v1/models/{sighted}/predict"
    wanted = house.http.post(path, json={"inputs": PIXELS.tolist()}).json()
    stored = house.http.post(path, json={"dataset": pixels}).json()
    assert np.allclose(stored["outputs"], wanted["outputs"], rtol=1e-5)
    some = house.http.post(path, json={"dataset": pixels, "offset": 10, "limit": 5}).json()
    assert np.allclose(some["outputs"], wanted["outputs"][10:], rtol=1e-5)
    for request, at in (
        ({"dataset": pixels, "offset": 12}, "/offset"),
        ({"dataset": house.add_dataset("other")}, "/dataset"),
    ):
        assert is_problem(house.http.post(path, json=request), 422)["errors"][0]["pointer"] == at
    for missing in ("ds_" + "0" * 26, "somewhere"):
        is_problem(house.http.post(path, json={"dataset": missing}), 404, "not-found")


def test_masks_of_the_request_and_of_the_dataset_are_one(house: House) -> None:
    options = '{"columns": {"length": "mask"}}'
    dataset = upload(house, "words", options, x=SEQUENCES, y=np.arange(8) % 2, length=LENGTHS)
    layers = {"layers": [{"type": "lstm", "units": 3}, {"type": "dense", "units": 2}]}
    model = house.train(house.submit(dataset, network=layers, epochs=1))
    path, mask = f"/v1/models/{model}/predict", (np.arange(3) < LENGTHS[:, None]).astype(int)
    sent = house.http.post(path, json={"inputs": SEQUENCES.tolist(), "mask": mask.tolist()}).json()
    assert np.allclose(sent["outputs"], predictor(house, model).predict(SEQUENCES, mask), rtol=1e-5)
    stored = house.http.post(path, json={"dataset": dataset}).json()
    assert np.allclose(stored["outputs"], sent["outputs"], rtol=1e-5)
    whole = house.http.post(path, json={"inputs": SEQUENCES.tolist()}).json()
    assert not np.allclose(whole["outputs"], sent["outputs"])


def test_many_at_once_get_their_own_answers(house: House, wide: str, sighted: str) -> None:
    async def ask(http: httpx.AsyncClient, model: str, number: int) -> Any:
        count = number % 3 + 1
        rows = PIXELS[number % 12 : number % 12 + 1].repeat(count, axis=0)
        answer = await http.post(f"/v1/models/{model}/predict", json={"inputs": rows.tolist()})
        assert answer.status_code == 200, answer.text
        return np.array(answer.json()["outputs"]), number

    async def scene() -> list[Any]:
        async with httpx.AsyncClient(base_url=house.url, timeout=60) as http:
            asked = [ask(http, model, number) for number in range(40) for model in (wide, sighted)]
            return await asyncio.gather(*asked)

    wanted = {model: predictor(house, model).predict(PIXELS) for model in (wide, sighted)}
    for place, (found, number) in enumerate(asyncio.run(scene())):
        one = wanted[(wide, sighted)[place % 2]][number % 12]
        assert np.allclose(found, np.tile(one, (number % 3 + 1, 1)), rtol=1e-5, atol=1e-7)


def test_query_parameters_are_refused(house: House, model: str) -> None:
    for path, body in (("predict", {"inputs": [[1, 1]]}), ("explain", {"input": [1, 1], "target": "a"})):
        answer = house.http.post(f"/v1/models/{model}/{path}?top=3", json=body)
        assert is_problem(answer, 422, "invalid-parameter")["errors"][0]["pointer"] == "/query/top"


def test_the_route_is_counted_and_knows_its_methods(house: House, model: str) -> None:
    path = f"/v1/models/{model}/predict"
    assert house.http.post(path, json={"inputs": [[1, 1]]}).status_code == 200
    counted = 'nudge_http_requests_total{method="POST",route="/v1/models/{model_id}/predict",status="200"}'
    assert counted in house.http.get("/metrics").text
    answer = house.http.get(path)
    is_problem(answer, 405)
    assert answer.headers["allow"] == "POST"
    is_problem(house.http.post("/v1/models/mdl_none/predict", json={"inputs": [[1]]}), 404, "not-found")
    is_problem(house.http.post(path, json={"inputs": [[1, 1]]}, headers={"host": "evil.example"}), 421)


def test_a_prediction_that_is_too_much_work_says_how_many_rows_are_not(house: House, wide: str) -> None:
    path, flops = f"/v1/models/{wide}/predict", predictor(house, wide).flops
    answer = house.http.post(path, json={"inputs": [[0] * 24] * 400})
    problem = is_problem(answer, 413, "too-much-work")
    most = 100_000_000 // flops
    assert (problem["limit"], problem["limit_flops"], problem["limit_rows"]) == (
        "NUDGE_MAX_PREDICT_FLOPS",
        100_000_000,
        most,
    )
    assert f"NUDGE_MAX_PREDICT_FLOPS). {most} rows at most" in problem["detail"]
    for rows, status in (most, 200), (most + 1, 413):
        assert house.http.post(path, json={"inputs": [[0] * 24] * rows}).status_code == status
        tensor = {"name": "input", "shape": [rows, 24], "datatype": "UINT8", "data": [0] * (24 * rows)}
        answer = house.http.post(f"/v2/models/{wide}/infer", json={"inputs": [tensor]})
        assert answer.status_code == status, answer.text
    assert f"{most} rows at most" in answer.json()["error"]


def test_a_row_that_cannot_be_looked_up_is_named_as_the_request_names_it(house: House) -> None:
    """The model learned from four numbers; the dataset it is asked about has a fifth in its last row but one."""
    layers = [{"type": "embedding", "size": 4, "dimension": 3}, {"type": "flatten"}, {"type": "dense", "units": 2}]
    rows = [[0, 1], [2, 3], [1, 1], [3, 0]]
    known, other = (
        house.http.post("/v1/datasets", json={"name": "tokens", "x": x, "y": [0, 1, 0, 1]}).json()["id"]
        for x in (rows, [*rows[:2], [1, 25], [3, 0]])
    )
    model = house.train(house.submit(known, network={"layers": layers}, preprocessing={"scale": "none"}, epochs=1))
    path = f"/v1/models/{model}"
    for body, at, says in (
        ({"dataset": other, "offset": 1, "limit": 2}, "/dataset", "Row 2: This model knows"),
        ({"inputs": [[1, 2], [1, 25]]}, "/inputs/1", "This model knows"),
    ):
        error = is_problem(house.http.post(f"{path}/predict", json=body), 422, "invalid-inputs")["errors"][0]
        assert error["pointer"] == at
        assert error["detail"].startswith(says)
    answer = house.http.get(f"{path}/rows", params={"dataset": other, "offset": 1})
    assert is_problem(answer, 422)["errors"][0]["detail"].startswith("Row 2: This model knows")
