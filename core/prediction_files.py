"""Predictions of many rows as one file: CSV, NPZ or Parquet.

Rows come in pieces, which are bytes that are simply put behind one another; what is written from them in the end is the
same file however the rows were cut into pieces. In CSV they are lines of text already, so that little is left to do.
"""

from __future__ import annotations

import importlib.util
import json
import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from core.layers.layer import Array
from core.prediction_spec import PredictionSpec
from core.predictor import Predictor
from core.schema import ClassTarget, JsonScalar
from core.spec import Finding, SpecError

BLOCK = 65_536  # rows that are written together
NO_PARQUET = (
    "This server writes no Parquet, which needs an extra: install nudge-training[parquet] there, or take csv or npz."
)


def check_form(spec: PredictionSpec) -> None:
    """Raise SpecError where this installation cannot write the kind of file."""
    if spec.format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise SpecError([Finding("/format", NO_PARQUET)])


def file_of(spec: PredictionSpec, predictor: Predictor, rows: range) -> PredictionFile:
    """How the predictions of these rows of the dataset become a file; raises what `check_form` does."""
    check_form(spec)
    return FORMS[spec.format](spec, predictor, rows)


class PredictionFile(ABC):
    """The columns of a file. `row` is the number of the row in the dataset; then for classes the likeliest with its
    probability, the second likeliest, and so on; then the outputs (n, k) where they are asked for."""

    def __init__(self, spec: PredictionSpec, predictor: Predictor, rows: range) -> None:
        target = predictor.schema.target
        self._predictor, self._rows = predictor, rows
        self._classes = target.classes if isinstance(target, ClassTarget) else None
        self._top = min(spec.top, target.width) if self._classes else 0
        self._outputs = spec.outputs or not self._classes
        self._width = predictor.network.output_shape[0]

    @abstractmethod
    def piece(self, rows: range, outputs: Array) -> bytes:
        """The bytes of some rows with their outputs (n, k)."""

    @abstractmethod
    def write(self, pieces: Path, file: IO[bytes]) -> Iterator[None]:
        """Write the file from the pieces of all rows, a step at a time."""

    def _named(self) -> Iterator[tuple[str, str]]:
        """The names of class and probability, the likeliest first."""
        for rank in range(self._top):
            yield ("class", "probability") if rank == 0 else (f"class_{rank + 1}", f"probability_{rank + 1}")

    def _ranked(self, outputs: Array) -> Iterator[tuple[Array, Array]]:
        """For each rank the place of its class and its probability, of every row (n,)."""
        if self._top:
            values, order = self._predictor.rank(outputs, self._top)
            for places in order.T:
                yield places, np.take_along_axis(values, places[:, None], axis=1)[:, 0]


class CsvFile(PredictionFile):
    """RFC 4180 with a header. Numbers have as few digits as give them back exactly; null is an empty cell."""

    def __init__(self, spec: PredictionSpec, predictor: Predictor, rows: range) -> None:
        super().__init__(spec, predictor, rows)
        self._cells = [_cell(label) for label in self._classes or ()]

    def piece(self, rows: range, outputs: Array) -> bytes:
        columns: list[Sequence[bytes]] = [[b"%d" % row for row in rows]]
        for places, chances in self._ranked(outputs):
            columns += [[self._cells[place] for place in places.tolist()], _digits(chances)]
        if self._outputs:
            columns += [_digits(column) for column in outputs.T]
        return b"".join(b",".join(cells) + b"\r\n" for cells in zip(*columns, strict=True))

    def write(self, pieces: Path, file: IO[bytes]) -> Iterator[None]:
        names = ["row", *(name for pair in self._named() for name in pair)]
        names += [f"output_{place}" for place in range(self._width)] if self._outputs else []
        file.write(",".join(names).encode() + b"\r\n")
        with pieces.open("rb") as lines:
            while block := lines.read(4 * 2**20):
                file.write(block)
                yield


