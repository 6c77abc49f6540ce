"""Sequences of unequal length: whether the masks of a dataset fit its sequences, and say what they may."""

from __future__ import annotations

from collections.abc import Iterator

from core.data import Dataset
from core.network import Network
from core.schema import DataSchema
from core.spec import Finding, SpecError


def check_masks(network: Network, schema: DataSchema, at: str) -> Iterator[Finding]:
    """What is wrong with the masks of the dataset named at the pointer `at`, if some layer looks at them."""
    columns, steps = len(schema.places("mask")), schema.input_shape[0]
    if network.masked and columns not in (0, 1, steps):
        detail = (
            f"Its {columns} mask columns do not fit its sequences of {steps} steps: give one column that says how many "
            "of the first steps count, or one for each step."
        )
        yield Finding(at, detail)


def check_mask_values(network: Network, data: Dataset, at: str) -> None:
    """Read all masks of the dataset named at the pointer `at` once, if some layer looks at them; raises SpecError."""
    steps = data.schema.input_shape[0]
    for mask in data.masks if network.masked else ():
        counts = len(data.masks) == 1 and mask.ndim == 1
        most, what = (steps, f"a number of steps from 0 to {steps}") if counts else (1, "0 or 1")
        for stray in (int(mask.min()), int(mask.max())):
            if not 0 <= stray <= most:
                detail = (
                    f"A mask of this dataset holds {stray}, which is not {what}: mend it and upload the data again."
                )
                raise SpecError([Finding(at, detail)])


def mask_bytes(network: Network, schema: DataSchema, itemsize: int) -> int:
    """Bytes for one row of a batch."""
    return 3 * schema.input_shape[0] * itemsize if network.masked and schema.places("mask") else 0
