"""A layer the client writes: any formula of x and learned parameters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from core.expressions import RESERVED, Program, compiled, derivative, doubt, kinks, parse
from core.expressions.grammar import LONGEST_NAME
from core.initializers import Constant
from core.layers.elementwise import Elementwise
from core.layers.layer import Array, Context, Misfit, Scratch, Shape, Variable

BLOCK = 8192  # numbers computed at a time, so that what lies between stays in the cache


class Programs(NamedTuple):
    """What is run: `value` gives y; `slopes` gives dy/dx, then dy/dp for each parameter p; the zeros of
    `kinks` are where these may jump."""

    value: Program
    slopes: Program
    kinks: Program


class Expression(Elementwise):
    """y = f(x, p, q, ...) elementwise, with one learned number for each name under `parameters`, where it begins.

    f is built of x, the parameters, numbers, pi, e, + - * / **, and exp, log, sqrt, sin, cos, tanh, sigmoid, abs,
    min(a, b), max(a, b), where(condition, a, b) with a condition by < <= > >= ==. It is differentiated by the rules of
    calculus: dx = dy f_x, dp = sum of dy f_p. A comparison with NaN does not hold.
    """

    # `parameters` is already what a layer declares to the network.
    model_config = ConfigDict(serialize_by_alias=True)

    type: Literal["expression"] = "expression"
    begin: Annotated[
        dict[str, Annotated[float, Field(strict=True, ge=-1e30, le=1e30)]],
        Field(alias="parameters", default_factory=dict, max_length=16, examples=[{"beta": 1.0}]),
    ]
    expression: Annotated[str, Field(min_length=1, max_length=1000, examples=["x * sigmoid(beta * x)"])]

    @field_validator("begin")
    @classmethod
    def _names(cls, begin: dict[str, float]) -> dict[str, float]:
        for name in begin:
            if not (name.isascii() and name.isidentifier() and len(name) <= LONGEST_NAME):
                raise ValueError(
                    f"The name of a parameter is up to {LONGEST_NAME} ASCII letters, digits and _, no digit first."
                )
            if name in RESERVED:
                raise ValueError(f"The name '{name}' has a meaning of its own in expressions: choose another.")
        return begin

    @field_validator("expression")
    @classmethod
    def _formula(cls, expression: str, info: ValidationInfo) -> str:
        if "begin" in info.data:  # else that is to be mended first
            parse(expression, info.data["begin"])
        return expression

    @property
    def programs(self) -> Programs:
        """The formula and its derivatives, as steps over blocks; the inputs are x, then the parameters by name."""
        return _programs(self.expression, tuple(sorted(self.begin)))

    def forward(self, x: Array, ctx: Context) -> Array:
        program = self.programs.value
        slots, _ = ctx.scratch
        flat, y = x.reshape(-1), ctx.y.reshape(-1)
        for part in _blocks(x.size):
            (value,) = program.run([flat[part], *ctx.parameters], slots[:, : len(flat[part])])
            y[part] = value
        return ctx.y

    def backward(self, dy: Array, ctx: Context) -> Array | None:
        program = self.programs.slopes
        slots, room = ctx.scratch
        flat, dflat = ctx.x.reshape(-1), dy.reshape(-1)
        dx = None if ctx.dx is None else ctx.dx.reshape(-1)
        sums = [0.0] * len(ctx.gradients)
        for part in _blocks(dflat.size):
            size = len(dflat[part])
            slope, *others = program.run([flat[part], *ctx.parameters], slots[:, :size])
            if dx is not None:
                np.multiply(dflat[part], slope, out=dx[part])
            for i, other in enumerate(others):
                sums[i] += float(np.multiply(dflat[part], other, out=room[:size]).sum())
        for gradient, total in zip(ctx.gradients, sums, strict=True):
            gradient[...] = total
        return ctx.dx

    def sides(self, ctx: Context) -> list[Array]:
        program = self.programs.kinks
        found = program.run([ctx.x, *ctx.parameters], np.empty((program.slots, *ctx.x.shape), ctx.x.dtype))
        return [np.sign(kink) for kink in found]

    def parameters(self, shape: Shape) -> dict[str, Variable]:
        return {name: Variable((1,), Constant(value=self.begin[name])) for name in sorted(self.begin)}

    def scratch(self, shape: Shape, rows: int) -> dict[str, Scratch]:
        size = min(BLOCK, rows * prod(shape))
        slots = max(self.programs.value.slots, self.programs.slopes.slots)
        return {"slots": Scratch((slots, size)), "room": Scratch((size,))}

    def flops(self, shape: Shape) -> int:
        return len(self.programs.value.steps) * prod(shape)

    def examine(self) -> None:
        found = doubt(parse(self.expression, self.begin), self.begin)
        if found is not None:
            raise Misfit("expression", found)


@lru_cache(maxsize=256)
def _programs(expression: str, names: tuple[str, ...]) -> Programs:
    formula, inputs = parse(expression, names), ("x", *names)
    return Programs(
        compiled([formula], inputs),
        compiled([derivative(formula, name) for name in inputs], inputs),
        compiled(kinks(formula), inputs),
    )


def _blocks(size: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, size, BLOCK))