class ArrayFile(PredictionFile):
    """A form whose columns are made of the outputs: the pieces hold nothing else."""

    def piece(self, rows: range, outputs: Array) -> bytes:
        return outputs.tobytes()

    def _blocks(self, pieces: Path) -> Iterator[tuple[range, Array]]:
        shape = len(self._rows), self._width
        outputs = np.memmap(pieces, self._predictor.dtype, "r", shape=shape)
        for start in range(0, len(self._rows), BLOCK):
            yield self._rows[start : start + BLOCK], np.asarray(outputs[start : start + BLOCK])


class NpzFile(ArrayFile):
    """One array for each column, the outputs as one of (n, k); `numpy.load` needs no pickle for it."""

    def write(self, pieces: Path, file: IO[bytes]) -> Iterator[None]:
        labels = _labels(self._classes or ())
        n, dtype = len(self._rows), self._predictor.dtype
        with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
            with _entry(archive, "row", np.dtype(np.int64), (n,)) as entry:
                entry.write(np.arange(self._rows.start, self._rows.stop, dtype=np.int64).tobytes())
            for rank, (name, chance) in enumerate(self._named()):
                # A ZIP is written one entry after the other, so the outputs are looked at for each of them again.
                for title, kind in ((name, labels.dtype), (chance, dtype)):
                    with _entry(archive, title, kind, (n,)) as entry:
                        for _, outputs in self._blocks(pieces):
                            places, chances = next(islice(self._ranked(outputs), rank, None))
                            entry.write((labels[places] if title == name else chances).tobytes())
                            yield
            if self._outputs:
                with _entry(archive, "outputs", dtype, (n, self._width)) as entry:
                    for _, outputs in self._blocks(pieces):
                        entry.write(outputs.tobytes())
                        yield


class ParquetFile(ArrayFile):
    """One column for each, in row groups of one size."""

    def write(self, pieces: Path, file: IO[bytes]) -> Iterator[None]:
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # others reserve more than a trainer may take
        import pyarrow  # noqa: PLC0415 (an extra)
        from pyarrow import parquet  # noqa: PLC0415

        labels = pyarrow.array(_labels(self._classes or ()).tolist())

        def table(rows: range, outputs: Array) -> Any:
            columns = {"row": pyarrow.array(np.arange(rows.start, rows.stop, dtype=np.int64))}
            for (name, chance), (places, chances) in zip(self._named(), self._ranked(outputs), strict=True):
                columns |= {name: labels.take(pyarrow.array(places)), chance: pyarrow.array(chances)}
            if self._outputs:
                columns |= {f"output_{place}": pyarrow.array(outputs[:, place]) for place in range(self._width)}
            return pyarrow.table(columns)

        writer = None
        for rows, outputs in self._blocks(pieces):
            block = table(rows, outputs)
            writer = writer or parquet.ParquetWriter(file, block.schema)
            writer.write_table(block, row_group_size=BLOCK)
            yield
        if writer is not None:
            writer.close()


FORMS: dict[str, type[PredictionFile]] = {"csv": CsvFile, "npz": NpzFile, "parquet": ParquetFile}


def _digits(column: Array) -> list[bytes]:
    """Finite numbers (n,) as text, each with as few digits as its type needs."""
    return orjson.dumps(np.ascontiguousarray(column), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")


def _cell(label: JsonScalar) -> bytes:
    """A class as a cell: text as it is, quoted where it must be; null as nothing; else as in JSON."""
    if not isinstance(label, str):
        return b"" if label is None else json.dumps(label).encode()
    plain = label and not set(label) & set(',"\r\n')
    return (label if plain else '"' + label.replace('"', '""') + '"').encode()


def _labels(classes: Sequence[JsonScalar]) -> Array:
    """The classes as an array of their own type where they have one, else of their JSON texts."""
    kinds = {type(label) for label in classes}
    for kind in (bool, int, str, float):
        if kinds == {kind} or (kind is float and kinds == {int, float} and all(float(c) == c for c in classes)):  # type: ignore[arg-type]
            return np.array(classes, {int: np.int64, float: np.float64}.get(kind))
    return np.array([json.dumps(label, ensure_ascii=False) for label in classes], np.str_)


def _entry(archive: zipfile.ZipFile, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> IO[bytes]:
    """An array's entry in an archive, its header written; the date is 1980, so that equal arrays are equal bytes."""
    entry = archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)
    form = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(entry, form)
    return entry
