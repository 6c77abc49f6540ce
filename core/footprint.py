"""How much memory a run takes at its peak, before anything is allocated.

A run goes through phases whose temporary arrays never meet: the rows are split, the preprocessing is fitted, the
weights are drawn; then, beside all that training keeps, rows are shuffled or a checkpoint is on its way. Pages that are
reserved but never written are not counted, as they take no memory; nor are those of mapped files, which the kernel may
take back at any time: of a dataset, and of the checkpoint that a run begins from.
"""

from __future__ import annotations

from math import prod

import numpy as np

from core.augmentation import augmentation_bytes
from core.compiled.entries import entries_bytes
from core.compiled.planner import arena_bytes
from core.data import BLOCK_BYTES
from core.masks import mask_bytes
from core.network import Network
from core.schema import DataSchema
from core.training_spec import TrainingSpec
from core.workspace import evaluation_rows, layout

CHECKPOINT = 3  # times its size: the copied vectors, the file's bytes, and these once more on their way
ROOM = 265_232  # numbers for each thread of the driver: PANELS of product.h
PASSING = 4 * 2**20  # what Python and NumPy take besides
KEPT_BACK = 0.02  # the share that the allocator does not give back at once


class Footprint:
    """The bytes of one run: `rows` are trained on, `validated` measured on. compiled: whether the driver does it."""

    def __init__(
        self,
        spec: TrainingSpec,
        network: Network,
        schema: DataSchema,
        validation: DataSchema | None,
        *,
        rows: int,
        validated: int,
        compiled: bool,
    ) -> None:
        """`validation` is the schema of a dataset of its own."""
        self._spec, self._network, self._schema, self._validation = spec, network, schema, validation
        self._rows, self._validated, self._compiled = rows, validated, compiled
        self._itemsize = np.dtype(spec.dtype).itemsize
        self._inputs = prod(schema.input_shape)
        self._memory = network.size * len(spec.optimizer.memory()) * self._itemsize
        self._resting = network.size * self._itemsize + self._memory  # what a checkpoint holds

    @property
    def peak(self) -> int:
        """Bytes at the most demanding moment."""
        passing = max(8 * self._rows, CHECKPOINT * self._resting)
        most = max(self._split(), self._fit(), self._draw(), self._kept() + passing)
        return most + int(KEPT_BACK * most) + PASSING

    def _split(self) -> int:
        if not self._validated or self._validation is not None:
            return 0
        rows, validated = self._rows, self._validated
        together = rows + validated  # whose numbers, shuffled, are drawn with as many again; then each part is sorted
        return 16 * together + max(8 * together, 16 * rows, 8 * rows + 16 * validated)

    def _fit(self) -> int:
        if self._spec.preprocessing.scale != "standard":
            return 0
        raw = np.dtype(self._schema.input_dtype).itemsize
        block = max(BLOCK_BYTES, self._inputs * raw) // raw
        return self._order() + self._memory + block * (raw + 16) + 12 * 8 * self._inputs

    def _draw(self) -> int:
        variables = [piece.variable for piece in self._network.parameters()]
        drawn = max((prod(v.shape) * v.initializer.drawing_bytes for v in variables), default=0)
        return self._order() + self._resting + drawn

    def _order(self) -> int:
        return 8 * self._rows + 12 * self._validated

    def _kept(self) -> int:
        """All that stays from the first step on, and what each step takes in passing."""
        spec, network = self._spec, self._network
        kept = self._resting + (network.size + 2 * network.state_size) * self._itemsize
        kept += self._batches(spec.batch_size, self._schema, training=True)
        if self._validated:
            rows = min(evaluation_rows(network, spec.dtype), self._validated)
            kept += self._batches(rows, self._validation or self._schema, training=False)
            kept += sum(8 * prod(metric.room(self._schema.target.width)) for metric in spec.metrics)
        kept += augmentation_bytes(spec.augmentation, self._schema.input_shape)
        if spec.preprocessing.scale == "standard":
            kept += 8 * self._inputs * 8
        if self._compiled:
            read = [self._schema, self._validation] if self._validation else [self._schema]
            kept += sum(entries_bytes(spec, network, schema, schema.rows) for schema in read)
        return kept + self._order() + 8 * self._rows

    def _batches(self, rows: int, schema: DataSchema, *, training: bool) -> int:
        """The arena, and what is gathered into batches of `rows`."""
        spec, network, itemsize = self._spec, self._network, self._itemsize
        raw = np.dtype(schema.input_dtype).itemsize
        gathered = raw + (raw if schema.input_dtype == "float64" else 0)
        outputs = prod(network.output_shape)
        each = mask_bytes(network, schema, itemsize) + 32
        if not self._compiled:
            each += self._inputs * (gathered + itemsize) + outputs * 5 * itemsize
            return rows * each + layout(network, rows, spec.dtype, backward=training).bytes
        each += self._inputs * itemsize + outputs * 2 * itemsize
        if training and spec.augmentation:
            each += self._inputs * gathered
        arena = arena_bytes(network, rows, spec.dtype, training=training, threads=spec.threads)
        if entries_bytes(spec, network, schema, schema.rows):
            each += self._inputs * (2 + itemsize)  # to sort a batch by column
        return rows * each + arena + spec.threads * ROOM * itemsize
