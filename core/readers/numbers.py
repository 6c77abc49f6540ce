"""Decimal numbers in text, taken at their word: what merely looks like one is refused with the reason."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.readers.errors import shown
from core.readers.streams import is_text

ALPHABET = b"0123456789+-.eE, \t"  # no nan, inf, 1_000, Arabic digits
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
INTEGER = re.compile(r"[+-]?[0-9]+")
GROUPED = re.compile(r"[+-]?[0-9]+([,'’\u00a0\u202f ][0-9]+)+(\.[0-9]*)?")
EXACT = 2.0**53  # from here on float64 has gaps between the integers


@dataclass(frozen=True)
class Flaw:
    """A cell that is no number; `word` tells text from what was surely meant as a number."""

    index: int
    reason: str
    word: bool


def parse(cells: Sequence[str]) -> tuple[NDArray[np.float64], list[Flaw]]:
    """The numbers that `cells` spell, 0 where there is a flaw. Spaces and tabs around a number do not matter."""
    joined = ",".join(cells)
    if joined.isascii() and not joined.encode().translate(None, ALPHABET):
        try:
            values = np.array(list(map(float, cells)), dtype=np.float64)
        except ValueError:
            return _one_by_one(cells)
        if np.all(np.abs(values) < EXACT):  # False for infinity too
            return values, []
    return _one_by_one(cells)


def _one_by_one(cells: Sequence[str]) -> tuple[NDArray[np.float64], list[Flaw]]:
    values = np.zeros(len(cells))
    flaws = []
    for index, cell in enumerate(cells):
        text = cell.strip(" \t")
        if NUMBER.fullmatch(text):
            number = float(text)
            if not math.isfinite(number):
                flaws.append(Flaw(index, f"{shown(text)} is larger than any finite number here.", False))
            elif abs(number) >= EXACT and INTEGER.fullmatch(text) and not _exact(text, number):
                flaws.append(Flaw(index, inexact(text), False))
            else:
                values[index] = number
        else:
            flaws.append(_flaw(index, text))
    return values, flaws


def _exact(text: str, number: float) -> bool:
    # A finite float64 has at most 309 digits; Python refuses to parse thousands of zeros before them.
    return int(text.lstrip("+-0")) == abs(int(number))


def inexact(integer: object) -> str:
    """The reason for refusing an integer that float64 would change."""
    return (
        f"The integer {shown(integer)} has more digits than a float64 can hold exactly: "
        'round it, or give the column the role "ignore".'
    )


def _flaw(index: int, text: str) -> Flaw:
    if not text:
        return Flaw(index, "The cell is empty: fill it in or leave the row out.", False)
    if not is_text(text):
        return Flaw(index, f"{shown(text)} holds a NUL or is not UTF-8: save the file as UTF-8 text.", True)
    if GROUPED.fullmatch(text):
        return Flaw(index, f"{shown(text)} is not a plain number: write it with a decimal point, as in 1234.5.", False)
    try:
        number = float(text)
    except ValueError:
        return Flaw(index, f'{shown(text)} is not a number: correct it, or give the column the role "ignore".', True)
    if math.isfinite(number):
        return Flaw(index, f"{shown(text)} is not a plain number: write it as in 1000, -0.5 or 1e-3.", False)
    return Flaw(index, f"{shown(text)} is not a finite number: fill in a value or leave the row out.", False)
