"""Models: trained networks, to ask for predictions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from client.arrays import as_example, to_list
from client.errors import InputError, NudgeError
from client.explanations import Explanation, TeachingRow
from client.gradient_check import GradientCheck
from client.row_ranges import Rows, as_rows
from client.schemas import Alias, Dataset, Evaluation, ModelRecord, Page, Predictions
from client.transport import Transport
from client.what_if import WhatIf

EVALUATION_TIMEOUT_S = 300.0


class Model:
    """One trained network; `record` tells where it came from."""

    def __init__(self, transport: Transport, record: ModelRecord) -> None:
        self._transport = transport
        self.record = record

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one raw input; the server is asked."""
        metadata = self._transport.get(f"/v2/models/{self.id}").json()
        return tuple(next(tensor["shape"][1:] for tensor in metadata["inputs"] if tensor["name"] == "inputs"))

    def __repr__(self) -> str:
        return f"<Model {self.id} {self.name!r} version {self.record.version}>"

    def predict(self, inputs: Any, top: int | None = None, *, mask: Any = None) -> Predictions:
        """What the network says to `inputs`: an array or nested lists, shape (n, *input_shape), raw values as
        they were uploaded (the model carries its own preprocessing). `top` asks for the best few classes.
        `mask`, for sequences of unequal length, shape (n, time): 1 for each step that counts, 0 for padding."""
        body: dict[str, Any] = {"inputs": to_list(inputs)} | ({} if mask is None else {"mask": to_list(mask)})
        return self._ask(body, top)

    def predict_rows(
        self, dataset: Dataset | str, offset: int = 0, limit: int = 100, top: int | None = None
    ) -> Predictions:
        """What the network says to rows of a dataset, from number `offset` on, `limit` at most; with its masks."""
        dataset_id = dataset if isinstance(dataset, str) else dataset.id
        return self._ask({"dataset": dataset_id, "offset": offset, "limit": limit}, top)

    def predict_pictures(self, *paths: str | Path, resize: bool = False, top: int | None = None) -> Predictions:
        """What the network says to pictures (PNG, JPEG) of the model's size; `resize` stretches others to it."""
        if not paths:
            raise InputError("Name at least one picture: a PNG or JPEG file.")
        files = [("file", (Path(path).name, Path(path).read_bytes())) for path in paths]
        fields = {"resize": "true" if resize else "false"} | ({} if top is None else {"top": str(top)})
        request = self._transport.http.build_request("POST", self._predict, data=fields, files=files)
        return Predictions.model_validate_json(self._transport.send(request, again=True).content)

    @property
    def _predict(self) -> str:
        return f"/v1/models/{self.id}/predict"

    def _ask(self, body: dict[str, Any], top: int | None) -> Predictions:
        answer = self._transport.post(self._predict, body | ({} if top is None else {"top": top}), again=True)
        return Predictions.model_validate_json(answer.content)

    def evaluate(self, dataset: str | Dataset, *, rows: Rows | None = None, top: int | None = None) -> Evaluation:
        """How well the network does on a dataset, or on some `rows` of it (a range, or how many to pass over and how
        many to take), and the `top` rows that cost most."""
        body: dict[str, Any] = {"dataset": dataset if isinstance(dataset, str) else dataset.id}
        if rows is not None:
            body["rows"] = as_rows(rows)
        if top is not None:
            body["top"] = top
        path = f"/v1/models/{self.id}/evaluate"
        answer = self._transport.post(path, body, again=True, timeout=EVALUATION_TIMEOUT_S)
        return Evaluation.model_validate_json(answer.content)

    def etag(self) -> str:
        """The ETag of the model as it is now, for `if_match`; `record` is brought up to that."""
        answer = self._transport.get(f"/v1/models/{self.id}")
        self.record = ModelRecord.model_validate_json(answer.content)
        return str(answer.headers["etag"])

    def write_notes(self, notes: str, *, if_match: str | None = None) -> "Model":
        """Write the model's notes anew; with `if_match` only while it still has this ETag, else NudgeError (412)."""
        answer = self._transport.change("PATCH", f"/v1/models/{self.id}", {"notes": notes}, if_match=if_match)
        self.record = ModelRecord.model_validate_json(answer.content)
        return self

    def explain(
        self, *, top: int | None = None, layers: Sequence[int] | None = None, whole: bool | None = None, **example: Any
    ) -> Explanation:
        """What every layer wishes, and the three ways to get it, averaged where there are several rows. The example is
        `input` and `target`, or `dataset` (by id) and `row` or `rows`. `top` is how many of the strongest are named;
        `layers` tells only some, and `whole` whether nudges of weights come all."""
        given = {"top": top, "only": layers, "whole": whole}
        body = as_example(example) | {name: value for name, value in given.items() if value is not None}
        answer = self._transport.post(f"/v1/models/{self.id}/explain", body, again=True)
        return Explanation.model_validate_json(answer.content)

    def what_if(
        self, layer: int, parameter: str, index: Sequence[int], delta: float, *, top: int | None = None, **example: Any
    ) -> WhatIf:
        """What a change of one weight (`index` [from, to]) or bias ([to]) of a layer, counted from 0, would do to the
        cost: predicted, measured, layer by layer and path by path. The example is `input` and `target`, or `dataset`
        (by id) and `row` or `rows`."""
        body = {"layer": layer, "parameter": parameter, "index": [*index], "delta": delta} | as_example(example)
        body |= {"top": top} if top is not None else {}
        answer = self._transport.post(f"/v1/models/{self.id}/what-if", body, again=True)
        return WhatIf.model_validate_json(answer.content)

    def gradient_check(
        self,
        gradients: Sequence[dict[str, Any]] = (),
        *,
        top: int | None = None,
        seed: int | None = None,
        layers: Sequence[int] | None = None,
        entries: int | None = None,
        **example: Any,
    ) -> GradientCheck:
        """Backward compared with differences of the cost, and marks for `gradients`: each with `layer`, `parameter` and
        `values`. `seed` draws the directions and entries that are compared; `layers` checks only some, and `entries` is
        how many of each parameter are looked at one by one. The example is `input` and `target`, or `dataset` (by id)
        and `row` or `rows`."""
        own = [
            {**one, "values": to_list(one["values"])} if isinstance(one, Mapping) and "values" in one else one
            for one in gradients
        ]
        given = {"top": top, "seed": seed, "only": layers, "entries": entries}
        body = as_example(example) | {"gradients": own}
        body |= {name: value for name, value in given.items() if value is not None}
        answer = self._transport.post(f"/v1/models/{self.id}/gradient-check", body, again=True)
        return GradientCheck.model_validate_json(answer.content)

    def rows(
        self,
        dataset: str,
        order: str = "loss",
        *,
        offset: int | None = None,
        count: int | None = None,
        limit: int | None = None,
    ) -> Page[TeachingRow]:
        """The rows of a dataset (by id) that cost most, or that push hardest (`order="gradient_norm"`), hardest first.
        `offset` and `count` look at some of them only."""
        path = f"/v1/models/{self.id}/rows"
        answer = self._transport.get(path, dataset=dataset, order=order, offset=offset, count=count, limit=limit)
        return Page[TeachingRow].model_validate_json(answer.content)

    def export(self, form: str = "onnx") -> bytes:
        """The model as a file: `onnx`, `safetensors`, `npz`, or `card`, a description in Markdown."""
        return self._transport.get(f"/v1/models/{self.id}/export", format=form).content

    def delete(self, *, if_match: str | None = None) -> None:
        """Delete the model; its job and checkpoints stay. Refused (409) while an alias points at it, and (412) where it
        has no more the ETag `if_match`."""
        self._transport.delete(f"/v1/models/{self.id}", if_match=if_match)


