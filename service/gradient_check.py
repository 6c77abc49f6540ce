"""Backward against differences of the cost, and the marks of gradients that somebody worked out."""

from typing import Annotated, Any, Literal, Self

import numpy as np
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.responses import Response

from core.explanations.backpropagation import Examples
from core.explanations.gradient_check import ENTRIES, FLOOR, STEPS, TOLERANCE, Checked, Compared, check, flops
from core.explanations.marking import Marked, mark
from core.explanations.subject import Subject
from core.layers.layer import Array
from core.network import Piece
from core.spec import Finding, Spec, SpecError
from service.answers import answer
from service.arrays import InputsRefused
from service.dependencies import ModelId, Opened, Tenant, json_body
from service.examples import ExampleRequest, read_examples
from service.limits import TooManyRows, TooMuchWork, check_work
from service.only import Only, chosen
from service.openapi import JSON_BODY, document_body, refuses
from store.errors import NotFound

router = APIRouter(tags=["models"])
OTHERWISE = 'Check "only" some layers at a time, the last ones first, which take least, or fewer "entries" of each.'
Place = Annotated[int, Field(strict=True, ge=0, lt=2**31)]


class OwnGradient(Spec):
    """A gradient that somebody worked out: dC/dw of one parameter, of the mean cost of the examples."""

    layer: Place = Field(description="The layer in the spec, counted from 0.", examples=[2])
    parameter: str = Field(
        max_length=256, description='"weight", "bias", or its name; inside a residual block its name as in checkpoints.'
    )
    values: list[Any] = Field(
        description="Numbers, nested as the parameter is: [from][to] for a dense layer's weights."
    )


class GradientCheckRequest(ExampleRequest):
    """The examples at which gradients are compared, and gradients to be marked."""

    only: Only = None
    entries: Annotated[int, Field(strict=True, ge=0, le=1000)] = Field(
        ENTRIES, description="How many entries of each parameter are looked at one by one; all where it has no more."
    )
    gradients: list[OwnGradient] = Field(default=[], max_length=100, description="To be marked.")
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = Field(0, description="Draws directions and entries.")
    top: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        10, description="How many entries that are off are told of each gradient."
    )


class ComparedView(BaseModel):
    """One derivative, as backward and as differences of the cost have it."""

    entry: list[int] | None = Field(description="By which entry; null along a random direction through all of them.")
    backward: float | None
    measured: float | None
    error: float | None = Field(description="Their distance, relative to the larger one, or to the floor.")

    @classmethod
    def of(cls, found: Compared) -> Self:
        """The view of a comparison."""
        entry = None if found.entry is None else list(found.entry)
        return cls(entry=entry, backward=found.backward, measured=found.measured, error=found.error)


class CheckedView(BaseModel):
    """One parameter of one layer."""

    layer: int = Field(description="The layer in the spec, counted from 0; it may hold the one that is checked.")
    type: str
    parameter: str = Field(description="Its name, as in checkpoints.")
    right: bool | None = Field(
        description="Whether every error is within the tolerance; null where a kink was met everywhere."
    )
    compared: int = Field(description="Derivatives that were compared: random directions, then single entries.")
    size: int = Field(description="How many entries the parameter has.")
    worst: ComparedView | None = Field(description="The largest error; null where a kink was met everywhere.")
    smaller_steps: int = Field(description="How often a number crossed a kink with the usual step.")
    left_out: int = Field(description="How often one did with the smallest step too, so that nothing was compared.")

    @classmethod
    def of(cls, found: Checked) -> Self:
        """The view of a parameter."""
        return cls(
            layer=found.layer,
            type=found.type,
            parameter=found.piece.name,
            right=found.right,
            compared=len(found.compared),
            size=int(np.prod(found.piece.variable.shape)),
            worst=None if found.worst is None else ComparedView.of(found.worst),
            smaller_steps=found.smaller_steps,
            left_out=found.left_out,
        )


class OffView(BaseModel):
    """An entry that is off."""

    entry: list[int]
    yours: float | None
    right: float | None
    difference: float | None


class SlipView(BaseModel):
    """What probably went wrong."""

    name: str
    advice: str


class MarkedView(BaseModel):
    """The mark of one gradient."""

    layer: int
    parameter: str
    right: bool = Field(description="Whether all entries are right to about four digits.")
    off: int | None = Field(description="How many entries are off; null where rows and columns are exchanged.")
    entries: list[OffView] = Field(description="Those that are off most.")
    slips: list[SlipView] = Field(description="The fewest slips that explain every entry, if some do.")
    factor: float | None = Field(description="Where all entries are off by one other factor: that factor.")


