"""Formulas: what is read, what is refused and where, and that the derivative is the derivative."""

import math
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.expressions import (
    Call,
    ExpressionError,
    Name,
    Number,
    Operation,
    compiled,
    derivative,
    doubt,
    kinks,
    parse,
    text,
)
from core.expressions.grammar import MAX_DEPTH, MAX_NODES
from core.expressions.tree import ARITIES, COMPARISONS, FUNCTIONS

NAMES = ("x", "a")
SIMPLE = [op for op in Operation if op not in COMPARISONS and op is not Operation.WHERE]


def calls(children):
    simple = st.sampled_from(SIMPLE).flatmap(
        lambda op: st.tuples(*[children] * ARITIES.get(op, 1)).map(lambda arguments: Call(op, arguments))
    )
    conditions = st.builds(Call, st.sampled_from(sorted(COMPARISONS)), st.tuples(children, children))
    chosen = st.tuples(conditions, children, children).map(lambda arguments: Call(Operation.WHERE, arguments))
    return simple | chosen


leaves = st.builds(Number, st.floats(0, 3) | st.sampled_from([0.0, 1.0, 2.0])) | st.sampled_from(
    [Name(name) for name in ("x", "a", "pi", "e")]
)
trees = st.recursive(leaves, calls, max_leaves=10)


def evaluate(formulas, x, a=0.0):
    """The values of formulas at numbers or arrays of one shape, one below the other."""
    program = compiled(formulas, NAMES)
    shape = np.broadcast_shapes(np.shape(x), np.shape(a), (1,))
    found = program.run([np.asarray(x), np.asarray(a)], np.empty((program.slots, *shape)))
    return np.stack([np.broadcast_to(value, shape) for value in found])


def at(written, x, **parameters):
    """The value of a written formula at one x."""
    (value,) = evaluate([parse(written, parameters)], float(x), parameters.get("a", 0.0))
    return float(value[0])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("x", 2.0),
        ("1 + x * 3", 7.0),
        ("(1 + x) * 3", 9.0),
        ("10 - x - 3", 5.0),
        ("12 / x / 3", 2.0),
        ("-x ** 2", -4.0),
        ("(-x) ** 2", 4.0),
        ("x ** 3 ** 2", 512.0),
        ("2 ** -x", 0.25),
        ("2 * -x", -4.0),
        ("--x", 2.0),
        ("x-1", 1.0),
        ("x * pi - e", 2 * math.pi - math.e),
        (".5 * x + 1. + 1e-1 + 2E+0", 4.1),
        ("exp(x)", math.exp(2)),
        ("log(x) + sqrt(x)", math.log(2) + math.sqrt(2)),
        ("sin(x) * cos(x) * tanh(x)", math.sin(2) * math.cos(2) * math.tanh(2)),
        ("sigmoid(x)", 1 / (1 + math.exp(-2))),
        ("abs(-x) + min(x, 1) + max(x, 3)", 6.0),
        ("where(x < 2, 1, 0) + where(x <= 2, 10, 0)", 10.0),
        ("where(x > 2, 1, 0) + where(x >= 2, 10, 0)", 10.0),
        ("where((x == 2), x, -x)", 2.0),
        ("where(1 < 2, x, 0)", 2.0),
        ("\tx\n+ 1 ", 3.0),
    ],
)
def test_formulas_mean_what_they_do_in_python(written, value):
    assert at(written, 2) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("written", "column", "says"),
    [
        ("x * foo(x)", 5, "there is no function 'foo'; known are abs, cos, exp,"),
        ("x * gamma", 5, """there is no name 'gamma': declare it under parameters, as {"gamma": 1.0}."""),
        ("x + exp", 5, "'exp' is a function: write exp(...)."),
        ("x(2)", 1, "there is no function 'x'"),
        ("x +", 4, "a number, a name, a function or '(' is missing before the end."),
        ("", 1, "is missing before the end."),
        ("+x", 1, "is missing before '+'."),
        ("2 x", 3, "an operator such as * is missing before 'x'."),
        ("x)", 2, "an operator such as * is missing before ')'."),
        ("(x + 1", 7, "')' is missing before the end."),
        ("max(x; 1)", 6, "';' has no meaning here"),
        ("x ^ 2", 3, "write ** for a power."),
        ("where(x = 1, x, 0)", 9, "write == to compare."),
        ("x.real", 2, "'.' has no meaning here"),
        ("__import__('os') + x", 12, '"\'" has no meaning here'),
        ("max(x)", 1, "max takes 2 values, but here are 1."),
        ("1 + exp(x, 1)", 5, "exp takes 1 value, but here are 2."),
        ("exp()", 5, "is missing before ')'."),
        ("where(x, 1, 2)", 7, "where begins with a comparison"),
        ("x < 1", 1, "a comparison may only stand as the condition of where"),
        ("1 + (x < 1)", 5, "a comparison may only stand"),
        ("where(0 < x < 1, x, 0)", 7, "a comparison may only stand"),
        ("exp(x > 0)", 5, "a comparison may only stand"),
        ("-(x > 0)", 2, "a comparison may only stand"),
        ("x * 1e31", 5, "numbers may be as large as 1e30."),
        ("x * 1e999", 5, "numbers may be as large"),
        ("x +\xa01", 4, "has no meaning here"),
        ("x + ٣", 5, "has no meaning here"),
        ("X * 2", 1, "there is no name 'X': did you mean x? Capitals count."),
        ("x * PI", 5, "did you mean pi?"),
        ("Tanh(x)", 1, "there is no function 'Tanh': did you mean tanh?"),
        (f"x * {'b' * 33}", 5, "the names of parameters have up to 32 ASCII letters, digits and _."),
        ("where(x > 0 and x < 1, x, 0)", 13, "'and' has no meaning here: nest where, as in where(x > 0, where(x < 1,"),
        ("where(not x > 0, x, 0)", 7, "nest where"),
        ("where(x > 0 or (x < 1), x, 0)", 13, "nest where"),
        ("where(and (x > 0), x, 0)", 7, "nest where"),
        ("where(x > 0 & x < 1, x, 0)", 13, "nest where"),
        ("(" * 300 + "x", MAX_DEPTH + 1, "make it simpler"),
        ("-" * 300 + "x", MAX_DEPTH + 1, "make it simpler"),
        ("x" + "+x" * 300, MAX_NODES, "make it simpler"),
        ("x" + "**x" * 300, 3 * MAX_DEPTH + 1, "make it simpler"),
        ("exp(" * 100 + "x" + ")" * 100, 4 * MAX_DEPTH + 1, "make it simpler"),
    ],
)
def test_what_is_outside_the_grammar_is_refused_with_its_column(written, column, says):
    with pytest.raises(ExpressionError) as caught:
        parse(written, [])
    assert caught.value.column == column
    assert says in str(caught.value)
    assert re.fullmatch(rf"Column {column}: .*\.", str(caught.value))