class Models:
    """`client.models`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, model: str) -> Model:
        """The model with this id, the newest version of this name, or the one that `name@version` or `name@alias`
        names."""
        if not model.startswith("mdl_") and "@" not in model:
            page = self.list(name=model, limit=1)
            if not page.data:
                raise NudgeError(
                    f"There is no model named {model!r}; `nudge models list` shows what there is.", status=404
                )
            return Model(self._transport, page.data[0])
        answer = self._transport.get(f"/v1/models/{model}")
        return Model(self._transport, ModelRecord.model_validate_json(answer.content))

    def list(
        self, *, name: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page[ModelRecord]:
        """Some of the models, newest first."""
        answer = self._transport.get("/v1/models", name=name, limit=limit, cursor=cursor)
        return Page[ModelRecord].model_validate_json(answer.content)

    def create(self, checkpoint: str, name: str, notes: str = "") -> Model:
        """Make a model of any checkpoint."""
        answer = self._transport.post("/v1/models", {"checkpoint": checkpoint, "name": name, "notes": notes})
        return Model(self._transport, ModelRecord.model_validate_json(answer.content))

    def aliases(self, name: str, limit: int | None = None, cursor: str | None = None) -> Page[Alias]:
        """The aliases of a name, the one that was moved last first."""
        answer = self._transport.get(f"/v1/models/{name}/aliases", limit=limit, cursor=cursor)
        return Page[Alias].model_validate_json(answer.content)

    def alias(self, name: str, alias: str) -> Alias:
        """Where an alias points, with its ETag."""
        answer = self._transport.get(f"/v1/models/{name}/aliases/{alias}")
        found = Alias.model_validate_json(answer.content)
        return found.model_copy(update={"etag": answer.headers["etag"]})

    def set_alias(
        self, name: str, alias: str, version: int, *, if_match: str | None = None, new: bool = False
    ) -> Model:
        """Point an alias at a version, and return the model that it is. With `if_match` only while the alias still
        has this ETag, with `new` only if it is not there yet; else NudgeError (412)."""
        path = f"/v1/models/{name}/aliases/{alias}"
        answer = self._transport.change("PUT", path, {"version": version}, if_match=if_match, new=new)
        return Model(self._transport, ModelRecord.model_validate_json(answer.content))

    def remove_alias(self, name: str, alias: str, *, if_match: str | None = None) -> None:
        """Remove an alias; the model stays."""
        self._transport.delete(f"/v1/models/{name}/aliases/{alias}", if_match=if_match)
