import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.spec import SpecError
from service import arrays
from service.arrays import BatchTooLarge, InputsRefused, parse
from service.strict_json import MalformedJson, RefusedJson


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


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


@given(st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=5), st.integers(1, 9))
def test_the_quick_way_gives_what_the_strict_way_gives(rows: list[list[float]], top: int) -> None:
    text = body(inputs=rows, top=top)
    found, found_top = parse(text, (3,), 10)
    strict, strict_top = arrays._strictly(text, (3,), 10)
    assert (found == strict).all()
    assert found_top == strict_top == top


def test_plain_requests_take_the_quick_way() -> None:
    found = arrays._quickly(body(inputs=[[0.25, 1, -3e-7]], top=3))
    assert found is not None
    assert found[0].tolist() == [[0.25, 1, -3e-7]]
