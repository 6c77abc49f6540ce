"""Rows of numbers in JSON, as the driver reads them, beside what Python reads."""

import json
import math
import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.compiled.library import Library, load

FOUND = load("float32")
assert FOUND is not None
LIBRARY: Library = FOUND
DIGITS = st.text("0123456789", min_size=1, max_size=19)
EXPONENTS = st.one_of(
    st.just(""), st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 60))
)


def read(text: str, *shape: int, most: int = 100) -> Any:
    """The rows, if these are nothing else."""
    found = LIBRARY.read_rows(text.encode(), 0, shape or (1,), most)
    return None if found is None or text[found[1] :].strip(" \t\n\r") else found[0]


def one(text: str) -> float | None:
    found = read(f"[[{text}]]")
    return None if found is None else float(found[0, 0])


def same(a: float, b: float) -> bool:
    """To the last bit, and in the sign of zero."""
    return struct.pack("d", a) == struct.pack("d", b)


@given(st.floats(-(2.0**62), 2.0**62))
@example(5e-324)
@example(2.2250738585072014e-308)
@example(-0.0)
@example(0.1 + 0.2)
@example(1e-27)
def test_what_python_writes_is_read_back(value: float) -> None:
    found = one(repr(value))
    if found is None:
        assert 0 < abs(value) < 1e-26
    else:
        assert same(found, value)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_are_read_back(value: float) -> None:
    found = one(repr(value))
    if found is None:
        assert abs(value) >= 2.0**63 or 0 < abs(value) < 1e-26
    else:
        assert same(found, value)


@given(st.integers(-(2**64), 2**64))
@example(2**53 + 1)
@example(2**53 + 3)
@example(2**63 - 1)
@example(-(2**63))
def test_integers_are_rounded_as_python_rounds_them(value: int) -> None:
    found = one(str(value))
    if found is None:
        assert abs(float(value)) >= 2.0**63 or close(str(value))
    else:
        assert same(found, float(value))


@given(st.sampled_from(["", "-"]), DIGITS, st.none() | DIGITS, EXPONENTS)
def test_any_number_is_rounded_as_python_rounds_it(sign: str, whole: str, fraction: str | None, power: str) -> None:
    text = sign + (whole.lstrip("0") or "0") + ("" if fraction is None else f".{fraction}") + power
    found = one(text)
    if found is not None:
        assert same(found, float(text) if fraction is not None or power else float(int(text)))
    else:
        digits = (whole + (fraction or "")).lstrip("0")
        tens = int(power[1:] or 0) if power else 0
        assert len(digits) > 19 or abs(tens - len(fraction or "")) > 44 or abs(float(text)) >= 2.0**63 or close(text)


def close(text: str) -> bool:
    """Whether a number lies so near to the middle between two floats that the driver leaves it to others."""
    exact, nearest = Fraction(text), Fraction(float(text))
    gap = Fraction(math.ulp(float(text)))
    return min(abs(abs(exact - nearest) - part * gap) for part in (Fraction(1, 2), Fraction(1, 4))) <= nearest / 2**97


ODD = [
    "1", "[1]", "[]", "[[]]", "[[1]", "[[1]],", "[[1],]", "[[1,2]]", "[[[1]]]", "[[1]]]", "[[01]]", "[[-]]", "[[+1]]",
    "[[.5]]", "[[1.]]", "[[1e]]", "[[1e+]]", "[[-.5]]", "[[1 2]]", "[[1,]]", "[[NaN]]", "[[Infinity]]", "[[null]]",
    "[[true]]", '[["1"]]', "[[1\v]]", "[[0x1]]", "[[1_0]]", "[[1e1.0]]", "[[--1]]", "[[1]\0]", "[[1e400]]",
    "[[9223372036854775808]]", "[[1e99999999999999999999]]", "[[1e-99999999999999999999]]", "[[12345678901234567890]]",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_whatever_is_odd_is_left_to_others(text: str) -> None:
    assert read(text) is None


def test_blanks_and_zeros_may_stand_where_json_has_them() -> None:
    assert read(" [ [ 1 ,\n2.50 ]\t,\r[ -0.0 , 0e9 ] ] ", 2).tolist() == [[1, 2.5], [0, 0]]
    assert one("0." + "0" * 28 + "1234") == 1.234e-29
    assert one("0." + "0" * 45 + "1234") is None
    assert one("1234567.0000000000000") is None  # twenty digits


def test_rows_of_several_dimensions() -> None:
    rows = np.random.default_rng(1).normal(size=(5, 2, 3, 4))
    text = json.dumps(rows.tolist())
    assert (read(text, 2, 3, 4) == rows).all()
    assert read(text, 3, 2, 4) is None
    assert read(text, 24) is None
    assert read(json.dumps(rows.reshape(5, 24).tolist()), 24).shape == (5, 24)


def test_rows_are_counted() -> None:
    text = json.dumps([[1.5, 2.5]] * 7)
    assert read(text, 2, most=7).shape == (7, 2)
    assert read(text, 2, most=6) is None
    assert LIBRARY.read_rows(text.encode(), len(text), (2,), 7) is None


@given(st.text("[],.-+eE0123456789 \t\n\x00", max_size=40), st.integers(1, 3))
def test_no_other_text_is_taken_for_rows(text: str, width: int) -> None:
    found = read(text, width)
    if found is not None:
        assert (found == np.array(json.loads(text), float)).all()


@given(
    st.lists(st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=3, max_size=3), min_size=1), st.data()
)
def test_cut_or_changed_anywhere_it_is_never_read_as_something_else(
    rows: list[list[float]], data: st.DataObject
) -> None:
    text = json.dumps(rows)
    assert (read(text, 3, most=len(rows)) == np.array(rows)).all()
    place = data.draw(st.integers(0, len(text) - 1))
    assert read(text[:place], 3) is None
    changed = text[:place] + data.draw(st.characters(max_codepoint=127)) + text[place + 1 :]
    found = read(changed, 3)
    if found is not None:
        assert (found == np.array(json.loads(changed), float)).all()
