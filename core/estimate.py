"""Does the training spec fit the data, and what will it cost? Answered before anything is allocated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from core.categories import check_scale
from core.compiled.build import find
from core.data import validation_rows
from core.footprint import Footprint
from core.layers.layer import Layer, Misfit
from core.masks import check_masks
from core.network import Network, Placed
from core.schema import ClassTarget, DataSchema, class_key
from core.spec import Finding, Spec, SpecError
from core.trace import MOST_POINTS, in_one_batch, looking_bytes, path_bytes, trace_findings
from core.training_spec import TrainingSpec, ValidationDataset, ValidationFraction

_COUNTABLE = 2**62
_MEMORY = 2**50  # a petabyte: beyond it the sizes are a mistake, whatever the machine


class Estimate(Spec):
    """The number of parameters, floating-point operations per epoch, and bytes of memory at the peak.

    The peak is that of a trainer beyond its bare process, with one checkpoint on its way to the worker. Memory-mapped
    data are not in it: the kernel may drop their pages at any time.
    """

    parameters: int
    flops_per_epoch: int
    memory_bytes: int


def check(spec: TrainingSpec, schema: DataSchema, validation: DataSchema | None) -> Estimate:
    """The cost of a run; raises SpecError, with all that does not fit, where it cannot run."""
    network = Network.trace(spec.network.layers, schema.input_shape)
    errors = [
        *check_scale(network, spec.preprocessing, schema),
        *check_masks(network, schema, "/dataset"),
        *_augmentation(spec, network, schema),
        *_examined("/network", network.layers),
        *_output(spec, network, schema),
        *_rows(spec, network, schema),
        *_metrics(spec, schema),
        *_stopping(spec, schema),
        *_validation(spec, network, schema, validation),
        *trace_findings(spec, network, training_rows(spec, schema.rows)),
    ]
    if errors:
        raise SpecError(errors)
    estimate = _estimate(spec, network, schema, validation)
    if estimate.memory_bytes > _MEMORY or estimate.flops_per_epoch > _COUNTABLE:
        detail = (
            f"With {estimate.parameters:,} parameters this would need {estimate.memory_bytes / 1e12:,.0f} TB of memory "
            f"and {estimate.flops_per_epoch:.1e} operations per epoch: make the layers smaller."
        )
        raise SpecError([Finding("/network/layers", detail)])
    return estimate


def training_rows(spec: TrainingSpec, rows: int) -> int:
    """How many of the dataset's rows are trained on."""
    if isinstance(spec.validation, ValidationFraction):
        return rows - validation_rows(rows, spec.validation.fraction)
    return rows


def _augmentation(spec: TrainingSpec, network: Network, schema: DataSchema) -> Iterator[Finding]:
    looked_up = next((at.layer.type for at in network.layers if at.layer.categories() is not None), None)
    for index, step in enumerate(spec.augmentation):
        try:
            step.check(schema.input_shape)
            if looked_up is not None and not step.moves:
                detail = (
                    f"The {looked_up} layer wants whole numbers as they are, but {step.type} changes them: remove it."
                )
                raise Misfit(None, detail)
        except Misfit as misfit:
            field = "" if misfit.field is None else f"/{misfit.field}"
            yield Finding(f"/augmentation/{index}{field}", misfit.detail)


def _examined(path: str, layers: Sequence[Placed]) -> Iterator[Finding]:
    for index, at in enumerate(layers):
        try:
            at.layer.examine()
        except Misfit as misfit:
            field = "" if misfit.field is None else f"/{misfit.field}"
            yield Finding(f"{path}/layers/{index}{field}", misfit.detail)
        yield from _examined(f"{path}/layers/{index}", at.inner)


