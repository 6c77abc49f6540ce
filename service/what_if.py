"""What if one weight were different: what its derivative predicts, what is measured, and along which paths."""

from typing import Annotated, Literal, Self

import numpy as np
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.responses import Response

from core.explanations.backpropagation import Examples
from core.explanations.paths import NoPaths, Paths
from core.explanations.subject import Subject
from core.explanations.what_if import Ripple, WhatIf, flops, what_if
from core.spec import SpecError
from service.answers import answer
from service.arrays import InputsRefused
from service.dependencies import ModelId, Opened, Tenant, json_body
from service.examples import ExampleRequest, read_examples
from service.limits import TooManyRows, TooMuchWork, check_work
from service.openapi import JSON_BODY, document_body, refuses
from store.errors import NotFound

router = APIRouter(tags=["models"])
Place = Annotated[int, Field(strict=True, ge=0, lt=2**31)]


class WhatIfRequest(ExampleRequest):
    """A change of one weight or bias, and the example, or the rows, whose cost is looked at."""

    layer: Place = Field(description="The layer in the spec, counted from 0.", examples=[2])
    parameter: str = Field(
        max_length=256,
        description='"weight", "bias", or the name of a parameter such as "scale"; inside a residual block its name as '
        'in checkpoints, such as "layers.5.layers.0.weights".',
        examples=["weight"],
    )
    index: list[Place] = Field(
        max_length=8,
        description="The entry: [from, to] for a weight of a dense layer, [to] for a bias; else one for each axis.",
        examples=[[3, 1]],
    )
    delta: Annotated[float, Field(strict=True, allow_inf_nan=False)] = Field(
        description="What is added to it.", examples=[0.01]
    )
    top: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        10, description="How many units of each layer, and how many paths, are told."
    )


class UnitChange(BaseModel):
    """One number that a layer gives, and how it changes: on average where there are several rows."""

    unit: list[int] = Field(description="Its place in the layer's output, one number for each axis.")
    first_order: float | None = Field(description="As its derivative predicts.")
    actual: float | None


class LayerRipple(BaseModel):
    """How a layer's output changes."""

    index: int
    type: str
    first_order_norm: float | None = Field(description="The length of all predicted changes together.")
    actual_norm: float | None
    kinks_crossed: int = Field(
        description="Numbers that came to the other side of a kink, such as a ReLU's, where first order says nothing."
    )
    units: list[UnitChange] = Field(description="Those that change most, the largest change first.")


class PathView(BaseModel):
    """One way from the weight to the cost."""

    units: list[tuple[int, int]] = Field(description="[layer, unit] on the way, wherever there is a choice.")
    factors: list[float | None] = Field(description="The chain rule's: dz/dw, the derivatives between, dC/da.")
    contribution: float | None = Field(description="Their product: this path's part of dC/dw.")


class PathsView(BaseModel):
    """The chain rule, spelled out."""

    count: int = Field(description="How many paths run from the weight to the cost, exactly.")
    total: float | None = Field(description="The sum over all of them, by products of Jacobians from the weight on.")
    absolute: float | None = Field(description="The sum of their absolute values: beside it rounding is to be judged.")
    enumerated: float | None = Field(description="The same sum, path by path; null beyond 100,000 of them.")
    top: list[PathView] = Field(description="The paths that carry most, the heaviest first.")

    @classmethod
    def of(cls, found: Paths, top: int) -> Self:
        """The view of paths, with the `top` heaviest."""
        return cls(
            count=found.count,
            total=found.total,
            absolute=found.absolute,
            enumerated=found.enumerated(),
            top=[
                PathView(units=list(path.units), factors=list(path.factors), contribution=path.contribution)
                for path in found.best(top)
            ],
        )


class WhatIfView(BaseModel):
    """What would happen, and why."""

    object: Literal["what_if"] = "what_if"
    cost: float | None = Field(description="As it is: the mean over the rows, without penalties.")
    value: float | None = Field(description="The weight as it is.")
    gradient: float | None = Field(description="dC/dw.")
    predicted: float | None = Field(description="The change of cost to first order: dC/dw times delta.")
    measured: float | None = Field(description="The change of cost when the weight is changed.")
    ripple: list[LayerRipple] = Field(description="From the weight's layer on, or the block that it lies in.")
    paths: PathsView | None = Field(description="For one example and dense and elementwise layers.")
    no_paths: str | None = Field(description="Why there are none.")

    @classmethod
    def of(cls, found: WhatIf, top: int) -> Self:
        """The view of a change, with the `top` units and paths."""
        none, paths = (str(found.paths), None) if isinstance(found.paths, NoPaths) else (None, found.paths)
        return cls(
            cost=found.cost,
            value=found.value,
            gradient=found.gradient,
            predicted=found.predicted,
            measured=found.measured,
            ripple=[_ripple(ripple, top) for ripple in found.ripples],
            paths=None if paths is None else PathsView.of(paths, top),
            no_paths=none,
        )


def _ripple(ripple: Ripple, top: int) -> LayerRipple:
    predicted, actual = ripple.first_order.mean(axis=0), ripple.actual.mean(axis=0)
    order = np.argsort(-np.abs(actual).reshape(-1), kind="stable")[:top]
    places = [[int(i) for i in np.unravel_index(unit, actual.shape)] for unit in order]
    return LayerRipple(
        index=ripple.layer,
        type=ripple.type,
        first_order_norm=float(np.linalg.norm(predicted)),
        actual_norm=float(np.linalg.norm(actual)),
        kinks_crossed=ripple.kinks,
        units=[
            UnitChange(unit=at, first_order=float(predicted[tuple(at)]), actual=float(actual[tuple(at)]))
            for at in places
            if predicted[tuple(at)] or actual[tuple(at)]
        ],
    )


@router.post(
    "/v1/models/{model_id}/what-if",
    summary="What if one weight were different",
    response_model=WhatIfView,
    responses=refuses(*JSON_BODY, SpecError, InputsRefused, TooManyRows, TooMuchWork, NotFound),
    openapi_extra=document_body(
        WhatIfRequest,
        {
            "weight": {
                "input": [5.1, 3.5, 1.4, 0.2],
                "target": "setosa",
                "layer": 0,
                "parameter": "weight",
                "index": [2, 0],
                "delta": 0.01,
            },
            "bias of a row": {
                "dataset": "ds_01kb8r3v5y8t2n6m4q9w7x1zcd",
                "row": 17,
                "layer": 2,
                "parameter": "bias",
                "index": [1],
                "delta": -0.1,
            },
        },
    ),
)
async def what_if_changed(
    services: Opened,
    tenant: Tenant,
    model_id: ModelId,
    wanted: Annotated[WhatIfRequest, Depends(json_body(WhatIfRequest))],
) -> Response:
    """The change of cost that the derivative of one weight predicts and the one that is measured, how the activations
    change layer by layer, and the chain rule path by path. In float64 and evaluation mode; nothing is kept."""
    subject = await services.subjects.get(tenant, model_id)
    examples = await read_examples(services, tenant, subject, wanted)
    check_work(services.settings, flops(subject.network), len(examples))
    return answer(await services.compute(_compute, subject, examples, wanted))


def _compute(subject: Subject, examples: Examples, wanted: WhatIfRequest) -> WhatIfView:
    found = what_if(subject, examples, wanted.layer, wanted.parameter, wanted.index, wanted.delta)
    return WhatIfView.of(found, wanted.top)
