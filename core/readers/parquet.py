"""Parquet, read in a process of its own: pyarrow, an optional extra, can be made to abort by a malformed file."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from core.readers.draft import Draft
from core.readers.errors import DataError, RowError, TooLarge
from core.readers.options import ReadOptions
from core.schema import DataSchema

MISSING = (
    "This server reads no Parquet, which needs an extra: install nudge-training[parquet] there, "
    "or upload the data as CSV or NPZ."
)
DAMAGED = "The Parquet file is damaged or of an unknown kind: write it once more."


def read_parquet(path: Path, draft: Draft, options: ReadOptions) -> DataSchema:
    """Read a Parquet file of scalar columns; features must be numeric, the target may be text."""
    if importlib.util.find_spec("pyarrow") is None:
        raise DataError(MISSING)
    job = {
        "path": str(path.absolute()),
        "folder": str(draft.folder.absolute()),
        "limits": asdict(draft.limits),
        "options": options.model_dump_json(),
    }
    child = subprocess.run(
        [sys.executable, "-P", "-m", "core.readers.parquet_table"],
        input=json.dumps(job),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "ARROW_DEFAULT_MEMORY_POOL": "system",
        },
    )
    if child.returncode != 0:
        raise DataError(DAMAGED)
    return _outcome(json.loads(child.stdout))


def _outcome(told: dict[str, object]) -> DataSchema:
    """The schema that the process tells, or the exception."""
    match told:
        case {"schema": schema}:
            return DataSchema.model_validate(schema)
        case {"sentence": str(sentence), "errors": list(errors), "total": int() | None as total}:
            raise DataError(sentence, [RowError(**error) for error in errors], total)
        case {"sentence": str(sentence), "limit": str(limit), "value": int(value)}:
            raise TooLarge(limit, value, sentence)
        case {"errno": int(number)}:
            raise OSError(number, os.strerror(number))
    raise DataError(DAMAGED)
