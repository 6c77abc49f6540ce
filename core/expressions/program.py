"""Formulas as a list of steps over registers, each of which holds one block of numbers.

    registers = inputs, then constants, then slots that steps write to

Equal parts of all formulas are computed once, constant ones beforehand, and a slot is used again as soon as nobody
needs what is in it. The steps are plain integers, fit for a machine in any language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.expressions.tree import CONSTANTS, TWO, Call, Name, Node, Number, Operation, parts

Array = NDArray[Any]


@dataclass(frozen=True)
class Program:
    """`steps`: (opcode, register written, registers read); opcodes are those of Operation, and conditions are 0 or 1.

    A step may write to a register it reads, except WHERE. `outputs` are the registers of the formulas at the end.
    """

    inputs: tuple[str, ...]
    constants: tuple[float, ...]
    slots: int
    steps: tuple[tuple[int, int, tuple[int, ...]], ...]
    outputs: tuple[int, ...]

    def run(self, inputs: Sequence[Any], slots: Iterable[Array]) -> list[Any]:
        """The value of each formula for inputs that are numbers or arrays of one shape; `slots`: room, each of it.

        A value is an input, a constant, or one of the slots. What overflows or is undefined becomes inf or NaN.
        """
        registers = [*inputs, *self.constants, *slots]
        with np.errstate(all="ignore"):
            for opcode, target, reads in self.steps:
                _COMPUTE[opcode](*[registers[r] for r in reads], out=registers[target])
        return [registers[r] for r in self.outputs]


def compiled(formulas: Sequence[Node], inputs: Sequence[str]) -> Program:
    """The program of some formulas of these inputs."""
    values = _Values(inputs)
    wanted = [values.of(formula) for formula in formulas]
    return values.program(wanted)


def _sigmoid(a: Array, out: Array) -> Array:
    """1 / (1 + e^-a); where e^-a overflows this is 0, as it should be."""
    np.negative(a, out=out)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


def _where(condition: Array, a: Array, b: Array, out: Array) -> Array:
    np.copyto(out, b)
    np.copyto(out, a, where=np.not_equal(condition, 0))
    return out


_COMPUTE: dict[int, Callable[..., Any]] = {
    Operation.NEG: np.negative,
    Operation.ADD: np.add,
    Operation.SUB: np.subtract,
    Operation.MUL: np.multiply,
    Operation.DIV: np.divide,
    Operation.POW: np.power,
    Operation.EXP: np.exp,
    Operation.LOG: np.log,
    Operation.SQRT: np.sqrt,
    Operation.SIN: np.sin,
    Operation.COS: np.cos,
    Operation.TANH: np.tanh,
    Operation.SIGMOID: _sigmoid,
    Operation.ABS: np.abs,
    Operation.MIN: np.minimum,
    Operation.MAX: np.maximum,
    Operation.LT: np.less,
    Operation.LE: np.less_equal,
    Operation.GT: np.greater,
    Operation.GE: np.greater_equal,
    Operation.EQ: np.equal,
    Operation.WHERE: _where,
}


class _Values:
    """Every distinct value of some formulas, numbered: inputs first, then in the order in which they are needed."""

    def __init__(self, inputs: Sequence[str]) -> None:
        self._inputs = tuple(inputs)
        self._numbers: dict[object, int] = {name: number for number, name in enumerate(inputs)}
        self._constants: dict[int, float] = {}
        self._steps: dict[int, tuple[Operation, tuple[int, ...]]] = {}
        self._seen: dict[int, tuple[Node, int]] = {}  # by identity, since formulas share their parts

    def of(self, node: Node) -> int:
        """The number of a formula's value."""
        for part in parts(node):
            if id(part) not in self._seen:
                self._seen[id(part)] = part, self._new(part)
        return self._seen[id(node)][1]

    def _new(self, node: Node) -> int:
        match node:
            case Number(value):
                return self._constant(value)
            case Name(name):
                return self._numbers[name] if name in self._inputs else self._constant(CONSTANTS[name])
            case Call(Operation.POW, (a, b)) if b == TWO:
                return self._step(Operation.MUL, (self._seen[id(a)][1],) * 2)
            case Call(operation, arguments):
                return self._step(operation, tuple([self._seen[id(argument)][1] for argument in arguments]))
        raise TypeError(node)

    def _constant(self, value: float) -> int:
        number = self._numbers.setdefault(("constant", repr(value)), len(self._numbers))
        self._constants[number] = value
        return number

    def _step(self, operation: Operation, reads: tuple[int, ...]) -> int:
        if all(read in self._constants for read in reads):
            out = np.empty(1)
            with np.errstate(all="ignore"):
                _COMPUTE[operation](*[np.float64(self._constants[read]) for read in reads], out=out)
            if isfinite(out[0]):
                return self._constant(float(out[0]))
        number = self._numbers.setdefault((operation, reads), len(self._numbers))
        self._steps[number] = operation, reads
        return number

    def program(self, wanted: Sequence[int]) -> Program:
        """Registers for all values; those of `wanted` last to the end."""
        register = {number: number for number in range(len(self._inputs))}
        needed = {read for _, reads in self._steps.values() for read in reads} | set(wanted)
        constants = [number for number in self._constants if number in needed]
        register |= {number: len(self._inputs) + place for place, number in enumerate(constants)}
        first = end = len(register)
        last = {read: number for number, (_, reads) in self._steps.items() for read in reads}
        last |= dict.fromkeys(wanted, -1)
        free: list[int] = []
        steps = []
        for number, (operation, reads) in self._steps.items():
            done = [register[r] for r in dict.fromkeys(reads) if r in self._steps and last[r] == number]
            if operation is not Operation.WHERE:
                free += done
            if not free:
                free, end = [end], end + 1
            register[number] = free.pop()
            if operation is Operation.WHERE:
                free += done
            steps.append((int(operation), register[number], tuple([register[r] for r in reads])))
        return Program(
            self._inputs,
            tuple([self._constants[number] for number in constants]),
            end - first,
            tuple(steps),
            tuple([register[number] for number in wanted]),
        )
