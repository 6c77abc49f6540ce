"""Sequences of unequal length: whether the masks of a dataset fit its sequences."""

from __future__ import annotations

from collections.abc import Iterator

from core.network import Network
from core.schema import DataSchema
from core.spec import Finding


def check_masks(network: Network, schema: DataSchema, at: str) -> Iterator[Finding]:
    """What is wrong with the masks of the dataset named at the pointer `at`, if some layer looks at them."""
    columns, steps = len(schema.places("mask")), schema.input_shape[0]
    if network.masked and columns not in (0, 1, steps):
        detail = (
            f"Its {columns} mask columns do not fit its sequences of {steps} steps: give one column that says how many "
            "of the first steps count, or one for each step."
        )
        yield Finding(at, detail)


def mask_bytes(network: Network, schema: DataSchema, itemsize: int) -> int:
    """Bytes for one row of a batch."""
    return 3 * schema.input_shape[0] * itemsize if network.masked and schema.places("mask") else 0