def test_a_formula_wide_rather_than_deep_is_bounded_too():
    wide = "x"
    while wide.count("x") <= MAX_NODES // 2:
        wide = f"({wide})*({wide})"
    with pytest.raises(ExpressionError, match="make it simpler"):
        parse(wide, [])


@pytest.mark.parametrize(
    ("written", "parameters", "says"),
    [
        ("2 * pi", [], "does not contain x"),
        ("x * a", ["a", "b"], "The parameter 'b' does not occur in the expression: use or remove it."),
        ("x" * 1001, [], "1000 characters long at most"),
    ],
)
def test_a_whole_that_makes_no_sense_is_refused(written, parameters, says):
    with pytest.raises(ExpressionError, match=re.escape(says)) as caught:
        parse(written, parameters)
    assert caught.value.column is None


@given(st.text() | st.text("x12.e+-*/()<>=, abspiminwhere\n", max_size=40))
@settings(max_examples=200)
def test_no_text_raises_anything_else(written):
    try:
        tree = parse(written, [])
    except ExpressionError:
        return
    assert parse(text(tree), []) == tree


@given(trees)
def test_a_tree_survives_being_written(tree):
    whole = Call(Operation.ADD, (Name("x"), Call(Operation.POW, (Name("a"), tree))))
    assert parse(text(whole), ["a"]) == whole


def all_parts(tree):
    inner = tree.arguments if isinstance(tree, Call) else ()
    return [tree, *(part for argument in inner for part in all_parts(argument))]


ONE_EACH = [f"{name}(a * x + 2)" for name in FUNCTIONS if FUNCTIONS[name] not in ARITIES]
ONE_EACH += [f"(a * x + 2) {symbol} (x * x - a)" for symbol in ("+", "-", "*", "/", "**")]
ONE_EACH += ["-(a * x)", "abs(-a * x)", "min(a * x, x)", "min(x, a * x)", "max(a * x, x)", "max(x, a * x)"]
ONE_EACH += ["(a * x) ** 3", "(a * x) ** 2", "2 ** (a * x)", "(-a * x) ** 3"]
ONE_EACH += [f"where(x {symbol} a, a * x * x, a / x)" for symbol in ("<", "<=", ">", ">=", "==")]


