"""The elementary functions of the compiled form: near to the true values everywhere, and right where there are none."""

from math import erf

import numpy as np
import pytest

from core.compiled import program as driver
from core.compiled.expressions import program_operation
from core.compiled.library import load
from core.expressions import Operation, Program
from core.memory import room

EXPM1, LOG1P, ERF = 22, 23, 24  # of expression.h, where no formula has them
BIG = {"float32": 38, "float64": 300}
over_types = pytest.mark.parametrize("dtype", ["float32", "float64"])


def values(steps, x, parameters=(), dtype="float64", slots=1):
    """The last register that `steps` write to, for each number of x, computed by the driver."""
    library = load(dtype)
    assert library is not None
    given, learned, y = (room((size,), dtype) for size in (len(x), len(parameters), len(x)))
    given[...], learned[...] = x, parameters
    names = ("x", *(f"p{i}" for i in range(len(parameters))))
    program = Program(names, (), slots, steps, (steps[-1][1],))
    operation = program_operation(
        "expression_forward", program, 1, given.ctypes.data, learned.ctypes.data, (y.ctypes.data,)
    )
    made = driver.Program(library, [operation], threads=1, dtype=dtype)
    made.run(np.arange(len(x)), len(x), done=0, steps=1)
    return y, program, given, learned


def function(opcode, x, dtype):
    return values([(int(opcode), 1, (0,))], x, dtype=dtype)[0]


def units_apart(y, expected, dtype):
    """The largest distance from the true values, in units of their last place, where these are normal numbers."""
    limits = np.finfo(dtype)
    normal = (np.abs(expected) >= limits.tiny) & (np.abs(expected) <= limits.max)
    unit = np.spacing(np.abs(expected[normal]).astype(dtype))
    return float(np.max(np.abs(y[normal] - expected[normal]) / unit))


def spread(low, high, seed=0):
    """Numbers of all sizes from 10^low to 10^high."""
    return 10 ** np.random.default_rng(seed).uniform(low, high, 50000)


def both_signs(low, high):
    x = spread(low, high)
    return np.concatenate([x, -x])


def even(low, high):
    return np.random.default_rng(1).uniform(low, high, 50000)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def erfs(x):
    return np.array([erf(float(value)) for value in x], np.longdouble)


CASES = {
    "exp": (Operation.EXP, np.exp, lambda top: np.concatenate([even(-2.3 * top, 2.3 * top), both_signs(-10, 1)]), 1.5),
    "log": (Operation.LOG, np.log, lambda top: np.concatenate([spread(1 - top, top), even(0.5, 2)]), 2.5),
    "sqrt": (Operation.SQRT, np.sqrt, lambda top: spread(-30, 30), 0.5),
    "sin": (Operation.SIN, np.sin, lambda top: np.concatenate([both_signs(-10, 5), even(-20, 20)]), 2),
    "cos": (Operation.COS, np.cos, lambda top: np.concatenate([both_signs(-10, 5), even(-20, 20)]), 2),
    "tanh": (Operation.TANH, np.tanh, lambda top: both_signs(-10, 2), 3),
    "sigmoid": (Operation.SIGMOID, sigmoid, lambda top: np.concatenate([both_signs(-10, 1.9), even(-80, 80)]), 3),
    "expm1": (EXPM1, np.expm1, lambda top: -spread(-10, 2), 1.5),
    "log1p": (LOG1P, np.log1p, lambda top: spread(-12, 8), 4),
    "erf": (ERF, erfs, lambda top: both_signs(-10, 1), 4),
}


@over_types
@pytest.mark.parametrize("name", CASES)
def test_functions_are_near_the_true_values(name, dtype):
    opcode, true, points, bound = CASES[name]
    x = points(BIG[dtype]).astype(dtype)
    assert units_apart(function(opcode, x, dtype), true(x.astype(np.longdouble)), dtype) <= bound


@over_types
@pytest.mark.parametrize("exponent", [0.5, -1.5, 3.0, 7.3, -20.0])
def test_powers_are_near_the_true_values(exponent, dtype):
    exponent = np.dtype(dtype).type(exponent)
    size = 30 / max(1, abs(exponent))
    x = spread(-size, size).astype(dtype)
    y = values([(int(Operation.POW), 2, (0, 1))], x, [exponent], dtype)[0]
    assert units_apart(y, x.astype(np.longdouble) ** np.longdouble(exponent), dtype) <= 2


def test_far_sines_are_still_good_to_rounding():
    x = both_signs(5, 15)
    assert units_apart(function(Operation.SIN, x, "float64"), np.sin(x.astype(np.longdouble)), "float64") <= 2


NUMBERS = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 2.5, 1e30, -1e30]


@over_types
@pytest.mark.parametrize("operation", [op for op in Operation if op is not Operation.WHERE], ids=lambda op: op.name)
def test_operations_meet_numpy_where_there_are_edges(operation, dtype):
    two = operation in (
        *(Operation.ADD, Operation.SUB, Operation.MUL, Operation.DIV, Operation.POW, Operation.MIN, Operation.MAX),
        *(Operation.LT, Operation.LE, Operation.GT, Operation.GE, Operation.EQ),
    )
    for other in NUMBERS if two else [0.0]:
        steps = [(int(operation), 2, (0, 1) if two else (0,))]
        y, program, x, learned = values(steps, NUMBERS, [other], dtype)
        # Whole arrays, since NumPy takes the power of a single 0.5 for a root, which differs at -infinity.
        (expected,) = program.run([x, *(np.full_like(x, p) for p in learned)], np.empty((1, len(x)), dtype))
        if operation in (Operation.SIN, Operation.COS):  # so far out they are not told
            y, expected = y[:-2], expected[:-2]
        told = np.allclose(y, expected, rtol=4 * np.finfo(dtype).eps, atol=0, equal_nan=True)
        assert told, (other, y, expected)


@over_types
def test_where_takes_the_side_that_the_condition_says(dtype):
    x = np.linspace(-2, 2, 999)
    steps = [(int(Operation.GT), 3, (0, 1)), (int(Operation.WHERE), 4, (3, 0, 2))]
    y = values(steps, x, [0.25, 7.0], dtype, slots=2)[0]
    assert np.array_equal(y, np.where(x.astype(dtype) > 0.25, x, 7).astype(dtype))


@over_types
def test_nan_and_infinity_of_what_formulas_do_not_have(dtype):
    x = np.array([np.nan, 0.0, -np.inf])
    assert np.array_equal(function(EXPM1, x, dtype), [np.nan, 0, -1], equal_nan=True)
    assert np.array_equal(function(LOG1P, np.abs(x), dtype), [np.nan, 0, np.inf], equal_nan=True)
    assert np.array_equal(function(ERF, x, dtype), [np.nan, 0, -1], equal_nan=True)
    assert np.array_equal(function(ERF, -x, dtype), [np.nan, 0, 1], equal_nan=True)


@over_types
def test_many_registers_and_short_ends(dtype):
    # Each slot is the one before plus x: more registers than the room has stretches of the usual length.
    count = 1200
    steps = [(int(Operation.ADD), 1, (0, 0)), *((int(Operation.ADD), i, (i - 1, 0)) for i in range(2, count + 1))]
    for size in (1, 15, 16, 17, 1023, 1025, 5000):
        x = np.arange(size) % 7.0
        assert np.array_equal(values(steps, x, (), dtype, slots=count)[0], (count + 1) * x)
