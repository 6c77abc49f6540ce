"""Formulas that a client writes: read, differentiated, tried out and computed by us, never by Python's `eval`.

text --grammar--> tree --derivative--> trees --program--> steps over arrays
"""

from core.expressions.derivative import derivative, kinks
from core.expressions.grammar import ExpressionError, parse
from core.expressions.program import Program, compiled
from core.expressions.tree import RESERVED, Call, Name, Node, Number, Operation, text
from core.expressions.trial import doubt

__all__ = [
    "RESERVED",
    "Call",
    "ExpressionError",
    "Name",
    "Node",
    "Number",
    "Operation",
    "Program",
    "compiled",
    "derivative",
    "doubt",
    "kinks",
    "parse",
    "text",
]
