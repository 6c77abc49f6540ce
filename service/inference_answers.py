"""Answers of the Open Inference Protocol: a predictor's outputs for the tensors of a request, as JSON and binary."""

import math
from dataclasses import dataclass

import numpy as np
import orjson

from core.predictor import Predictor
from core.schema import ClassTarget, JsonScalar, class_key
from service.arrays import InputsRefused
from service.inference_schemas import INPUT, MASK, OUTPUT, InferRequest, OutputParameters
from service.model_names import Named
from service.tensors import DATATYPES, Array, Tensor


@dataclass(frozen=True)
class Rows:
    """What a predictor takes: inputs (n, *input_shape), perhaps with a mask (n, steps)."""

    inputs: Array
    mask: Array | None
    pointer: str

    @classmethod
    def of(cls, tensors: list[Tensor], predictor: Predictor) -> "Rows":
        """Tell the tensors apart by their names; raises InputsRefused."""
        takes = [INPUT, MASK] if predictor.network.masked else [INPUT]
        by_name = {tensor.name: tensor for tensor in tensors}
        if len(tensors) == 1 and tensors[0].name not in takes:
            by_name = {INPUT: tensors[0]}  # alone, it cannot be mistaken
        if len(by_name) < len(tensors) or INPUT not in by_name or not by_name.keys() <= set(takes):
            raise InputsRefused("/inputs", f"This model takes {' and '.join(map(repr, takes))}, each at most once.")
        given = by_name[INPUT]
        shape, n = predictor.input_shape, len(given.values)
        if given.values.shape not in ((n, *shape), (n, math.prod(shape))):
            detail = f"The model takes rows of {list(shape)}, which makes the shape {[n, *shape]}: rows come first."
            raise InputsRefused(f"{given.pointer}/shape", detail)
        mask = by_name.get(MASK)
        if mask is None:
            return cls(given.values.reshape(n, *shape), None, given.pointer)
        if mask.values.shape != (n, shape[0]):
            raise InputsRefused(f"{mask.pointer}/shape", f"The mask of these inputs has the shape {[n, shape[0]]}.")
        if not ((mask.values == 0) | (mask.values == 1)).all():
            raise InputsRefused(mask.pointer, "A mask holds 1 for the steps that count and 0 for padding.")
        return cls(given.values.reshape(n, *shape), mask.values, given.pointer)


def wanted(request: InferRequest, predictor: Predictor) -> OutputParameters:
    """How the output is wanted; raises InputsRefused for another output and for what is not supported."""
    parameters = request.parameters
    if parameters is not None and any(name.startswith("sequence_") for name in parameters.names()):
        detail = "No model here keeps a state between requests, so sequence_id and its like are not supported."
        raise InputsRefused("/parameters", detail)
    binary = parameters is not None and parameters.binary_data_output
    if not request.outputs:
        return OutputParameters(binary_data=binary)
    if [output.name for output in request.outputs] != [OUTPUT]:
        raise InputsRefused("/outputs", f"A model has one output, {OUTPUT!r}; ask for it once, or leave this out.")
    form = request.outputs[0].parameters or OutputParameters()
    if any(name.startswith("shared_memory") for name in form.names()):
        raise InputsRefused("/outputs/0/parameters", "Shared memory is not supported: take the tensor in the answer.")
    if form.classification is not None and not isinstance(predictor.schema.target, ClassTarget):
        detail = "This model gives numbers, not classes: leave `classification` out."
        raise InputsRefused("/outputs/0/parameters/classification", detail)
    return form if form.binary_data is not None else form.model_copy(update={"binary_data": binary})


def encode(
    named: Named, request: InferRequest, form: OutputParameters, predictor: Predictor, outputs: Array
) -> tuple[bytes, int | None]:
    """The body of the answer, and how much of it is JSON where something stands behind."""
    answer: dict[str, object] = {"model_name": named.name, "model_version": str(named.version)}
    if request.id is not None:
        answer["id"] = request.id
    if form.classification is None:
        tensor = {"name": OUTPUT, "datatype": DATATYPES[outputs.dtype], "shape": outputs.shape}
        data: object = np.ascontiguousarray(outputs).reshape(-1)
        binary = outputs.tobytes() if form.binary_data else b""
    else:
        texts = _classes(predictor, outputs, form.classification)
        tensor = {"name": OUTPUT, "datatype": "BYTES", "shape": (len(outputs), len(texts) // len(outputs))}
        data = texts
        coded = [text.encode() for text in texts] if form.binary_data else []
        binary = b"".join(len(text).to_bytes(4, "little") + text for text in coded)
    if not form.binary_data:
        answer["outputs"] = [{**tensor, "data": data}]
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), None
    answer["outputs"] = [{**tensor, "parameters": {"binary_data_size": len(binary)}}]
    head = orjson.dumps(answer)
    return head + binary, len(head)


def _classes(predictor: Predictor, outputs: Array, count: int) -> list[str]:
    """Row by row the likeliest classes, as `<value>:<index>:<class>`."""
    target = predictor.schema.target
    assert isinstance(target, ClassTarget)
    places = {class_key(label): place for place, label in enumerate(target.classes)}
    return [
        f"{ranked['probability']!r}:{places[class_key(ranked['class'])]}:{_text(ranked['class'])}"
        for row in predictor.label(outputs, min(count, len(target.classes)))
        for ranked in row["top"]
    ]


def _text(label: JsonScalar) -> str:
    return label if isinstance(label, str) else orjson.dumps(label).decode()
