import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.spec import SpecError
from service import tensors
from service.tensors import parse


def body(**fields: Any) -> bytes:
    told = {"name": "inputs", "shape": [2, 3], "datatype": "FP64"} | fields
    return json.dumps({"inputs": [told]}).encode()


def both_ways(text: bytes) -> list[np.ndarray]:
    """The tensor of a request by the quick way, if that goes, and by the strict one."""
    quick = tensors._quickly(text, len(text), 100)
    ways = [tensors._strictly(text, len(text), 100), *([quick] if quick else [])]
    return [found.values for _, [found] in ways]


@pytest.mark.parametrize("datatype", ["FP16", "BF16", "FP32", "FP64", "INT8", "INT64", "UINT8", "UINT64", "BOOL"])
def test_plain_requests_take_the_quick_way_to_the_same_tensor(datatype: str) -> None:
    flat = [True, False, True, True, False, True] if datatype == "BOOL" else [0, 1, 2, 3, 4, 5]
    for data in (flat, [flat[:3], flat[3:]]):
        for extra in ({}, {"parameters": {"a": 1}}):
            strict, quick = both_ways(body(datatype=datatype, data=data, **extra))
            assert strict.dtype == quick.dtype
            assert strict.tolist() == quick.tolist() == [flat[:3], flat[3:]]


@pytest.mark.parametrize(
    "text",
    [
        b'{"inputs":[{"data" :\n[1,2.5] , "name":"x","shape":[1,2],"datatype":"FP32"}]}',
        b'{"inputs":[{"data":[[1,2.5]],"name":"\\"data\\":[","shape":[1,2],"datatype":"FP32"}]}',
        b'{"id":"data","inputs":[{"shape":[1,2],"datatype":"FP32","name":"data","data":[1,2.5]}]}',
        b'{"parameters":{"data":7},"inputs":[{"shape":[1,2],"datatype":"FP32","name":"x","data":[1,2.5]}]}',
    ],
)
def test_data_may_stand_anywhere(text: bytes) -> None:
    for values in both_ways(text):
        assert values.tolist() == [[1, 2.5]]
    assert parse(text, len(text), 10)[1][0].values.tolist() == [[1, 2.5]]


@pytest.mark.parametrize(
    "text",
    [
        b'{"inputs":[{"data":[1,true],"name":"x","shape":[1,2],"datatype":"FP32"}]}',
        b'{"inputs":[{"data":[1,null],"name":"x","shape":[1,2],"datatype":"FP32"}]}',
        b'{"inputs":[{"data":[1,9223372036854775808],"name":"x","shape":[1,2],"datatype":"FP32"}]}',
        b'{"inputs":[{"data":[1,2]],"name":"x","shape":[1,2],"datatype":"FP32"}]}',
        b'{"inputs":[{"data":[0],"name":"x","shape":[1,2],"datatype":"FP32"}]}',
        b'{"inputs":[{"data":[1],"data":[1,2],"name":"x","shape":[1,2],"datatype":"FP32"}]}',
        b'{"x":{"data":[7,7]},"inputs":[{"d\\u0061ta":[0,1],"name":"x","shape":[1,2],"datatype":"FP32"}]}',
        b'{"x":{"data":[7,7]},"y":{"data":[8]},"inputs":[{"data":[0,1],"name":"x","shape":[1,2],"datatype":"FP32"}]}',
        b'{"x":{"data":[7,7]},"y":"data","inputs":[{"data":[0,1],"name":"x","shape":[1,2],"datatype":"FP32"}]}',
        b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2',
        b'{"data":[1],"data":[2],"data":[3],"inputs":[]}',
    ],
)
def test_what_looks_odd_goes_the_strict_way(text: bytes) -> None:
    assert tensors._quickly(text, len(text), 10) is None


@pytest.mark.parametrize("data", ["[1]", "[[1]]", '{"data":[1]}'])
def test_lists_under_data_are_refused_where_no_tensor_is(data: str) -> None:
    text = body(data=[0] * 6, parameters={"data": 7}).replace(b"7", data.encode())
    for read in (tensors._quickly, tensors._strictly):
        with pytest.raises(SpecError) as caught:
            read(text, len(text), 10)
        assert [error.pointer for error in caught.value.errors] == ["/inputs/0/parameters/data"]


def test_a_long_text_of_many_keys_is_read_once() -> None:
    text = b'{"inputs":[' + b'"data":[1],' * 200_000 + b"1]}"
    assert len(tensors._cut(text)[1]) == 2


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1)


@given(st.lists(NUMBERS, min_size=6, max_size=6), st.booleans(), st.integers(0, 2))
def test_the_quick_way_gives_what_the_strict_way_gives(values: list[float], nested: bool, indent: int) -> None:
    told = {"name": "x", "shape": [2, 3], "datatype": "FP64", "data": [values[:3], values[3:]] if nested else values}
    found = both_ways(json.dumps({"inputs": [told]}, indent=indent or None).encode())
    for one in found:
        assert (one == np.asarray(values, np.float64).reshape(2, 3)).all()
    if all(abs(float(value)) < 2**63 for value in values):
        assert len(found) == 2
