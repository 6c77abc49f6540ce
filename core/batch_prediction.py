"""The predictions of a whole dataset, in pieces: where it was interrupted it goes on, and every byte stays the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from core.checkpoint import Checkpoint
from core.data import BLOCK_BYTES, Dataset
from core.estimate import Estimate
from core.masks import check_mask_values, check_masks, mask_bytes
from core.prediction_files import BLOCK, check_form, file_of
from core.prediction_spec import PredictionSpec
from core.predictor import Predictor
from core.schema import DataSchema
from core.spec import Finding, SpecError
from core.workspace import layout

PASSING = 32 * 2**20  # a piece and a block of the file on their way, and what Python and NumPy take besides


class RowRefused(Exception):
    """A row of the dataset that the model cannot predict, among the `rows` that were asked for; `row` is its number
    there."""

    def __init__(self, row: int, detail: str, rows: range) -> None:
        parts = (("before", rows.start, row), ("behind", row + 1, rows.stop))
        left = [f"those {side} it with `rows` [{first}, {end - first}]" for side, first, end in parts if end > first]
        way_out = f" Ask for {' and '.join(left)}." if left else ""
        super().__init__(f"Row {row} of the dataset: {detail}{way_out}")
        self.row = row


@dataclass(frozen=True)
class Piece:
    """Some rows behind those before: `done` of all are predicted then."""

    done: int
    content: bytes


def check(spec: PredictionSpec, predictor: Predictor, schema: DataSchema) -> Estimate:
    """The cost of the predictions; raises SpecError where they cannot be made."""
    network = predictor.network
    errors = list(check_masks(network, schema, "/dataset"))
    if schema.input_shape != network.input_shape:
        shapes = (" x ".join(map(str, shape)) for shape in (network.input_shape, schema.input_shape))
        errors.append(
            Finding("/dataset", "The model takes inputs of {}, but those of the dataset are {}.".format(*shapes))
        )
    if errors:
        raise SpecError(errors)
    rows = spec.chosen(schema)
    check_form(spec)
    itemsize = predictor.dtype.itemsize
    width, inputs = network.output_shape[0], prod(network.input_shape)
    batch = predictor.rows * (inputs * (itemsize + 16) + mask_bytes(network, schema, itemsize))
    told = min(BLOCK, len(rows)) * (16 + 40 * min(spec.top, width) + 2 * itemsize * width)
    arena = layout(network, predictor.rows, predictor.dtype.name, backward=False).bytes
    return Estimate(
        parameters=network.size,
        flops_per_epoch=network.flops * len(rows),
        memory_bytes=(network.size + network.state_size) * itemsize + arena + batch + told + BLOCK_BYTES + PASSING,
    )


class BatchPrediction:
    """A run through the rows that are asked for. The rows that are computed together are always the same ones,
    wherever a run begins: `done` must be what a piece said, or 0."""

    def __init__(self, spec: PredictionSpec, model: Checkpoint, data: Dataset) -> None:
        self.predictor = Predictor.from_checkpoint(model)
        check_mask_values(self.predictor.network, data, "/dataset")
        self.rows = spec.chosen(data.schema)
        self.file = file_of(spec, self.predictor, self.rows)
        self._data = data
        self._masked = self.predictor.network.masked and bool(data.masks)

    def pieces(self, done: int) -> Iterator[Piece]:
        """The pieces of the rows behind the first `done`; raises RowRefused."""
        for start in range(done, len(self.rows), self.predictor.rows):
            rows = self.rows[start : start + self.predictor.rows]
            yield Piece(start + len(rows), self._piece(rows))

    def _piece(self, rows: range) -> bytes:
        inputs = self._data.x[rows.start : rows.stop]
        mask = self._data.mask(np.arange(rows.start, rows.stop)) if self._masked else None
        try:
            outputs = self.predictor.predict(inputs, mask)
        except SpecError as error:
            at, detail = error.errors[0]
            raise RowRefused(rows.start + int(at.rpartition("/")[2]), detail, self.rows) from error
        finite = np.isfinite(outputs).all(axis=1)
        if not finite.all():
            detail = "its numbers are so large that the network's outputs are no longer finite."
            raise RowRefused(rows.start + int(np.argmin(finite)), detail, self.rows)
        return self.file.piece(rows, outputs)
