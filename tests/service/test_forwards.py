"""Long predictions: bounded, done in pieces between which others have their turn, and given up when nobody waits."""

import asyncio
import re
import socket
import time
from base64 import b64encode
from collections.abc import Iterator

import numpy as np
import orjson
import pytest
from pydantic import TypeAdapter
from starlette.requests import ClientDisconnect

from core.layers import AnyLayer
from core.layers.layer import Array
from core.predictor import Predictor
from service.forwards import PIECE, Forwards
from service.lanes import Lane
from service.limits import TooMuchWork
from tests.core.onnx_runtime import checkpoint
from tests.infrastructure.processes import eventually
from tests.service.conftest import OpenHouse
from tests.service.house import House

CONV = {"type": "conv2d", "filters": 64, "kernel": 7, "padding": "same"}
LAYERS = [CONV, CONV, {"type": "flatten"}, {"type": "dense", "units": 3}]
SHAPE = (28, 28, 1)
LIMIT = 40 * PIECE


async def staying() -> bool:
    return False


async def left() -> bool:
    return True


@pytest.fixture(scope="module")
def heavy() -> Predictor:
    """A network of which a piece holds only a few rows."""
    layers = TypeAdapter(tuple[AnyLayer, ...]).validate_python(LAYERS)
    return Predictor.from_checkpoint(checkpoint(layers, SHAPE, dtype="float32"), compiled=True)


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane("one", 1, 60)
    yield lane
    lane.close()


def rows_of(predictor: Predictor, pieces: int) -> Array:
    """So many pieces of rows, the last one not full."""
    piece = PIECE // predictor.flops
    piece -= piece % predictor.rows
    return np.random.default_rng(3).random((piece * pieces - 1, *SHAPE)).astype(np.float32)


def test_what_is_done_in_pieces_is_the_same(heavy: Predictor, lane: Lane) -> None:
    inputs = rows_of(heavy, 3)
    found = asyncio.run(Forwards(lane.run, LIMIT).run(heavy, inputs, None, staying))
    assert (found == heavy.predict(inputs)).all()


def test_work_beyond_the_limit_is_not_begun(heavy: Predictor, lane: Lane) -> None:
    inputs = rows_of(heavy, 1)
    forwards = Forwards(lane.run, len(inputs) * heavy.flops - 1)
    with pytest.raises(TooMuchWork, match=r"NUDGE_MAX_PREDICT_FLOPS.* rows at most.*batch-predictions") as refused:
        asyncio.run(forwards.run(heavy, inputs, None, staying))
    assert refused.value.most == len(inputs) - 1
    assert len(asyncio.run(forwards.run(heavy, inputs[1:], None, staying))) == len(inputs) - 1
    with pytest.raises(TooMuchWork, match="A single row is too much"):
        asyncio.run(Forwards(lane.run, heavy.flops - 1).run(heavy, inputs[:1], None, staying))


def test_nothing_goes_on_for_somebody_who_left(heavy: Predictor, lane: Lane) -> None:
    begun = []

    async def counted(*called: object) -> Array:
        begun.append(called)
        outputs: Array = await lane.run(*called)  # type: ignore[arg-type]
        return outputs

    with pytest.raises(ClientDisconnect):
        asyncio.run(Forwards(counted, LIMIT).run(heavy, rows_of(heavy, 4), None, left))
    assert len(begun) == 1


def test_others_have_their_turn_between_pieces(heavy: Predictor, lane: Lane) -> None:
    async def scene() -> None:
        forwards = Forwards(lane.run, LIMIT)
        long = asyncio.create_task(forwards.run(heavy, rows_of(heavy, 6), None, staying))
        await asyncio.sleep(0)
        await forwards.run(heavy, rows_of(heavy, 1), None, staying)
        assert not long.done()
        long.cancel()

    asyncio.run(asyncio.wait_for(scene(), 60))


def test_few_rows_of_a_heavy_network_wait_for_no_company(heavy: Predictor, lane: Lane) -> None:
    """What goes together goes on for all of them, so it must be little."""

    async def scene() -> None:
        asked = Forwards(lane.run, LIMIT).run(heavy, rows_of(heavy, 2)[:16], None, left)
        with pytest.raises(ClientDisconnect):
            await asked

    asyncio.run(asyncio.wait_for(scene(), 60))


def test_a_client_that_goes_away_ends_its_prediction(open_house: OpenHouse) -> None:
    house = open_house()
    draw = np.random.default_rng(5)
    answer = house.http.post(
        "/v1/datasets", json={"name": "large", "x": draw.integers(0, 9, (4, *SHAPE)).tolist(), "y": [0, 1, 2, 0]}
    )
    model = house.train(house.submit(answer.json()["id"], network={"layers": LAYERS}, epochs=1))
    inputs = np.zeros((300, *SHAPE), np.uint8)
    body = orjson.dumps({"inputs": {"data": b64encode(inputs).decode(), "dtype": "uint8", "shape": inputs.shape}})
    head = f"POST /v1/models/{model}/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    assert house.http.post(f"/v1/models/{model}/predict", json={"inputs": inputs[:1].tolist()}).status_code == 200
    with socket.create_connection(("127.0.0.1", house.port)) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(0.5)  # by then it has begun, and the whole would take several times as long
    eventually(lambda: ended(house) == {"200": 1, "400": 1}, 60, "the end of a prediction that nobody waits for")


def ended(house: House) -> dict[str, int]:
    """How many predictions ended with which status."""
    pattern = r'nudge_http_requests_total{method="POST",route="/v1/models/{model_id}/predict",status="(\d+)"} (\d+)'
    return {status: int(times) for status, times in re.findall(pattern, house.http.get("/metrics").text)}
