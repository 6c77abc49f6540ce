"""The model card: what a person should know about a model before it is used, in Markdown."""

import json
from collections.abc import Iterable, Sequence
from math import isfinite, log10, prod
from typing import Any

from pydantic import TypeAdapter

from core.checkpoint import CLOCKS, Checkpoint
from core.layers.softmax import Softmax
from core.losses import AnyLoss, Loss
from core.network import Network, NetworkSpec
from core.schema import ClassTarget
from store.datasets import DatasetRecord
from store.records import ModelRecord

CURVES = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")
_LOSS: TypeAdapter[Loss] = TypeAdapter(AnyLoss)
WIDTH = 60  # signs, of the picture of a curve
STEPS = "▁▂▃▄▅▆▇█"
PREPARED = {
    "divide": "divided by {by:g}",
    "standardize": "each less its mean over the training rows, divided by its deviation",
}


def card(record: ModelRecord, checkpoint: Checkpoint, data: DatasetRecord | None, epochs: list[dict[str, Any]]) -> str:
    """The card of a model; `data` and the metrics of `epochs` as far as they are still there."""
    network = Network.trace(
        NetworkSpec.model_validate(checkpoint.spec["network"]).layers, checkpoint.schema.input_shape
    )
    parts = [
        f"# {record.name}, version {record.version}",
        _summary(network, checkpoint),
        "## Data",
        _table(("", ""), _data(record, checkpoint, data)),
        *_named(network, checkpoint),
        "## Network",
        _table(("layer", "type", "gives", "parameters"), _layers(network)),
        "## Training",
        f"The whole spec, with every default:\n\n{_json(record.spec, indent=2)}",
        "## Learning curve",
        _curves(epochs),
        "## Metrics",
        f"Of the checkpoint that became the model, after epoch {checkpoint.epoch}:",
        _table(("metric", "value"), _metrics(record.metrics)),
        *(f"`{name}`:\n\n{_json(value)}" for name, value in record.metrics.items() if isinstance(value, list | dict)),
        "## Lineage",
        _table(("", ""), _lineage(record)),
        "## Limits",
        "\n".join(f"- {limit}" for limit in _limits(record, network, checkpoint)),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(network: Network, checkpoint: Checkpoint) -> str:
    each = ", one for each class" if len(_classes(checkpoint)) == prod(network.output_shape) else ""
    each = ", for the second of its two classes" if _speaks_for_the_second(network, checkpoint) else each
    return (
        f"A neural network of {len(network.layers)} layers with {network.size:,} parameters, trained by Nudge. "
        f"It takes {_size(network.input_shape)} numbers and gives {_size(network.output_shape)}{each}."
    )


def _named(network: Network, checkpoint: Checkpoint) -> Iterable[str]:
    if _classes(checkpoint):
        one = _speaks_for_the_second(network, checkpoint)
        head = "Classes, of which the output is for the second:" if one else "Classes, in the order of the outputs:"
        yield f"{head}\n\n{_json(_classes(checkpoint))}"


def _speaks_for_the_second(network: Network, checkpoint: Checkpoint) -> bool:
    return len(_classes(checkpoint)) == 2 and prod(network.output_shape) == 1


def _data(record: ModelRecord, checkpoint: Checkpoint, data: DatasetRecord | None) -> Iterable[tuple[str, object]]:
    schema, spec = checkpoint.schema, checkpoint.spec
    yield "dataset", f"{data.name}, version {data.version}" if data else "deleted since"
    yield "id", f"`{record.dataset_id}`"
    yield "digest", f"`{record.dataset_digest}`"
    yield "rows trained on", f"{schema.rows:,}"
    yield "one input", f"{_size(schema.input_shape)} of {schema.input_dtype}"
    steps = [PREPARED[str(step["type"])].format(**step) for step in checkpoint.preprocessing]
    yield "prepared", "; then ".join(steps) or "as it is"
    yield "augmented", ", ".join(step["type"] for step in spec["augmentation"]) or "no"
    yield "validated on", _validation(record)


def _validation(record: ModelRecord) -> str:
    told = record.spec.get("validation")
    if told is None:
        return "nothing"
    return f"`{told['dataset']}`" if "dataset" in told else f"{told['fraction']:.0%} of the rows, set aside by the seed"


def _layers(network: Network) -> Iterable[tuple[object, ...]]:
    for number, at in enumerate(network.layers):
        size = sum(prod(piece.variable.shape) for inner in at.walk() for piece in inner.parameters)
        within = f" of {', '.join(inner.layer.type for inner in at.inner)}" if at.inner else ""
        yield number, at.layer.type + within, _size(at.output_shape), f"{size:,}"


def _metrics(metrics: dict[str, Any]) -> Iterable[tuple[str, object]]:
    for name, value in metrics.items():
        if value is not None and not isinstance(value, list | dict) and name not in CLOCKS:
            yield name, f"{value:.6g}"


def _lineage(record: ModelRecord) -> Iterable[tuple[str, object]]:
    yield "model", f"`{record.id}`"
    yield "job", f"`{record.job_id}`"
    yield "checkpoint", f"`{record.checkpoint_id}`"
    yield "digest of the checkpoint", f"`{record.digest}`"
    origin = record.spec.get("from_checkpoint") or record.spec.get("from_weights")
    yield "began with", f"the weights of `{origin}`" if origin else f"weights drawn from the seed {record.spec['seed']}"
    yield "made", f"{record.created_at:%Y-%m-%d %H:%M} UTC"


def _limits(record: ModelRecord, network: Network, checkpoint: Checkpoint) -> Iterable[str]:
    if record.spec.get("validation") is None:
        yield "It was measured on the rows that it learned from alone: how it does on others is not known."
    else:
        yield "It was measured on data like those it learned from: how it does on others is not known."
    if _classes(checkpoint):
        yield "It names one of its classes for every input, also for one that belongs to none of them."
        if _LOSS.validate_python(checkpoint.spec["loss"]).logits or isinstance(network.layers[-1].layer, Softmax):
            yield "Its probabilities were not calibrated."
        else:
            yield "What it gives a class is no probability: it is the network's output as it is."
    yield "Inputs must be as those of the dataset were: the same order, units and range."
    if checkpoint.schema.places("mask"):
        yield "It was trained with masks of its sequences: sequences that are padded need theirs."
    yield "Fairness, privacy and robustness were not examined."


def _curves(epochs: list[dict[str, Any]]) -> str:
    found = {name: [row.get(name) for row in epochs] for name in CURVES}
    known = {name: values for name, values in found.items() if any(value is not None for value in values)}
    if not known:
        return "The job was deleted, and its metrics with it."
    wide = max(map(len, known))
    lines = [f"{name:{wide}}  {_picture(values, name.endswith('loss'))}" for name, values in known.items()]
    return f"From epoch 1 to {len(epochs)}; losses on a logarithmic scale.\n\n```text\n" + "\n".join(lines) + "\n```"


def _picture(values: Sequence[float | None], logarithmic: bool) -> str:
    """A curve in signs of eight heights, thinned to WIDTH, with its first and last value."""
    thin = [values[round(i * (len(values) - 1) / (WIDTH - 1))] for i in range(WIDTH)] if len(values) > WIDTH else values
    heights = [_height(value, logarithmic) for value in thin]
    there = [height for height in heights if height is not None]
    if not there:
        return ""
    low, span = min(there), (max(there) - min(there)) or 1.0
    signs = (" " if h is None else STEPS[round((h - low) / span * (len(STEPS) - 1))] for h in heights)
    ends = [value for value in values if value is not None]
    return f"{''.join(signs)}  {ends[0]:.4g} to {ends[-1]:.4g}"


def _height(value: float | None, logarithmic: bool) -> float | None:
    if value is None or not isfinite(value):
        return None
    return log10(max(value, 1e-12)) if logarithmic else value


def _classes(checkpoint: Checkpoint) -> tuple[Any, ...]:
    target = checkpoint.schema.target
    return target.classes if isinstance(target, ClassTarget) else ()


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _json(value: object, indent: int | None = None) -> str:
    return f"```json\n{json.dumps(value, indent=indent, ensure_ascii=False)}\n```"


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
