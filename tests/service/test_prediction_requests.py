import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.losses import CrossEntropy
from core.network import Network, NetworkSpec
from core.predictor import Predictor
from core.preprocessing import Preprocessing
from core.schema import ClassTarget, DataSchema
from core.spec import SpecError
from service.arrays import BatchTooLarge, InputsRefused
from service.prediction_requests import Batch, PredictRowsRequest, quickly, strictly
from service.strict_json import MalformedJson, RefusedJson


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def model_of(shape: tuple[int, ...], *layers: dict[str, Any]) -> Predictor:
    """A network of two classes that nobody trained."""
    chosen = layers or ({"type": "flatten"}, {"type": "dense", "units": 2})
    network = Network.trace(NetworkSpec.model_validate({"layers": chosen}).layers, shape)
    theta, state = network.allocate("float32")
    network.draw(1, theta, state)
    schema = DataSchema(rows=2, input_shape=shape, input_dtype="float32", target=ClassTarget(classes=("a", "b")))
    return Predictor(network, CrossEntropy(), schema, Preprocessing([], {}), theta, state)


def parse(text: bytes, shape: tuple[int, ...], max_rows: int) -> tuple[Any, int]:
    """As the route does it: quickly, else strictly."""
    found = quickly(text, shape, max_rows) or strictly(text, model_of(shape), max_rows)
    assert isinstance(found, Batch)
    return found.inputs, found.top


def test_nested_and_flat_rows_are_the_same() -> None:
    nested, top = parse(body(inputs=[[[1, 2], [3, 4]]], top=3), (2, 2), 10)
    flat, _ = parse(body(inputs=[[1, 2, 3, 4]]), (2, 2), 10)
    assert top == 3
    assert nested.shape == flat.shape == (1, 2, 2)
    assert (nested == flat).all()


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "float64"])
def test_encoded_arrays_keep_their_values(dtype: str) -> None:
    values = np.arange(8).reshape(2, 4).astype(dtype)
    encoded = {"data": base64.b64encode(values.tobytes()).decode(), "dtype": dtype, "shape": [2, 4]}
    found, top = parse(body(inputs=encoded, top=2), (4,), 10)
    assert found.dtype == values.dtype
    assert (found == values).all()
    assert top == 2


REFUSED: list[tuple[bytes, str]] = [
    (b'{"inputs":[[1,2],[3]]}', "/inputs/1"),
    (b'{"inputs":[[1,2],[3,4,5]]}', "/inputs/1"),
    (b'{"inputs":[[1,2],3]}', "/inputs/1"),
    (b'{"inputs":[[1,[2]]]}', "/inputs/0/1"),
    (b'{"inputs":[[1,"2"]]}', "/inputs/0/1"),
    (b'{"inputs":[[1,null]]}', "/inputs/0/1"),
    (b'{"inputs":[[1,true]]}', "/inputs/0/1"),
    (b'{"inputs":[[1,{}]]}', "/inputs/0/1"),
    (b'{"inputs":[[1,NaN]]}', "/inputs/0/1"),
    (b'{"inputs":[[1,1e400]]}', "/inputs/0/1"),
    (b'{"inputs":[[1,9223372036854775808]]}', "/inputs/0/1"),
    (b'{"inputs":[[1,2]],"inputs":[[1,2]]}', ""),
    (b'{"inputs":[[1,2]],"top":0}', "/top"),
    (b'{"inputs":[[1,2]],"top":"3"}', "/top"),
    (b'{"inputs":[[1,2]],"top":9223372036854775808}', "/top"),
    (b'{"inputs":[[1,2]],"more":1}', "/more"),
    (b'{"inputs":[]}', "/inputs"),
    (b'{"inputs":[[]]}', "/inputs"),
    (b'{"inputs":[1,2]}', "/inputs"),
    (b'{"inputs":7}', "/inputs"),
    (b'{"top":1}', "/inputs"),
    (b"[]", ""),
    (b'{"inputs":' + b"[" * 60 + b"1" + b"]" * 60 + b"}", "/inputs"),
    (b'{"inputs":' + b"[" * 900 + b"1" + b"]" * 900 + b"}", "/inputs/0/0/0/0/0/0/0"),
    (b'{"inputs":{"data":"AAAA","dtype":"float32","shape":[1,2]}}', "/inputs/data"),
    (b'{"inputs":{"data":"!!!!","dtype":"float32","shape":[1,2]}}', "/inputs/data"),
    (b'{"inputs":{"data":"AADAfwAAwH8=","dtype":"float32","shape":[1,2]}}', "/inputs/0"),
    (b'{"inputs":{"data":"AAA=","dtype":"uint8","shape":[-1,-2]}}', "/inputs/shape"),
    (b'{"inputs":{"data":"AAA=","dtype":"object","shape":[1,2]}}', "/inputs/dtype"),
    (b'{"inputs":{"data":"AAA=","dtype":"uint8","shape":[4611686018427387904,4]}}', "/inputs/data"),
]


