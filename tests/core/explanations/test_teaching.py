"""Which rows teach most, over a whole dataset."""

import numpy as np
import pytest

from core.data import Dataset
from core.explanations.teaching import flops, lessons
from core.layers import Dense, Tanh
from core.losses import Quadratic
from core.schema import ClassTarget, DataSchema, RealTarget
from core.spec import SpecError
from tests.core.explanations.zoo import CLASSES, laid_open

ROWS = 700  # more than are gone through together


@pytest.fixture(scope="module")
def subject():
    return laid_open([Dense(units=5), Tanh(), Dense(units=3)], (4,))


@pytest.fixture(scope="module")
def data():
    draw = np.random.default_rng(5)
    schema = DataSchema(rows=ROWS, input_shape=(4,), input_dtype="float64", target=ClassTarget(classes=CLASSES))
    return Dataset(schema, draw.normal(size=(ROWS, 4)), draw.integers(0, 3, ROWS, dtype=np.int32))


@pytest.mark.parametrize("order", ["loss", "gradient_norm"])
def test_the_hardest_come_first(subject, data, order):
    rows = np.arange(50, ROWS)
    found = lessons(subject, data, rows, order, len(rows))
    assert sorted(lesson.row for lesson in found) == rows.tolist()
    values = [getattr(lesson, order) for lesson in found]
    assert values == sorted(values, reverse=True)
    assert lessons(subject, data, rows, order, 3)[2].row == found[2].row
    for lesson in (found[0], found[300]):
        alone = subject.backpropagate(subject.rows(data, np.array([lesson.row])))
        assert lesson.loss == pytest.approx(alone.cost, rel=1e-12)
        assert lesson.gradient_norm == pytest.approx(float(np.linalg.norm(alone.gradient)), rel=1e-10)
        np.testing.assert_allclose(lesson.outputs, alone.outputs[0])


def test_a_wrong_label_comes_first(subject, data):
    said = [subject.said(lesson.outputs) for lesson in sorted(lessons(subject, data, np.arange(ROWS), "loss", ROWS))]
    y = np.array([CLASSES.index(label) for label in said], np.int32)
    outputs = [lesson.outputs for lesson in sorted(lessons(subject, data, np.arange(ROWS), "loss", ROWS))]
    surest = int(np.argmax(np.max(outputs, axis=1)))
    y[surest] = (y[surest] + 1) % 3
    first, *_ = lessons(subject, Dataset(data.schema, data.x, y), np.arange(ROWS), "loss", 1)
    assert first.row == surest


def test_real_targets_have_rows_that_teach_too():
    subject = laid_open([Dense(units=2)], (3,), loss=Quadratic(), target=RealTarget(shape=(2,)))
    schema = DataSchema(rows=3, input_shape=(3,), input_dtype="float64", target=RealTarget(shape=(2,)))
    data = Dataset(schema, np.eye(3), np.array([[0.0, 0], [9, 9], [1, 1]]))
    first, *_ = lessons(subject, data, np.arange(3), "gradient_norm", 3)
    assert first.row == 1
    assert subject.said(first.outputs) == first.outputs.tolist()


def test_nothing_to_look_at_is_refused_or_empty(subject, data):
    assert lessons(subject, data, np.arange(0), "loss", 5) == []
    strange = DataSchema(rows=3, input_shape=(4,), input_dtype="float64", target=RealTarget(shape=()))
    with pytest.raises(SpecError, match="real numbers"):
        lessons(subject, Dataset(strange, np.zeros((3, 4)), np.zeros(3)), np.arange(3), "loss", 5)
    assert flops(subject, 10) == 3 * 10 * subject.network.flops
