"""The tree of a formula: numbers, names and operations. Immutable; operators build new trees and drop idle terms."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import e, pi


class Operation(IntEnum):
    """What a node computes from its arguments; the numbers are the opcodes of programs."""

    NEG = 0
    ADD = 1
    SUB = 2
    MUL = 3
    DIV = 4
    POW = 5
    EXP = 6
    LOG = 7
    SQRT = 8
    SIN = 9
    COS = 10
    TANH = 11
    SIGMOID = 12
    ABS = 13
    MIN = 14
    MAX = 15
    LT = 16
    LE = 17
    GT = 18
    GE = 19
    EQ = 20
    WHERE = 21


INFIX = {
    Operation.LT: "<",
    Operation.LE: "<=",
    Operation.GT: ">",
    Operation.GE: ">=",
    Operation.EQ: "==",
    Operation.ADD: "+",
    Operation.SUB: "-",
    Operation.MUL: "*",
    Operation.DIV: "/",
    Operation.POW: "**",
}
COMPARISONS = frozenset({Operation.LT, Operation.LE, Operation.GT, Operation.GE, Operation.EQ})
FUNCTIONS = {op.name.lower(): op for op in Operation if op not in INFIX and op is not Operation.NEG}
ARITIES = dict.fromkeys((*INFIX, Operation.MIN, Operation.MAX), 2) | {Operation.WHERE: 3}  # else 1
CONSTANTS = {"pi": pi, "e": e}
INPUT = "x"
RESERVED = frozenset({INPUT, *CONSTANTS, *FUNCTIONS})

# How tightly an operator binds, as in Python: -x ** 2 is -(x ** 2).
LEVELS = {op: 1 if op in COMPARISONS else 2 for op in INFIX} | {
    Operation.MUL: 3,
    Operation.DIV: 3,
    Operation.NEG: 4,
    Operation.POW: 5,
}
ATOM = 6


class Node:
    """A formula. Arithmetic with nodes gives nodes: 0 + a is a, 1 * a is a, 0 * a is 0, numbers are joined."""

    __slots__ = ()

    def __neg__(self) -> Node:
        return Number(-self.value) if isinstance(self, Number) else Call(Operation.NEG, (self,))

    def __add__(self, other: Node) -> Node:
        if isinstance(self, Number) and isinstance(other, Number):
            return Number(self.value + other.value)
        if ZERO in (self, other):
            return other if self == ZERO else self
        return Call(Operation.ADD, (self, other))

    def __sub__(self, other: Node) -> Node:
        if isinstance(self, Number) and isinstance(other, Number):
            return Number(self.value - other.value)
        if ZERO in (self, other):
            return self if other == ZERO else -other
        return Call(Operation.SUB, (self, other))

    def __mul__(self, other: Node) -> Node:
        if ZERO in (self, other):
            return ZERO
        if ONE in (self, other):
            return other if self == ONE else self
        return Call(Operation.MUL, (self, other))

    def __truediv__(self, other: Node) -> Node:
        return self if self == ZERO or other == ONE else Call(Operation.DIV, (self, other))

    def __pow__(self, other: Node) -> Node:
        return self if other == ONE else Call(Operation.POW, (self, other))


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Name(Node):
    """The input x, a parameter, or one of CONSTANTS."""

    name: str


@dataclass(frozen=True, slots=True)
class Call(Node):
    """An operation on other nodes."""

    operation: Operation
    arguments: tuple[Node, ...]


ZERO, ONE, TWO = Number(0.0), Number(1.0), Number(2.0)


def where(condition: Node, a: Node, b: Node) -> Node:
    """a where the condition holds, else b."""
    same = a is b or (not isinstance(a, Call) and a == b)
    return a if same else Call(Operation.WHERE, (condition, a, b))


def parts(formula: Node) -> list[Node]:
    """Each node of a formula once, arguments first; without recursion, since a sum of many terms is deep."""
    found: dict[int, Node] = {}
    waiting = [formula]
    while waiting:
        node = waiting[-1]
        missing = [a for a in node.arguments if id(a) not in found] if isinstance(node, Call) else []
        if missing:
            waiting += reversed(missing)
        else:
            found.setdefault(id(waiting.pop()), node)
    return list(found.values())


def text(node: Node, floor: int = 0) -> str:
    """The formula as it is written, with the brackets it needs, itself in brackets if it binds less than `floor`."""
    level = ATOM
    match node:
        case Number(value):
            level = LEVELS[Operation.NEG] if value < 0 else ATOM
            written = repr(value).removesuffix(".0")
        case Name(name):
            written = name
        case Call(Operation.NEG as operation, (argument,)):
            level = LEVELS[operation]
            written = f"-{text(argument, level)}"
        case Call(operation, (a, b)) if operation in INFIX:
            level = LEVELS[operation]
            # Powers group to the right and take a sign there.
            left, right = (ATOM, LEVELS[Operation.NEG]) if operation is Operation.POW else (level, level + 1)
            written = f"{text(a, left)} {INFIX[operation]} {text(b, right)}"
        case Call(operation, arguments):
            written = f"{operation.name.lower()}({', '.join(map(text, arguments))})"
        case _:
            raise TypeError(node)
    return f"({written})" if level < floor else written