@pytest.mark.parametrize(("text", "place"), REFUSED, ids=range(len(REFUSED)))
def test_refuses_with_the_place(text: bytes, place: str) -> None:
    with pytest.raises((InputsRefused, RefusedJson, SpecError)) as caught:
        parse(text, (2,), 10)
    error = caught.value
    found = error.errors[0].pointer if isinstance(error, SpecError) else getattr(error, "pointer", None)
    assert found == place


def test_refuses_large_batches_and_text_that_is_no_json() -> None:
    with pytest.raises(BatchTooLarge):
        parse(body(inputs=[[1, 2]] * 11), (2,), 10)
    encoded = {"data": base64.b64encode(bytes(22)).decode(), "dtype": "uint8", "shape": [11, 2]}
    with pytest.raises(BatchTooLarge):
        parse(body(inputs=encoded), (2,), 10)
    with pytest.raises(MalformedJson):
        parse(b'{"inputs":[[1,2]}', (2,), 10)


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=1, max_size=5), st.integers(1, 9), st.booleans())
def test_the_quick_way_gives_what_the_strict_way_gives(rows: list[list[float]], top: int, nested: bool) -> None:
    sent = [[row[:2], row[2:]] for row in rows] if nested else rows
    text = body(inputs=sent, top=top)
    strict = strictly(text, MODEL, 10)
    assert isinstance(strict, Batch)
    quick = quickly(text, (2, 2), 10)
    if quick is None:
        sizes = np.abs(strict.inputs)
        assert ((sizes >= 2**63) | ((sizes > 0) & (sizes < 1e-26))).any()
    else:
        assert (quick.inputs == strict.inputs).all()
        assert quick.inputs.shape == strict.inputs.shape
        assert quick.top == strict.top == top


MODEL = model_of((2, 2))
PLAIN = [
    b'{"inputs":[[0.25,1,-3e-7,2]],"top":3}',
    b'{"top":3,"inputs":[[0.25,1,-3e-7,2]]}',
    b' { "inputs" : [ [ [ 0.25 , 1.0 ] ,\n [ -3E-7 , 2 ] ] ] , "top":3 } ',
]


@pytest.mark.parametrize("text", PLAIN, ids=range(len(PLAIN)))
def test_plain_requests_take_the_quick_way(text: bytes) -> None:
    found = quickly(text, (2, 2), 10)
    assert found is not None
    assert found.inputs.reshape(-1).tolist() == [0.25, 1, -3e-7, 2]
    assert found.top == 3


