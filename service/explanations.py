"""Explanations: the backpropagation of one example, or of the average of several, laid open."""

from typing import Annotated, Any, Literal

import numpy as np
import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from core.explanations.backpropagation import Examples
from core.explanations.explanation import Detail, NotFinite, explain
from core.explanations.subject import Subject
from core.schema import JsonScalar
from core.spec import Flag, SpecError
from service.answers import JSON
from service.arrays import InputsRefused
from service.dependencies import json_body, opened, resolved_model, tenant
from service.examples import ExampleRequest, read_examples
from service.limits import AnswerTooLarge, TooManyRows, TooMuchWork, check_work
from service.only import Only, chosen
from service.openapi import JSON_BODY, document_body, refuses
from service.parameters import no_parameters
from service.predictions import MODEL_PATH, PlainRoute
from store.errors import NotFound

router = APIRouter(tags=["models"], route_class=PlainRoute)
# Operations and numbers that are done at once in the event loop (a few milliseconds): a thread costs 0.2 ms more.
AT_ONCE = 2_000_000
FEW_NUMBERS = 50_000
FEW_LAYERS = 20
WAY_OUT = 'Ask for a smaller "top", for "whole": false, or for "only" some layers.'

Values = Annotated[list[Any], Field(description="Numbers, nested as the shape says.")]
Top = Annotated[int, Field(strict=True, ge=1, lt=2**31)]


class ExplainRequest(ExampleRequest):
    """An example, and how much of it is to be told."""

    top: Top = Field(5, description="How many of the strongest are named: pairs, neurons, weights of the ranking.")
    only: Only = None
    whole: Flag | None = Field(
        None, description="Whether nudges of weights come whole; if left out, those of up to 4,096 numbers do."
    )


class PairView(BaseModel):
    """One weight. For dense layers `index` is [from, to], and the nudge of one example is activation times desire."""

    index: list[int]
    nudge: float | None
    activation: float | None = Field(description="At the end where the weight comes from; null but for dense layers.")
    desire: float | None = Field(description="At the end where it goes to; null but for dense layers.")


class NudgeView(BaseModel):
    """Minus dC/dw for the numbers of a parameter: how the cost wishes them to change."""

    parameter: str = Field(examples=["weights"])
    shape: list[int]
    values: Values | None = Field(description="All of them; null where they are many and not asked for.")
    strongest: list[PairView]


class VoiceView(BaseModel):
    """What one neuron wishes of each before: its desire times the weight between them."""

    neuron: int
    desire: float | None
    wishes: Values


class PreviousDesireView(BaseModel):
    """What a layer wishes of the numbers it is given: minus dC/dx."""

    units: Literal["raw", "activations"] = Field(
        description="`raw` for the first layer: inputs as they were uploaded, before preprocessing."
    )
    summed: Values = Field(description="The wishes of all neurons for each number before, added up.")
    each: list[VoiceView] | None = Field(description="Dense layers: neuron by neuron, those that wish most first.")


class LayerView(BaseModel):
    """One layer. What it does not have is null."""

    index: int = Field(description="From 0, as the spec lists the layers.")
    type: str
    activations: Values = Field(description="What the layer gives, in its own shape: maps and sequences stay such.")
    desire: Values | None = Field(description="What each output wishes: minus dC/d(output).")
    bias_nudge: Values | None = Field(description="Minus dC/db, for `biases` or `shift`; summed over positions.")
    weight_nudge: NudgeView | None = Field(description="Minus dC/dW, for `weights` or `scale`; summed over positions.")
    other_nudges: list[NudgeView] = Field(description="Minus the derivative by what else the layer learns.")
    previous_desire: PreviousDesireView | None
    inner: list["LayerView"] = Field(description="The layers inside a residual block.")


class InputView(BaseModel):
    """The network's input."""

    shape: list[int]
    activations: Values = Field(description="As the network sees it, preprocessed.")
    units: Literal["raw"]
    desire: Values | None = Field(description="Minus dC/d(input as uploaded); null where inputs are looked up.")


class SensitiveView(BaseModel):
    """One weight in the ranking."""

    rank: int
    parameter: str = Field(description="As checkpoints name it.", examples=["layers.1.weights"])
    index: list[int]
    name: str
    derivative: float | None
    sensitivity: float | None = Field(description="|dC/dw|.")
    times: float | None = Field(description="How many times as sensitive as the middle one.")