class GradientCheckView(BaseModel):
    """Whether backward is right here, parameter by parameter, and the marks."""

    object: Literal["gradient_check"] = "gradient_check"
    cost: float | None = Field(description="The mean over the examples, without penalties.")
    right: bool | None = Field(
        description="Whether backward agrees with the differences wherever they could be told; null where they nowhere "
        "could."
    )
    tolerance: float = TOLERANCE
    floor: float = Field(description="Derivatives below it are compared absolutely: there rounding rules.")
    steps: tuple[float, ...] = Field(STEPS, description="Of the differences; a later one is taken where a kink is met.")
    parameters: list[CheckedView]
    marks: list[MarkedView]


@router.post(
    "/v1/models/{model_id}/gradient-check",
    summary="Check gradients",
    response_model=GradientCheckView,
    responses=refuses(*JSON_BODY, SpecError, InputsRefused, TooManyRows, TooMuchWork, NotFound),
    openapi_extra=document_body(
        GradientCheckRequest,
        {
            "backward": {"dataset": "ds_01kb8r3v5y8t2n6m4q9w7x1zcd", "rows": [0, 1, 2, 3]},
            "one layer": {"dataset": "ds_01kb8r3v5y8t2n6m4q9w7x1zcd", "row": 17, "only": [2], "entries": 8},
            "homework": {
                "input": [5.1, 3.5, 1.4, 0.2],
                "target": "setosa",
                "gradients": [{"layer": 2, "parameter": "bias", "values": [-0.31, 0.22, 0.09]}],
            },
        },
    ),
)
async def check_gradients(
    services: Opened,
    tenant: Tenant,
    model_id: ModelId,
    wanted: Annotated[GradientCheckRequest, Depends(json_body(GradientCheckRequest))],
) -> Response:
    """Backward against differences of the cost, for every parameter, or those of `only` some
    layers; and marks for gradients that are sent along, with
    the slip that would explain them. In float64 and evaluation mode, of the data cost alone."""
    subject = await services.subjects.get(tenant, model_id)
    examples = await read_examples(services, tenant, subject, wanted)
    own = [_own(subject, number, gradient) for number, gradient in enumerate(wanted.gradients)]
    only = chosen(wanted.only, subject.network)
    check_work(services.settings, flops(subject.network, only, wanted.entries), len(examples), OTHERWISE)
    return answer(await services.compute(_compute, subject, examples, wanted, only, own))


def _own(subject: Subject, number: int, gradient: OwnGradient) -> tuple[Piece, Array]:
    piece = subject.piece(gradient.layer, gradient.parameter, f"/gradients/{number}")
    try:
        values = np.asarray(gradient.values)
    except ValueError:  # lists of unequal length
        values = np.empty(())
    shape = piece.variable.shape
    if values.shape not in (shape, shape[::-1]) or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        detail = f"Give numbers of shape {list(shape)}, nested as the parameter is."
        raise SpecError([Finding(f"/gradients/{number}/values", detail)])
    return piece, values.astype(np.float64)


def _compute(
    subject: Subject,
    examples: Examples,
    wanted: GradientCheckRequest,
    only: frozenset[int] | None,
    own: list[tuple[Piece, Array]],
) -> GradientCheckView:
    checked = check(subject, examples, wanted.seed, only=only, entries=wanted.entries)
    found = subject.backpropagate(examples)
    marks = [
        _marked(gradient, mark(found, piece, values), wanted.top)
        for gradient, (piece, values) in zip(wanted.gradients, own, strict=True)
    ]
    return GradientCheckView(
        cost=found.cost,
        right=_right([parameter.right for parameter in checked]),
        floor=FLOOR * max(1.0, abs(found.cost)),
        parameters=[CheckedView.of(parameter) for parameter in checked],
        marks=marks,
    )


def _right(parameters: list[bool | None]) -> bool | None:
    told = [right for right in parameters if right is not None]
    return all(told) if told else None


def _marked(gradient: OwnGradient, found: Marked | None, top: int) -> MarkedView:
    assert found is not None  # its shape was looked at
    return MarkedView(
        layer=gradient.layer,
        parameter=gradient.parameter,
        right=found.right,
        off=len(found.off) if found.off or found.right else None,
        entries=[
            OffView(entry=list(off.entry), yours=off.yours, right=off.right, difference=off.yours - off.right)
            for off in found.off[:top]
        ],
        slips=[SlipView(name=slip.name, advice=slip.advice) for slip in found.slips],
        factor=found.factor,
    )
