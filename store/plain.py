"""Text that every database can keep: what programs and libraries say of an error may hold anything."""

import re
from collections.abc import Mapping
from typing import Any

LONGEST = 1900  # characters; the column of a job's reason holds 2000
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL keeps no NUL, and UTF-8 has no lone surrogates


def plain(text: str) -> str:
    """The text with what cannot be stored replaced, cut to 1900 characters."""
    text = _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def plain_values(data: Mapping[str, Any]) -> dict[str, Any]:
    """An event's data with its texts made plain."""
    return {key: plain(value) if isinstance(value, str) else value for key, value in data.items()}
