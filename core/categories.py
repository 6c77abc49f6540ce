"""Whole numbers that a layer looks up: that they can reach it unchanged, and that it knows all of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.data import Dataset
from core.layers.embedding import LARGEST
from core.layers.layer import Array
from core.network import Network
from core.preprocessing import PreprocessingSpec
from core.schema import DataSchema
from core.spec import Finding, SpecError


def check_scale(network: Network, scale: PreprocessingSpec, schema: DataSchema) -> Iterator[Finding]:
    """What is wrong if preprocessing would change the numbers before they are looked up."""
    found = _looked_up(network)
    if found is not None and (scale.scale == "standard" or (scale.scale == "unit" and schema.input_dtype == "uint8")):
        layer = network.layers[found[0]].layer.type
        detail = (
            f'The {layer} layer wants whole numbers as they are, but this would scale them: use {{"scale": "none"}}.'
        )
        yield Finding("/preprocessing/scale", detail)


def check_dataset(network: Network, data: Dataset) -> None:
    """Read all inputs once, if they are to be looked up; raises SpecError where the network does not know one."""
    found = _looked_up(network)
    if found is None:
        return
    index, categories = found
    largest = -1.0
    for block in data.blocks():
        if (stray := first_stray(block, np.inf)) is not None:
            detail = (
                f"This layer looks up whole numbers from 0 on, but the dataset holds {stray[1]:g}: leave it out and "
                "scale the inputs, or number what they stand for from 0 on."
            )
            raise SpecError([Finding(f"/network/layers/{index}", detail)])
        largest = max(largest, float(block.max()))
    if largest >= categories:
        known = f"The dataset holds the number {largest:.0f}, but only 0 to {categories - 1} are known"
        if largest >= LARGEST:
            detail = (
                f"{known}, and a layer knows {LARGEST:,} numbers at most: number what they stand for from 0 on, "
                "or leave this layer out and scale the inputs."
            )
            raise SpecError([Finding(f"/network/layers/{index}", detail)])
        raise SpecError([Finding(f"/network/layers/{index}/size", f"{known}: set size to {largest + 1:.0f}.")])


def check_inputs(network: Network, inputs: Array) -> None:
    """The same for the rows (n, *input_shape) of a prediction."""
    found = _looked_up(network)
    if found is not None and (stray := first_stray(inputs, found[1])) is not None:
        row, value = stray
        detail = f"This model knows the whole numbers from 0 to {found[1] - 1}, but this row holds {value:g}."
        raise SpecError([Finding(f"/inputs/{row}", detail)])


def first_stray(rows: Array, categories: float) -> tuple[int, float] | None:
    """The first of the numbers of rows (n, ...) that is not a whole one from 0 to below `categories`, and its row."""
    known = (rows >= 0) & (rows < categories) & (rows == np.floor(rows))
    if known.all():
        return None
    at = int(np.argmin(known.reshape(-1)))
    return at // max(1, known[:1].size), float(rows.reshape(-1)[at])


def _looked_up(network: Network) -> tuple[int, int] | None:
    """The layer that looks the network's inputs up, and how many numbers it knows."""
    for index, at in enumerate(network.layers):
        if (categories := at.layer.categories()) is not None:
            return index, categories
    return None
