import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.strict_json import MAX_DEPTH, MalformedJson, RefusedJson, loads

REFUSED = [
    (b'{"a":[1,NaN]}', "/a/1"),
    (b"[-Infinity]", "/0"),
    (b"Infinity", ""),
    (b'{"a":{"b":1e400}}', "/a/b"),
    (b'{"a":-1e400}', "/a"),
    (b'{"a":9223372036854775808}', "/a"),
    (b"[-9223372036854775809]", "/0"),
    (b"9" * 5000, ""),
    (b'{"a/b~c":1e999}', "/a~1b~0c"),
    (rb'"\ud800"', ""),
    (rb'{"x":"\udc00!"}', "/x"),
    (rb'{"\ud83d":1}', ""),
    (rb'{"x":"a\u0000b"}', "/x"),
    (rb'{"x":{"\u0000":1}}', "/x"),
    (b'{"a":1,"a":2}', ""),
    (b'[{"b":{"a":1,"c":2,"a":1}}]', "/0/b"),
    (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "/0/0/0/0/0/0/0/0"),
    (b"[" * 900 + b"]" * 900, "/0/0/0/0/0/0/0/0"),
    (b"[" * 500_000, ""),
    (b'{"a":' * 500_000, ""),
]


@pytest.mark.parametrize(("text", "place"), REFUSED, ids=range(len(REFUSED)))
def test_refuses_with_the_place(text: bytes, place: str) -> None:
    with pytest.raises(RefusedJson) as caught:
        loads(text)
    assert caught.value.pointer == place
    assert caught.value.detail.endswith(".")


@pytest.mark.parametrize("text", [b"", b"{", b"[1,]", b"{'a':1}", b"\xff\xfe", b'"\xc3"', b"1 2", b"nul", b'{"a" 1}'])
def test_refuses_what_is_not_json(text: bytes) -> None:
    with pytest.raises(MalformedJson):
        loads(text)


def test_takes_the_last_values_that_fit() -> None:
    text = b'{"i":[9223372036854775807,-9223372036854775808],"f":1.7976931348623157e308,"s":"\\ud83d\\ude00"}'
    assert loads(text) == {"i": [2**63 - 1, -(2**63)], "f": 1.7976931348623157e308, "s": "😀"}
    assert loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


integers = st.integers(-(2**63), 2**63 - 1)
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | text
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=20)


@given(values)
def test_reads_every_plain_value(value: object) -> None:
    assert loads(json.dumps(value).encode()) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode()) == value