def _output(spec: TrainingSpec, network: Network, schema: DataSchema) -> Iterator[Finding]:
    target, loss, last = schema.target, spec.loss, len(spec.network.layers) - 1
    if not network.size:
        yield Finding("/network/layers", 'There is nothing to learn here: add a {"type": "dense", ...} layer.')
        return
    if loss.classes_only and not isinstance(target, ClassTarget):
        detail = (
            f"{loss.type} is for classes, but the target of this dataset is real numbers: "
            'use {"type": "mean_squared_error"} or {"type": "quadratic"}.'
        )
        yield Finding("/loss/type", detail)
        return
    for field, detail in loss.misfits(target):
        yield Finding(f"/loss/{field}", detail)
    for path, layer in _behind_the_logits("/network", network.layers) if loss.logits else ():
        detail = (
            f"{loss.type} makes the probabilities itself, out of numbers of any size: remove this "
            f"{layer.type} layer, so that the network ends in a plain dense layer."
        )
        yield Finding(path, detail)
    widths = loss.widths(target)
    if network.output_shape not in {(width,) for width in widths}:
        has = f"the dataset has {target.width} classes"
        if not isinstance(target, ClassTarget):
            has = f"the target of the dataset has {target.width}"
        gives = " x ".join(map(str, network.output_shape))
        detail = (
            f"The last layer gives {gives} number{'s' * (network.output_shape != (1,))} per example but {has}: "
            f"{_ending(network, widths)}."
        )
        yield Finding(f"/network/layers/{last}", detail)


def _ending(network: Network, widths: Sequence[int]) -> str:
    """What to do so that the network gives one of these widths, the usual one first."""
    dense, shape = f'{{"type": "dense", "units": {widths[0]}}}', network.output_shape
    if len(shape) == 1:
        return f"end with {dense}"
    if getattr(network.layers[-1].layer, "sequence", False):
        return f'give this layer "sequence": false, and end with {dense}'
    if prod(shape) in widths:
        return 'end with {"type": "flatten"}'
    return f'end with {{"type": "flatten"}}, {dense}'


def _behind_the_logits(path: str, layers: Sequence[Placed]) -> Iterator[tuple[str, Layer]]:
    """The layers behind the last one with parameters that do more than gather its numbers or rearrange them."""
    learned = [index for index, at in enumerate(layers) if at.learns]
    if learned:
        yield from _behind_the_logits(f"{path}/layers/{learned[-1]}", layers[learned[-1]].inner)
    for index in range(learned[-1] + 1 if learned else 0, len(layers)):
        layer = layers[index].layer
        if not (layer.reshapes or layer.pools):
            yield f"{path}/layers/{index}", layer


def _rows(spec: TrainingSpec, network: Network, schema: DataSchema) -> Iterator[Finding]:
    rows = training_rows(spec, schema.rows)
    if isinstance(spec.validation, ValidationFraction) and schema.rows < 2:
        detail = "A dataset of one row cannot be split into training and validation rows: give it more rows."
        yield Finding("/validation/fraction", detail)
    elif spec.batch_size > rows:
        detail = f"The batch size is {spec.batch_size} but there are only {rows} training rows: use at most {rows}."
        yield Finding("/batch_size", detail)
    elif spec.batch_size == 1 and any(
        at.layer.type == "batch_norm" and prod(at.input_shape[:-1]) == 1 for at in network.walk()
    ):
        detail = "In a batch of one example there is nothing to normalise over: use a larger batch, or layer_norm."
        yield Finding("/batch_size", detail)


def _metrics(spec: TrainingSpec, schema: DataSchema) -> Iterator[Finding]:
    names: set[str] = set()
    for index, metric in enumerate(spec.metrics):
        at = f"/metrics/{index}"
        if spec.validation is None:
            yield Finding(at, "Metrics are measured on validation data: set validation.")
        if metric.for_classes != isinstance(schema.target, ClassTarget):
            is_for, has = ("classes", "real numbers") if metric.for_classes else ("real targets", "classes")
            yield Finding(at, f"{metric.type} is for {is_for}, but the target of this dataset is {has}: remove it.")
        elif (misfit := metric.misfit(schema.target.width)) is not None:
            yield Finding(at if misfit.field is None else f"{at}/{misfit.field}", misfit.detail)
        if metric.name in names:
            yield Finding(at, f"{metric.name} stands here twice: remove one.")
        names.add(metric.name)


