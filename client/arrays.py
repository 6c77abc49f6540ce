"""Arrays of any library, without importing one: through the buffer protocol, `to_numpy()` or `tolist()`."""

import sys
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

# Kinds of number in the NPY format, by the buffer protocol's letter for them.
NPY_KINDS = dict(zip("?bhilqBHILQefd", "biiiiiuuuuufff", strict=True))


def to_list(values: Any) -> Any:
    """Nested lists of plain numbers from an array, a table or any sequence; what is none stays, for the server to
    refuse in words."""
    if hasattr(values, "to_numpy"):  # the tables of pandas and polars
        values = values.to_numpy()
    if hasattr(values, "tolist"):
        values = values.tolist()
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | Mapping):
        return values
    return [to_list(item) if hasattr(item, "tolist") else item for item in values]


def to_npy(values: Any) -> bytes | None:
    """The array as an NPY file (format version 1.0), or None when it is no plain array of numbers.

    Sent like this, pixels stay bytes and nothing is rounded through decimal text.
    """
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    try:
        view = memoryview(values)
    except (TypeError, ValueError, BufferError):
        return None
    kind = NPY_KINDS.get(view.format)
    if isinstance(values, bytes | bytearray) or kind is None or not view.ndim or not prod(view.shape or ()):
        return None
    order = "<" if sys.byteorder == "little" else ">"
    header = f"{{'descr': '{order}{kind}{view.itemsize}', 'fortran_order': False, 'shape': {view.shape}}}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode("ascii") + view.tobytes()


def as_example(example: dict[str, Any]) -> dict[str, Any]:
    """The fields of an example as JSON: all of them may be arrays, and `rows` a range."""
    return {
        name: to_list(value) if name == "input" or isinstance(value, range) or hasattr(value, "tolist") else value
        for name, value in example.items()
    }
