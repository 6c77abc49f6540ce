"""The operations of formulas that a client wrote."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from core.compiled.library import Operation
from core.compiled.rules import Rule, Site, address
from core.expressions import Program
from core.layers.expression import Expression

SUM_BLOCK = 1024  # as in expression.h


def program_operation(
    name: str, program: Program, size: int, x: int, parameters: int, places: tuple[int, ...], kept: object = None
) -> Operation:
    """An operation that runs a program over rows of `size` numbers at x."""
    rows = [(opcode, target, *reads, *(0,) * (3 - len(reads))) for opcode, target, reads in program.steps]
    table: NDArray[np.int32] = np.array([*(entry for row in rows for entry in row), *program.outputs], np.int32)
    constants = np.array(program.constants, np.float64)
    sizes = size, len(program.steps), len(program.inputs) - 1, len(constants), program.slots
    own = x, address(table), parameters, address(constants)
    return Operation(name, sizes, (*own, *places), kept=(table, constants, kept))


def _forward(site: Site) -> list[Operation]:
    layer, size = site.at.layer, prod(site.at.input_shape)
    assert isinstance(layer, Expression)
    parameters = address(site.ctx.parameters[0]) if site.ctx.parameters else 0  # one behind the other
    return [program_operation("expression_forward", layer.programs.value, size, site.x, parameters, (site.y,))]


def _backward(site: Site, dy: int) -> list[Operation]:
    layer, size, learned = site.at.layer, prod(site.at.input_shape), len(site.ctx.parameters)
    assert isinstance(layer, Expression)
    if site.ctx.dx is None and not learned:
        return []
    parameters = address(site.ctx.parameters[0]) if learned else 0
    rows = len(site.ctx.y) if site.ctx.y.size else 0
    sums = np.empty((-(-rows * size // SUM_BLOCK), learned))
    places = dy, address(site.ctx.dx), address(sums)
    made = [program_operation("expression_backward", layer.programs.slopes, size, site.x, parameters, places, sums)]
    if learned:
        told = address(sums), address(site.ctx.gradients[0])
        made.append(Operation("expression_gradients", (size, 0, learned), told))
    return made


RULES = {"expression": Rule(_forward, _backward)}