# Each is taken for plain by a look that is not close enough.
ODD = [
    b'{"inputs":[[1,2],[3,4]]}',
    b'{"inputs":[[[1,2],[3]],[[4,5],[6,7]]]}',
    b'{"inputs":[[1,2,3,,]]}',
    b'{"inputs":[[1 2,3,4,5]]}',
    b'{"inputs":[[1,2,3,04]]}',
    b'{"in puts":[[1,2,3,4]]}',
    b'{"inputs":[[1,2,3,4]],"to p":3}',
    b'{"inputs":[[1,2,3,4]],"top1":3}',
    b'{"inputs":[[1,2,3,4]],"top":3.0}',
    b'{"inputs":[[1,2,3,4]],"top":}',
    b'{"inputs":[[1,2,3,1e999]]}',
    b'{"inputs":[[1,2,3,9223372036854775808]]}',
    b'{"inputs":[[1,2,3,-]]}',
    b'{"inputs":[]}',
    b'{"inputs":}',
]


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_whatever_looks_odd_is_refused_with_its_place(text: bytes) -> None:
    assert quickly(text, (2, 2), 10) is None
    with pytest.raises((MalformedJson, InputsRefused, RefusedJson, SpecError)):
        strictly(text, MODEL, 10)


def test_too_many_rows_are_refused_the_quick_way_too() -> None:
    with pytest.raises(BatchTooLarge):
        quickly(body(inputs=[[1, 2, 3, 4]] * 11), (2, 2), 10)


SEQUENCES = model_of((3, 2), {"type": "lstm", "units": 2}, {"type": "dense", "units": 2})


def test_masks_come_as_lists_and_encoded() -> None:
    mask = np.array([[1, 1, 0], [1, 0, 0]], np.uint8)
    rows = np.arange(12.0).reshape(2, 3, 2).tolist()
    listed = strictly(body(inputs=rows, mask=mask.tolist()), SEQUENCES, 10)
    encoded = {"data": base64.b64encode(mask.tobytes()).decode(), "dtype": "uint8", "shape": [2, 3]}
    sent = strictly(body(inputs=rows, mask=encoded, top=2), SEQUENCES, 10)
    for found in (listed, sent):
        assert isinstance(found, Batch)
        assert found.mask is not None
        assert (found.mask == mask).all()


MASKS: list[tuple[Predictor, Any, str]] = [
    (MODEL, [[1, 1]], "/mask"),
    (SEQUENCES, [[1, 1, 1], [1, 1, 1]], "/mask"),
    (SEQUENCES, [[1, 1]], "/mask/0"),
    (SEQUENCES, [[1, 2, 0]], "/mask/0/1"),
    (SEQUENCES, [[1, True, 0]], "/mask/0/1"),
    (SEQUENCES, [1, 1, 0], "/mask/0"),
    (SEQUENCES, 3, "/mask"),
    (SEQUENCES, {"data": "AAEC", "dtype": "uint8", "shape": [1, 3]}, "/mask"),
    (SEQUENCES, {"data": "AAEB", "dtype": "uint8", "shape": [3]}, "/mask"),
    (SEQUENCES, {"data": "AAE=", "dtype": "uint8", "shape": [1, 3]}, "/mask/data"),
]


@pytest.mark.parametrize(("model", "mask", "place"), MASKS, ids=range(len(MASKS)))
def test_masks_that_do_not_fit_are_refused_with_the_place(model: Predictor, mask: Any, place: str) -> None:
    row = np.zeros((1, *model.input_shape)).tolist()
    with pytest.raises((InputsRefused, SpecError)) as caught:
        strictly(body(inputs=row, mask=mask), model, 10)
    error = caught.value
    assert (error.errors[0].pointer if isinstance(error, SpecError) else error.pointer) == place


def test_rows_of_a_dataset() -> None:
    found = strictly(body(dataset="ds_x", limit=7, top=2), MODEL, 10)
    assert found == PredictRowsRequest(dataset="ds_x", offset=0, limit=7, top=2)
    with pytest.raises(BatchTooLarge):
        strictly(body(dataset="ds_x", limit=11), MODEL, 10)
    for odd in ({"offset": -1}, {"limit": 0}, {"limit": 1.0}, {"inputs": [[1, 2, 3, 4]]}, {"mask": [[1]]}, {"rows": 1}):
        with pytest.raises(SpecError):
            strictly(body(dataset="ds_x", **odd), MODEL, 10)
