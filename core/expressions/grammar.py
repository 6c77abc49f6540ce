"""From text to tree: a parser by binding powers, after V. Pratt, "Top down operator precedence", POPL 1973.

    formula   = number | name | "(" formula ")" | "-" formula | formula operator formula | function "(" formulas ")"
    operator  = "+" | "-" | "*" | "/" | "**", and "<" | "<=" | ">" | ">=" | "==" as the condition of where

Whatever the text, the only error is ExpressionError. The size of the tree is bounded, and how deep brackets, calls,
signs and powers nest; a chain of operators, such as a sum, may be as long as the size allows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from core.expressions.tree import (
    ARITIES,
    COMPARISONS,
    CONSTANTS,
    FUNCTIONS,
    INFIX,
    INPUT,
    LEVELS,
    Call,
    Name,
    Node,
    Number,
    Operation,
)
from core.sentences import number

MAX_LENGTH = 1000  # characters
MAX_NODES = 250
MAX_DEPTH = 40
LARGEST = 1e30

_OPERATIONS = {symbol: operation for operation, symbol in INFIX.items()}
_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<symbol>\*\*|<=|>=|==|[-+*/()<>,])"
)
_KNOWN = ", ".join(sorted(FUNCTIONS))
_NEST = "nest where, as in where(x > 0, where(x < 1, a, b), b)"
_HINTS = {"^": "write ** for a power", "=": "write == to compare", "&": _NEST, "|": _NEST}
_LOGIC = ("and", "or", "not")
LONGEST_NAME = 32


class ExpressionError(ValueError):
    """A text that is no formula, with the column of the offence (from 1), None for the whole."""

    def __init__(self, column: int | None, detail: str) -> None:
        super().__init__(detail if column is None else f"Column {column}: {detail}")
        self.column = column


class _Token(NamedTuple):
    kind: str  # number, name, symbol or end
    text: str
    column: int


def parse(written: str, parameters: Collection[str]) -> Node:
    """The tree of a formula of x and these parameters, each of which must occur; raises ExpressionError."""
    if len(written) > MAX_LENGTH:
        raise ExpressionError(None, f"An expression may be {MAX_LENGTH} characters long at most.")
    parser = _Parser(written, parameters)
    tree = parser.whole()
    if INPUT not in parser.used:
        raise ExpressionError(None, "The expression does not contain x, which stands for the input of the layer.")
    unused = [name for name in parameters if name not in parser.used]
    if unused:
        raise ExpressionError(None, f"The parameter '{unused[0]}' does not occur in the expression: use or remove it.")
    return tree


def _tokens(written: str) -> Iterator[_Token]:
    at = 0
    while at < len(written):
        found = _TOKEN.match(written, at)
        if found is None:
            hint = _HINTS.get(written[at], f"use numbers, names, + - * / ** ( ) and the functions {_KNOWN}")
            raise ExpressionError(at + 1, f"{written[at]!r} has no meaning here: {hint}.")
        assert found.lastgroup is not None
        if found.lastgroup != "space":
            yield _Token(found.lastgroup, found.group(), at + 1)
        at = found.end()
    yield _Token("end", "", len(written) + 1)


class _Parser:
    def __init__(self, written: str, parameters: Collection[str]) -> None:
        self._tokens = list(_tokens(written))
        self._at = 0
        self._names = {INPUT, *CONSTANTS, *parameters}
        self._size = 0
        self.used: set[str] = set()

    def whole(self) -> Node:
        tree = self._value(0, 1)
        if self._next.kind != "end":
            raise self._unexpected("an operator such as * is missing before")
        return tree

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, symbol: str) -> None:
        if self._next.text != symbol:
            raise self._unexpected(f"'{symbol}' is missing before")
        self._take()

    def _unexpected(self, what: str) -> ExpressionError:
        if self._next.text in _LOGIC:
            return _no_logic(self._next)
        named = "the end" if self._next.kind == "end" else f"'{self._next.text:.40}'"
        return ExpressionError(self._next.column, f"{what} {named}.")

    def _grow(self, node: Node, column: int) -> Node:
        """The node as part of the tree, if that remains small enough."""
        self._size += 1
        if self._size > MAX_NODES:
            raise _too_complex(column)
        return node

    def _value(self, floor: int, depth: int) -> Node:
        """A formula that is a number, not a condition."""
        column = self._next.column
        tree = self._formula(floor, depth)
        if _is_condition(tree):
            raise ExpressionError(column, "a comparison may only stand as the condition of where(condition, a, b).")
        return tree

    def _formula(self, floor: int, depth: int) -> Node:
        """What follows, up to the first operator that binds less than `floor`."""
        column = self._next.column
        if depth > MAX_DEPTH:
            raise _too_complex(column)
        tree = self._start(depth)
        while (operation := _OPERATIONS.get(self._next.text)) is not None and LEVELS[operation] >= floor:
            if _is_condition(tree):
                raise ExpressionError(column, "a comparison may only stand as the condition of where(condition, a, b).")
            at = self._take().column
            level = LEVELS[Operation.NEG] if operation is Operation.POW else LEVELS[operation] + 1
            tree = self._grow(Call(operation, (tree, self._value(level, depth + 1))), at)
        return tree

    def _start(self, depth: int) -> Node:
        """A number, a name, a call, brackets or a sign."""
        token = self._next
        if token.kind == "number":
            return self._grow(self._number(), token.column)
        if token.kind == "name":
            self._take()
            if self._next.text == "(":
                return self._call(token, depth)
            return self._grow(self._name(token), token.column)
        if token.text == "-":
            self._take()
            argument = self._value(LEVELS[Operation.NEG], depth + 1)
            return self._grow(Call(Operation.NEG, (argument,)), token.column)
        if token.text == "(":
            self._take()
            tree = self._formula(0, depth + 1)
            self._expect(")")
            return tree
        raise self._unexpected("a number, a name, a function or '(' is missing before")

    def _number(self) -> Node:
        token = self._take()
        value = float(token.text)
        if value > LARGEST:
            raise ExpressionError(token.column, f"numbers may be as large as {number(LARGEST)}.")
        return Number(value)

    def _name(self, token: _Token) -> Node:
        name = token.text
        if name in FUNCTIONS:
            raise ExpressionError(token.column, f"'{name}' is a function: write {name}(...).")
        if name not in self._names:
            raise self._unknown(token)
        self.used.add(name)
        return Name(name)

    def _unknown(self, token: _Token) -> ExpressionError:
        name = token.text
        if name in _LOGIC:
            return _no_logic(token)
        way_out = f'declare it under parameters, as {{"{name}": 1.0}}.'
        if name.lower() in self._names | FUNCTIONS.keys():
            way_out = _other_case(name)
        elif len(name) > LONGEST_NAME:
            way_out = f"the names of parameters have up to {LONGEST_NAME} ASCII letters, digits and _."
        return ExpressionError(token.column, f"there is no name '{name:.40}': {way_out}")

    def _call(self, token: _Token, depth: int) -> Node:
        operation = FUNCTIONS.get(token.text)
        if operation is None and token.text in _LOGIC:
            raise _no_logic(token)
        if operation is None:
            way_out = f"; known are {_KNOWN}."
            if token.text.lower() in FUNCTIONS:
                way_out = f": {_other_case(token.text)}"
            raise ExpressionError(token.column, f"there is no function '{token.text:.40}'{way_out}")
        self._expect("(")
        arguments: list[Node] = []
        while True:
            column = self._next.column
            if operation is Operation.WHERE and not arguments:
                arguments.append(self._formula(0, depth + 1))
                if not _is_condition(arguments[0]):
                    raise ExpressionError(column, "where begins with a comparison, such as where(x > 0, a, b).")
            else:
                arguments.append(self._value(0, depth + 1))
            if self._next.text != ",":
                break
            self._take()
        self._expect(")")
        arity = ARITIES.get(operation, 1)
        if len(arguments) != arity:
            detail = f"{token.text} takes {arity} value{'s' * (arity > 1)}, but here are {len(arguments)}."
            raise ExpressionError(token.column, detail)
        return self._grow(Call(operation, tuple(arguments)), token.column)


def _too_complex(column: int) -> ExpressionError:
    return ExpressionError(
        column, f"here the expression goes beyond {MAX_NODES} parts, or nests {MAX_DEPTH} deep: make it simpler."
    )


def _other_case(name: str) -> str:
    return f"did you mean {name.lower()}? Capitals count."


def _no_logic(token: _Token) -> ExpressionError:
    return ExpressionError(token.column, f"'{token.text}' has no meaning here: {_NEST}.")


def _is_condition(node: Node) -> bool:
    return isinstance(node, Call) and node.operation in COMPARISONS