@pytest.mark.parametrize("written", ONE_EACH)
@pytest.mark.parametrize("name", NAMES)
def test_the_rule_of_every_operation(written, name):
    tree = parse(written, ["a"])
    point, step = {"x": np.array([0.7, 1.3]), "a": np.array([1.9, 0.4])}, 1e-6
    (claimed,) = evaluate([derivative(tree, name)], **point)
    ahead, behind = (evaluate([tree], **point | {name: point[name] + by})[0] for by in (step, -step))
    assert np.allclose(claimed, (ahead - behind) / (2 * step), rtol=1e-7, atol=1e-7)


@given(trees, st.floats(-3, 3), st.floats(-3, 3), st.sampled_from(NAMES))
@settings(max_examples=100)
def test_the_derivative_is_the_limit_of_differences(tree, x, a, name):
    slope = derivative(tree, name)
    parts = evaluate([*all_parts(tree), *all_parts(slope)], x, a)
    assume(np.isfinite(parts).all())
    assume(np.abs(parts).max() < 1e3)
    step = 1e-4
    places = np.array([-1.0, -0.5, 0.5, 1.0]) * step
    point = {"x": np.full(4, x), "a": np.full(4, a)}
    point[name] += places
    sides = np.sign(evaluate([*kinks(tree), Number(1.0)], **point))
    assume((sides == sides[:, :1]).all())
    assume((sides != 0).all())
    (value,) = evaluate([tree], **point)
    assume(np.isfinite(value).all())
    wide, narrow = (value[3] - value[0]) / (2 * step), (value[2] - value[1]) / step
    claimed = float(evaluate([slope], x, a)[0, 0])
    scale = max(1.0, abs(claimed), abs(narrow))
    assume(abs(wide - narrow) < 1e-6 * scale)  # the limit is in sight
    assert abs(claimed - narrow) < 1e-5 * scale


@given(trees, st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_a_program_shares_registers_without_mixing_them_up(tree, xs):
    """Many formulas at once give the same as each alone, and simple recursion the same as both."""
    parts = all_parts(tree)
    together = evaluate(parts, np.array(xs), np.array(xs[::-1]))
    for part, found in zip(parts, together, strict=True):
        assert np.array_equal(evaluate([part], np.array(xs), np.array(xs[::-1]))[0], found, equal_nan=True)
        with np.errstate(all="ignore"):
            expected = [recursive(part, x, a) for x, a in zip(xs, xs[::-1], strict=True)]
        if np.isfinite(expected).all():
            assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)


def recursive(node, x, a):
    match node:
        case Number(value):
            return np.float64(value)
        case Name(name):
            return np.float64({"x": x, "a": a, "pi": math.pi, "e": math.e}[name])
        case Call(op, arguments):
            values = [recursive(argument, x, a) for argument in arguments]
            return {
                "NEG": lambda u: -u,
                "ADD": lambda u, v: u + v,
                "SUB": lambda u, v: u - v,
                "MUL": lambda u, v: u * v,
                "DIV": lambda u, v: u / v,
                "POW": lambda u, v: u**v,
                "SIGMOID": lambda u: 1 / (1 + np.exp(-u)),
                "ABS": abs,
                "MIN": np.minimum,
                "MAX": np.maximum,
                "LT": lambda u, v: u < v,
                "LE": lambda u, v: u <= v,
                "GT": lambda u, v: u > v,
                "GE": lambda u, v: u >= v,
                "EQ": lambda u, v: u == v,
                "WHERE": lambda c, u, v: u if c else v,
            }.get(op.name, getattr(np, op.name.lower(), None))(*values)


def test_common_parts_are_computed_once_and_constant_ones_beforehand():
    tree = parse("exp(x) * exp(x) + exp(x) * (2 * pi + log(1))", [])
    program = compiled([tree, derivative(tree, "x")], ["x"])
    assert [op for op, _, _ in program.steps].count(Operation.EXP) == 1
    assert 2 * math.pi in program.constants
    assert Operation.LOG not in [op for op, _, _ in program.steps]


def test_registers_are_used_again():
    program = compiled([parse("x" + "+ exp(x)" * 15, [])], ["x"])
    assert program.slots == 2
    assert all(register < 1 + program.slots for _, register, _ in program.steps)


def test_where_takes_one_side_whatever_the_other_is():
    tree = parse("where(x > 0, sqrt(x), 0) + where(x == 0, 0, x * log(x * x))", [])
    found = evaluate([tree, derivative(tree, "x")], np.array([-1.0, 0.0, 4.0]))
    assert np.isfinite(found).all()


def test_powers_at_zero_have_derivatives():
    found = evaluate([derivative(parse("x ** a", ["a"]), name) for name in NAMES], np.array([0.0]), np.array([2.0]))
    assert found.tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("pattern", ["1/({})", "abs({})", "a**({})", "({})**a", "where({0}>0,{0},1)", "min(1,{})"])