def _stopping(spec: TrainingSpec, schema: DataSchema) -> Iterator[Finding]:
    at, stopping = "/early_stopping/metric", spec.early_stopping
    if stopping is None:
        return
    always = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    asked = {f"validation_{metric.name}": metric.is_number for metric in spec.metrics}
    if stopping.metric not in always and not asked.get(stopping.metric):
        numbers = ", ".join([*always, *(name for name, is_number in asked.items() if is_number)])
        detail = f"{stopping.metric} is not a number that is measured here; there are {numbers}, and more with metrics."
        yield Finding(at, detail)
    elif stopping.metric.startswith("validation") and spec.validation is None:
        detail = f"{stopping.metric} is not measured without validation: set validation, or watch train_loss."
        yield Finding(at, detail)
    elif (
        stopping.metric in always
        and stopping.metric.endswith("accuracy")
        and not isinstance(schema.target, ClassTarget)
    ):
        yield Finding(at, "There is no accuracy for real targets: watch a loss instead.")


def _validation(
    spec: TrainingSpec, network: Network, schema: DataSchema, other: DataSchema | None
) -> Iterator[Finding]:
    at = "/validation/dataset"
    if not isinstance(spec.validation, ValidationDataset) or other is None:
        return
    if other.input_shape != schema.input_shape:
        shapes = (" x ".join(map(str, s.input_shape)) for s in (schema, other))
        yield Finding(at, "Training examples are {} but validation examples are {}.".format(*shapes))
    yield from check_masks(network, other, at)
    ours, theirs = schema.target, other.target
    if isinstance(ours, ClassTarget) and isinstance(theirs, ClassTarget):
        known = {class_key(label) for label in ours.classes}
        strange = [label for label in theirs.classes if class_key(label) not in known]
        if strange:
            yield Finding(
                at, f"It has {len(strange)} classes that the training data have not, such as {strange[0]!r:.80}."
            )
    elif ours.kind != theirs.kind:
        yield Finding(at, f"Training targets are of kind {ours.kind} but validation targets of kind {theirs.kind}.")
    elif ours.width != theirs.width:
        yield Finding(at, f"Training targets are {ours.width} numbers wide but validation targets {theirs.width}.")


def _estimate(spec: TrainingSpec, network: Network, schema: DataSchema, validation: DataSchema | None) -> Estimate:
    rows = training_rows(spec, schema.rows)
    validated = 0 if spec.validation is None else schema.rows - rows
    other = validation if isinstance(spec.validation, ValidationDataset) else None
    if other is not None:
        validated = other.rows
    # Where nothing has been compiled NumPy may do the work, which takes more.
    footprint = Footprint(
        spec, network, schema, other, rows=rows, validated=validated, compiled=find(spec.dtype) is not None
    )
    forward = network.flops
    return Estimate(
        parameters=network.size,
        flops_per_epoch=3 * forward * rows + forward * validated,
        memory_bytes=footprint.peak if not spec.trace.surface else _traced(spec, network, schema, footprint.peak, rows),
    )


def _traced(spec: TrainingSpec, network: Network, schema: DataSchema, peak: int, rows: int) -> int:
    """The peak of a run that records its path, and goes down once more with all rows in one batch."""
    path, once_more = path_bytes(spec, network, rows), in_one_batch(spec, rows, MOST_POINTS)
    of_rows = schema.model_copy(update={"rows": rows})
    careful = _estimate(once_more, network, of_rows, None).memory_bytes
    looking = looking_bytes(network)
    return max(peak + path, careful + looking + 2 * path)
