"""Datasets: upload, list, look into, delete."""

import builtins
import gzip
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from client.arrays import to_list, to_npy
from client.schemas import Dataset, Page, Row
from client.transport import Transport

ENDINGS = re.compile(
    r"([-._](images|inputs|x))?[-.](idx\d?-ubyte|idx|npy|npz|csv|jsonl|ndjson|parquet|txt)(\.gz)?$", re.IGNORECASE
)
UPLOAD_TIMEOUT_S = 600.0


class Datasets:
    """`client.datasets`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(
        self,
        *paths: str | Path,
        images: str | Path | None = None,
        labels: str | Path | None = None,
        x: Any = None,
        y: Any = None,
        name: str | None = None,
        format: str | None = None,  # noqa: A002  the name the API gives it
        options: Mapping[str, Any] | None = None,
    ) -> Dataset:
        """Upload one dataset and return it.

        Give either a file (CSV, JSON Lines, NPZ, Parquet), or a pair of files (IDX images and labels in any
        order, or NPY inputs and targets), or `images=` and `labels=`, or arrays or lists `x` and `y`. Files
        are streamed. `name` is taken from the file when it is not given. `options` say how to read (target
        column, delimiter, ...). Raises NudgeError with a finding for each bad row.
        """
        files: dict[str, Path | bytes] = {}
        if images is not None and labels is not None:
            files = {"images": Path(images), "labels": Path(labels)}
        elif x is not None and y is not None:
            packed = {"x": to_npy(x), "y": to_npy(y)}
            if packed["x"] is None or packed["y"] is None:
                return self._upload_lists(x, y, name or "data", options)
            files = {field: data for field, data in packed.items() if data is not None}
        elif paths:
            files = dict(parts(*(Path(path) for path in paths)))
        else:
            raise ValueError("Name a file, or both images= and labels=, or both x= and y=.")
        first = next(iter(files.values()))
        form = {"name": name or (name_of(first) if isinstance(first, Path) else "data"), "format": format}
        form["options"] = json.dumps(dict(options)) if options else None
        return self._upload_files({field: value for field, value in form.items() if value}, files)

    def get(self, dataset: str) -> Dataset:
        """The dataset with this id."""
        return Dataset.model_validate_json(self._transport.get(f"/v1/datasets/{dataset}").content)

    def list(self, limit: int | None = None, cursor: str | None = None) -> Page[Dataset]:
        """Some of the datasets, newest first."""
        answer = self._transport.get("/v1/datasets", limit=limit, cursor=cursor)
        return Page[Dataset].model_validate_json(answer.content)

    def __iter__(self) -> Iterator[Dataset]:
        """All datasets, newest first."""
        cursor: str | None = None
        while True:
            page = self.list(limit=200, cursor=cursor)
            yield from page.data
            cursor = page.next_cursor
            if cursor is None:
                return

    def rows(self, dataset: str, offset: int = 0, limit: int = 10) -> builtins.list[Row]:
        """The rows from number `offset` on, `limit` at most; fewer where they are very wide."""
        answer = self._transport.get(f"/v1/datasets/{dataset}/rows", offset=offset, limit=limit)
        return Page[Row].model_validate_json(answer.content).data

    def delete(self, dataset: str) -> None:
        """Delete a dataset; refused (409) while a job uses it."""
        self._transport.delete(f"/v1/datasets/{dataset}")

    def _upload_files(self, form: Mapping[str, str], files: Mapping[str, Path | bytes]) -> Dataset:
        with ExitStack() as stack:
            sent: dict[str, tuple[str, IO[bytes]]] = {}
            for field, data in files.items():
                if isinstance(data, Path):
                    sent[field] = (data.name, stack.enter_context(data.open("rb")))
                else:
                    sent[field] = (f"{field}.npy", io.BytesIO(data))
            request = self._transport.http.build_request(
                "POST", "/v1/datasets", data=dict(form), files=sent, timeout=UPLOAD_TIMEOUT_S
            )
            return Dataset.model_validate_json(self._transport.send(request, again=False).content)

    def _upload_lists(self, x: Any, y: Any, name: str, options: Mapping[str, Any] | None) -> Dataset:
        body = {"name": name, "x": to_list(x), "y": to_list(y)} | ({"options": dict(options)} if options else {})
        return Dataset.model_validate_json(self._transport.post("/v1/datasets", body).content)


def parts(*paths: Path) -> Iterator[tuple[str, Path]]:
    """The form field of each file: one `file`, or IDX `images` and `labels`, or NPY `x` and `y`.

    Of two IDX files the one with one dimension holds the labels, in whatever order they are named.
    """
    if len(paths) == 1:
        yield "file", paths[0]
        return
    if len(paths) != 2:
        raise ValueError("A dataset is one file, or two: images and labels (IDX), or inputs and targets (NPY).")
    heads = [_head(path) for path in paths]
    if all(head.startswith(b"\x93NUMPY") for head in heads):
        yield from zip(("x", "y"), paths, strict=True)
        return
    if not all(head[:2] == b"\0\0" for head in heads):
        raise ValueError(f"{paths[0].name} and {paths[1].name} are no pair of IDX or NPY files.")
    labels_first = heads[0][3] == 1
    yield "images", paths[1 if labels_first else 0]
    yield "labels", paths[0 if labels_first else 1]


def name_of(path: Path) -> str:
    """A name for a dataset, from the name of its file: `digits` for `digits-images.idx3-ubyte.gz`."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", ENDINGS.sub("", path.name)).lstrip("._-")[:64]
    return stem if stem and not re.match(r"(ds|job|ckpt|mdl|wts)_", stem) else "data"


def _head(path: Path) -> bytes:
    with path.open("rb") as plain:
        head = plain.read(8)
    if head.startswith(b"\x1f\x8b"):
        with gzip.open(path) as packed:
            head = packed.read(8)
    return head.ljust(8, b"\xff")