def test_the_deepest_formulas_can_be_differentiated(pattern):
    written, last = "x", "x"
    while True:
        try:
            parse(f"{written} + 0*a", ["a"])
        except ExpressionError:
            break
        written, last = pattern.format(written), written
    tree = parse(f"{last} + 0*a", ["a"])
    assert len(last) > 20
    assert compiled([derivative(tree, "x"), *kinks(tree)], NAMES).steps
    doubt(tree, {"a": 1.0})


# Tried out


@pytest.mark.parametrize(
    ("written", "parameters"),
    [
        ("x * sigmoid(beta * x)", {"beta": 1.0}),
        ("0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3)))", {}),
        ("max(0, x)", {}),
        ("where(x > t, x, s * x)", {"t": 0.0, "s": 0.01}),
        ("abs(x) ** p", {"p": 1.5}),
        ("log(1 + exp(x))", {}),
        ("sqrt(x * x + c)", {"c": 0.01}),
        ("1 / x", {}),
        ("sin(30 * x)", {}),
        ("1e6 * x", {}),
        ("x - a / b", {"a": 0.0, "b": 1.0}),
        ("a * x", {"a": 0.0}),
        ("x" + " * x" * 10 + "+ x" * 60, {}),
        ("where(x > 0, sqrt(x), 0)", {}),
        ("max(x, x)", {}),
    ],
)
def test_sound_formulas_raise_no_doubt(written, parameters):
    assert doubt(parse(written, parameters), parameters) is None


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (
            "log(x)",
            r"For (4|5)\d% of the x between -3 and 3 the value of this expression is no finite number, such as at",
        ),
        ("x ** 0.5", "the value"),
        ("x + 1 / (1 - 1)", "For 100%"),
        ("exp(exp(exp(9 + x)))", "the value"),
        ("sqrt(max(x, 0))", "the derivative of this expression is no finite number"),
        ("(x + 1e17) - 1e17", "does not follow its derivative"),
        ("sin(1e12 * x)", "does not follow its derivative"),
        ("0 * x", "by x is 0 for all x between -3 and 3, so nothing in front of it could learn"),
        ("where(x > 0, 1, 0)", "could learn: let it change with x"),
        ("x ** 2 - x ** 2", "could learn"),
    ],
)
def test_unsound_formulas_do(written, says):
    found = doubt(parse(written, []), {})
    assert re.search(says, found)
    assert re.fullmatch(r"[A-Z].*\.", found)


@pytest.mark.parametrize(
    ("written", "parameters", "says"),
    [
        ("x / b", {"b": 0.0}, "With b = 0 or near it, for 100% of the x between -3 and 3 the value"),
        ("x * sqrt(b)", {"b": 0.0}, "With b = 0 or near it, .* the derivative"),
        ("x + sqrt(b + 0.01)", {"b": 0.0}, "With b = 0 or near it, .* the value"),
        ("a * x + log(c * x * x)", {"a": 1.0, "c": 0.0}, "With c = 0 or near it"),
        ("x / (a * b)", {"a": 0.0, "b": 0.0}, "With a = 0 and b = 0 or near it"),
        ("log(x) * b", {"b": 0.0}, "^For "),
    ],
)
def test_a_parameter_that_begins_badly_is_named(written, parameters, says):
    found = doubt(parse(written, parameters), parameters)
    assert re.search(says, found)
    assert ("let it begin elsewhere" in found) == found.startswith("With")


@pytest.mark.parametrize(
    ("written", "value", "slope"),
    [
        ("x" + " + x" * 124, 250.0, 125.0),
        ("x" + " - x" * 124, -246.0, -123.0),
        ("x" + " * x" * 124, 2.0**125, 125 * 2.0**124),
        ("x" + " / x" * 124, 2.0**-123, -123 * 2.0**-124),
        ("where(x > 0, x" + " * x / x" * 61 + ", 0)", 2.0, 1.0),
        ("abs(x" + " - x / 2" * 60 + ")", 58.0, 29.0),
    ],
)
def test_chains_may_be_as_long_as_there_are_parts(written, value, slope):
    tree = parse(written, [])
    assert at(written, 2) == value
    found = evaluate([derivative(tree, "x"), *kinks(tree)], 2.0)
    assert found[0, 0] == pytest.approx(slope)
    doubt(tree, {})


def test_every_function_is_known_to_the_grammar():
    assert sorted(FUNCTIONS) == ["abs", "cos", "exp", "log", "max", "min", "sigmoid", "sin", "sqrt", "tanh", "where"]
