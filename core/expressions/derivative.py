"""The derivative of a formula, by the rules of calculus, as a formula.

Where a derivative jumps, the first of equal arguments of min and max counts, abs has 0 at 0, and where has that of the
side it takes. So a side that is not taken contributes nothing, even where it is not finite.
"""

from __future__ import annotations

from collections.abc import Callable

from core.expressions.tree import COMPARISONS, ONE, TWO, ZERO, Call, Name, Node, Operation, parts, where


def derivative(node: Node, name: str) -> Node:
    """d node / d name. Parts of `node` are shared, not copied, so that programs compute them once."""
    slopes: dict[int, Node] = {}  # of all parts, by identity
    for part in parts(node):
        match part:
            case Call(operation, arguments) if operation not in COMPARISONS:
                slopes[id(part)] = RULES[operation](part, *arguments, *[slopes[id(a)] for a in arguments])
            case Name(found) if found == name:
                slopes[id(part)] = ONE
            case _:
                slopes[id(part)] = ZERO
    return slopes[id(node)]


def _power(y: Node, a: Node, b: Node, da: Node, db: Node) -> Node:
    at_zero = Call(Operation.EQ, (a, ZERO))  # a^b ln a goes to 0 with a, but 0 ln 0 is no number
    return b * a ** (b - ONE) * da + where(at_zero, ZERO, y * _of(Operation.LOG, a)) * db


def _absolute(y: Node, a: Node, da: Node) -> Node:
    return where(_of(Operation.LT, a, ZERO), -da, where(_of(Operation.GT, a, ZERO), da, ZERO))


def _of(operation: Operation, *arguments: Node) -> Node:
    return Call(operation, arguments)


# For y = f(a, b, ...): from y, a, b, ... and da, db, ... to dy.
RULES: dict[Operation, Callable[..., Node]] = {
    Operation.NEG: lambda y, a, da: -da,
    Operation.ADD: lambda y, a, b, da, db: da + db,
    Operation.SUB: lambda y, a, b, da, db: da - db,
    Operation.MUL: lambda y, a, b, da, db: da * b + a * db,
    Operation.DIV: lambda y, a, b, da, db: (da - y * db) / b,
    Operation.POW: _power,
    Operation.EXP: lambda y, a, da: y * da,
    Operation.LOG: lambda y, a, da: da / a,
    Operation.SQRT: lambda y, a, da: da / (TWO * y),
    Operation.SIN: lambda y, a, da: _of(Operation.COS, a) * da,
    Operation.COS: lambda y, a, da: -_of(Operation.SIN, a) * da,
    Operation.TANH: lambda y, a, da: (ONE - y**TWO) * da,
    Operation.SIGMOID: lambda y, a, da: y * (ONE - y) * da,
    Operation.ABS: _absolute,
    Operation.MIN: lambda y, a, b, da, db: where(_of(Operation.LE, a, b), da, db),
    Operation.MAX: lambda y, a, b, da, db: where(_of(Operation.GE, a, b), da, db),
    Operation.WHERE: lambda y, c, a, b, dc, da, db: where(c, da, db),
}


def kinks(node: Node) -> list[Node]:
    """The formulas whose zeros are where the derivative of `node`, or its value, may jump."""
    found = []
    for part in parts(node):
        match part:
            case Call(Operation.ABS, (a,)):
                found.append(a)
            case Call(operation, (a, b)) if operation in COMPARISONS or operation in (Operation.MIN, Operation.MAX):
                found.append(a - b)
    return found