class SensitivityView(BaseModel):
    """|dC/dw| over all parameters, the largest first."""

    parameters: int
    unmoved: int = Field(description="How many have the derivative 0.")
    ranking: list[SensitiveView]
    middle: SensitiveView | None = Field(description="The median of those that are not 0.")
    says: str


class ExplanationView(BaseModel):
    """What every layer wishes, and the three ways to get it."""

    object: Literal["explanation"]
    rows: int = Field(description="Over how many rows everything is averaged.")
    cost: float | None = Field(description="The data cost, without penalties.")
    classes: list[JsonScalar] | None = Field(
        description="In the order of the outputs; where there is one output for two of them, it is that of the second."
    )
    outputs: Values = Field(description="What a prediction shows.")
    target: Values = Field(description="What the loss compares the outputs with: smoothed where it smooths labels.")
    input: InputView
    layers: list[LayerView] = Field(description="In forward order.")
    sensitivity: SensitivityView
    notes: list[str] = Field(description="How this is to be read.")


_read = json_body(ExplainRequest)


@router.post(
    "/v1/models/{model_id}/explain",
    summary="Explain an example",
    response_model=ExplanationView,
    responses=refuses(*JSON_BODY, SpecError, InputsRefused, TooManyRows, TooMuchWork, AnswerTooLarge, NotFound),
    openapi_extra={
        "parameters": [MODEL_PATH],
        **document_body(
            ExplainRequest,
            {
                "input": {"input": [5.1, 3.5, 1.4, 0.2], "target": "setosa"},
                "row": {"dataset": "ds_01kb8r3v5y8t2n6m4q9w7x1zcd", "row": 17, "top": 10},
                "rows": {"dataset": "ds_01kb8r3v5y8t2n6m4q9w7x1zcd", "rows": [0, 1, 2], "only": [1], "whole": True},
            },
        ),
    },
)
async def explain_example(request: Request) -> Response:
    """What each layer's outputs wish, and how biases, weights and the layer before would have to change for it: in
    evaluation mode, in float64, of the data cost alone."""
    no_parameters(request)
    services, owner = opened(request), tenant(request)
    subject = await services.subjects.get(owner, await resolved_model(request, request.path_params["model_id"]))
    wanted = await _read(request)
    detail = _detail(wanted, subject)
    numbers, limit = detail.numbers(subject.network), services.settings.max_explain_numbers
    if numbers > limit:
        raise AnswerTooLarge(numbers, limit, WAY_OUT)
    examples = await read_examples(services, owner, subject, wanted)
    work = 3 * len(examples) * subject.network.flops
    check_work(services.settings, 3 * subject.network.flops, len(examples))
    try:
        if work <= AT_ONCE and numbers <= FEW_NUMBERS and _is_quick(subject):
            content = _answer(subject, examples, detail)
        else:
            content = await services.compute(_answer, subject, examples, detail)
    except NotFinite:
        detail_ = "The numbers here are so large that the cost or its derivatives are no longer finite."
        raise InputsRefused(_too_large(subject, examples, wanted), detail_) from None
    return Response(content, media_type=JSON)


def _too_large(subject: Subject, examples: Examples, wanted: ExplainRequest) -> str:
    """Where the request names what is too large: the target, where it is larger than what the input makes."""
    if wanted.input is None:
        return "/row" if wanted.row is not None else "/rows"
    outputs = subject.backpropagate(examples).outputs
    return "/target" if np.abs(examples.y).max() > np.abs(outputs).max() else "/input"


def _answer(subject: Subject, examples: Examples, detail: Detail) -> bytes:
    return orjson.dumps(explain(subject, examples, detail), option=orjson.OPT_SERIALIZE_NUMPY)


def _detail(wanted: ExplainRequest, subject: Subject) -> Detail:
    return Detail(wanted.top, chosen(wanted.only, subject.network), wanted.whole)


def _is_quick(subject: Subject) -> bool:
    """Whether going through the layers takes little beyond their operations: sequences are walked step by step."""
    layers = list(subject.network.walk())
    return len(layers) <= FEW_LAYERS and not any(at.layer.masks for at in layers)
