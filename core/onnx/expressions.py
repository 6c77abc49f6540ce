"""Formulas of the client's own: the steps of their program, each an operator."""

from __future__ import annotations

from core.expressions import Operation
from core.expressions.tree import COMPARISONS
from core.layers.expression import Expression
from core.onnx.graph import At

OPERATORS = {
    Operation.NEG: "Neg",
    Operation.ADD: "Add",
    Operation.SUB: "Sub",
    Operation.MUL: "Mul",
    Operation.DIV: "Div",
    Operation.POW: "Pow",
    Operation.EXP: "Exp",
    Operation.LOG: "Log",
    Operation.SQRT: "Sqrt",
    Operation.SIN: "Sin",
    Operation.COS: "Cos",
    Operation.TANH: "Tanh",
    Operation.SIGMOID: "Sigmoid",
    Operation.ABS: "Abs",
    Operation.MIN: "Min",
    Operation.MAX: "Max",
    Operation.LT: "Less",
    Operation.LE: "LessOrEqual",
    Operation.GT: "Greater",
    Operation.GE: "GreaterOrEqual",
    Operation.EQ: "Equal",
    Operation.WHERE: "Where",
}


def expression(layer: Expression, at: At) -> str:
    """f(x, p, q, ...), with the parameters as they were learned."""
    g, program = at.graph, layer.programs.value
    parameters = [at.learned(name) for name in program.inputs[1:]]
    registers = dict(enumerate([at.x, *parameters, *map(g.numbers, program.constants)]))
    conditions: set[str] = set()
    for opcode, target, reads in program.steps:
        values = [registers[register] for register in reads]
        if opcode == Operation.WHERE and values[0] not in conditions:
            values[0] = g.cast(values[0], "bool")  # a comparison of constants, which is a number by now
        registers[target] = g.node(OPERATORS[Operation(opcode)], *values)
        if opcode in COMPARISONS:
            conditions.add(registers[target])
    return registers[program.outputs[0]]
