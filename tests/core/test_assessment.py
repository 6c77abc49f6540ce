"""What is said of a trained network on other data, against plain arithmetic on its outputs."""

import numpy as np
import pytest

from core.assessment import MOST_CLASSES, Confusion, _confusion, assess
from core.checkpoint import Checkpoint
from core.data import Dataset
from core.explanations.subject import Subject
from core.layers import Dense, Embedding, Flatten, SimpleRNN
from core.losses import BinaryCrossEntropy, MeanSquaredError
from core.metrics import TopK
from core.predictor import Predictor
from core.schema import ClassTarget, Column, DataSchema, RealTarget
from core.spec import SpecError
from core.training import Epoch, fit
from core.training_spec import TrainingSpec
from tests.core.explanations.zoo import CLASSES, NAMES, ZOO, laid_open

TREES = ClassTarget(classes=CLASSES)


def some_rows(subject: Subject, n: int = 300, seed: int = 3, target: ClassTarget | None = None) -> Dataset:
    """Random rows, with whole numbers where a layer looks them up."""
    draw = np.random.default_rng(seed)
    shape = subject.network.input_shape
    x = draw.integers(0, 2, (n, *shape)).astype(float) if subject.looks_up else draw.normal(size=(n, *shape))
    classes = target or TREES
    y = draw.integers(0, classes.width, n).astype(np.int32)
    return Dataset(DataSchema(rows=n, input_shape=shape, input_dtype="float64", target=classes), x, y)


def by_hand(subject: Subject, data: Dataset, row: int) -> tuple[float, int, float]:
    """Cost, said class and its probability of one row, on its own."""
    found = subject.backpropagate(subject.rows(data, np.array([row])))
    return float(found.costs[0]), int(found.outputs[0].argmax()), float(found.outputs[0].max())


@pytest.mark.parametrize(("layers", "shape"), ZOO, ids=NAMES)
def test_every_layer_is_assessed_as_each_row_alone(layers: list, shape: tuple[int, ...]) -> None:  # type: ignore[type-arg]
    subject = laid_open(layers, shape)
    data = some_rows(subject, 7)
    found = assess(subject, data, range(7), 7)
    each = [by_hand(subject, data, row) for row in range(7)]
    assert found.metrics["loss"] == pytest.approx(np.mean([cost for cost, _, _ in each]), rel=1e-9)
    hits = [said == true for (_, said, _), true in zip(each, data.y, strict=True)]
    assert found.metrics["accuracy"] == np.mean(hits)
    assert [row.row for row in found.costliest] == sorted(range(7), key=lambda row: -each[row][0])
    for row in found.costliest:
        cost, said, probability = each[row.row]
        assert (row.target, row.prediction) == (CLASSES[data.y[row.row]], CLASSES[said])
        assert (row.cost, row.probability) == pytest.approx((cost, probability), rel=1e-9)


def test_many_batches_and_a_range_of_rows() -> None:
    subject = laid_open([Dense(units=3)], (4,))
    data = some_rows(subject, 1000)
    found = assess(subject, data, range(100, 900), 2)
    cut = Dataset(data.schema.model_copy(update={"rows": 800}), data.x[100:900].copy(), data.y[100:900].copy())
    alone = assess(subject, cut, range(800), 2)
    assert found.metrics == alone.metrics
    assert found.confusion == alone.confusion
    assert [row.row for row in found.costliest] == [100 + row.row for row in alone.costliest]
    assert found.confusion is not None
    assert np.sum(found.confusion.counts) == 800
    counts = np.array(found.confusion.counts)
    assert counts.sum(axis=1).tolist() == np.bincount(data.y[100:900]).tolist()
    assert found.metrics["accuracy"] == pytest.approx(np.trace(counts) / 800)
    assert set(found.metrics) == {"loss", "accuracy", "precision", "recall", "f1", "top_2"}
    assert assess(subject, data, range(1000), 0).costliest == []


@pytest.mark.parametrize("loss", [{"type": "cross_entropy", "label_smoothing": 0.1, "class_weights": [1, 2, 0.5]},
                                  {"type": "quadratic"}])  # fmt: skip
def test_it_says_what_the_validation_of_the_training_said(loss: dict[str, object]) -> None:
    draw = np.random.default_rng(5)
    schema = DataSchema(rows=600, input_shape=(4,), input_dtype="float64", target=TREES)
    train, held = (Dataset(schema, draw.normal(size=(600, 4)), draw.integers(0, 3, 600).astype(np.int32)) for _ in "ab")
    spec = TrainingSpec.model_validate(
        {
            "dataset": "a", "validation": {"dataset": "b"}, "preprocessing": {"scale": "standard"}, "loss": loss,
            "network": {"layers": [{"type": "dense", "units": 8}, {"type": "batch_norm"},
                                   {"type": "dropout", "rate": 0.5}, {"type": "tanh"}, {"type": "dense", "units": 3}]},
            "metrics": ["precision", "recall", "f1", {"type": "top_k", "k": 2}, "confusion_matrix"], "epochs": 2,
            "regularization": {"l2": 0.1},
        }
    )  # fmt: skip
    last = [step for step in fit(spec, train, held) if isinstance(step, Epoch)][-1]
    subject = Subject.from_checkpoint(last.checkpoint())
    found = assess(subject, held, range(600), 0, spec.metrics)
    assert found.confusion is not None
    assert found.confusion.counts == last.metrics["validation_confusion_matrix"]
    for name, value in found.metrics.items():
        assert value == pytest.approx(last.metrics[f"validation_{name}"], rel=1e-5), name


def test_real_targets() -> None:
    subject = laid_open([Dense(units=4)], (3,), MeanSquaredError(), RealTarget(shape=(2, 2)))
    draw = np.random.default_rng(1)
    schema = DataSchema(rows=500, input_shape=(3,), input_dtype="float64", target=RealTarget(shape=(2, 2)))
    data = Dataset(schema, draw.normal(size=(500, 3)), draw.normal(size=(500, 2, 2)))
    found = assess(subject, data, range(500), 3)
    a = subject.backpropagate(subject.rows(data, np.arange(500))).outputs
    errors = a - data.y.reshape(500, 4)
    assert found.confusion is None
    assert set(found.metrics) == {"loss", "mae", "rmse", "r2"}
    assert found.metrics["mae"] == pytest.approx(np.abs(errors).mean())
    assert found.metrics["rmse"] == pytest.approx(np.sqrt((errors**2).mean()))
    worst = int((errors**2).sum(axis=1).argmax())
    assert found.costliest[0].row == worst
    assert found.costliest[0].target == data.y[worst].tolist()
    assert np.allclose(found.costliest[0].prediction, a[worst].reshape(2, 2))  # type: ignore[arg-type]
    assert found.costliest[0].probability is None


def test_one_output_for_two_classes() -> None:
    two = ClassTarget(classes=(False, True))
    subject = laid_open([Dense(units=1)], (2,), BinaryCrossEntropy(), two)
    data = some_rows(subject, 50, target=two)
    found = assess(subject, data, range(50), 1, [TopK(k=1)])
    logits = data.x @ subject.theta[:2] + subject.theta[2]
    assert found.metrics["accuracy"] == pytest.approx(float(np.mean((logits > 0) == data.y)))
    assert found.metrics["top_1"] == found.metrics["accuracy"]
    [worst] = found.costliest
    chance = 1 / (1 + np.exp(-logits[worst.row]))
    assert worst.probability == pytest.approx(max(chance, 1 - chance))
    assert worst.prediction == bool(chance > 0.5)


def test_classes_are_those_of_the_model_and_not_all_need_occur() -> None:
    subject = laid_open([Dense(units=3)], (2,))
    fewer = ClassTarget(classes=("elm", "oak"))
    data = some_rows(subject, 40, target=fewer)
    found = assess(subject, data, range(40), 40)
    assert found.confusion is not None
    assert found.confusion.classes == CLASSES
    assert sum(found.confusion.counts[0]) == 0
    assert all(row.target == fewer.classes[data.y[row.row]] for row in found.costliest)


def test_a_confusion_matrix_of_many_classes_shows_those_that_matter() -> None:
    many = ClassTarget(classes=tuple(range(1000)))
    true = np.repeat(np.arange(500, 700), 2)
    said = true.copy()
    said[0] = 3  # one row of class 500 is taken for a class that is never seen again
    found = _confusion(many, true, said)
    assert len(found.classes) == MOST_CLASSES
    assert list(found.classes) == sorted(found.classes)  # type: ignore[type-var]
    assert 3 not in found.classes
    assert np.sum(found.counts) + found.rows_left_out == 400
    assert found.rows_left_out > 0
    exact = _confusion(ClassTarget(classes=(0, 1)), np.array([0, 1, 1]), np.array([0, 0, 1]))
    assert exact == Confusion((0, 1), [[1, 0], [1, 1]], 0)


def test_data_of_another_kind_are_refused() -> None:
    subject = laid_open([Dense(units=3)], (2,))
    wide = some_rows(laid_open([Dense(units=3)], (3,)), 5)
    strange = some_rows(subject, 5, target=ClassTarget(classes=("ash", "fir", "oak")))
    schema = DataSchema(rows=5, input_shape=(2,), input_dtype="float64", target=RealTarget(shape=()))
    real = Dataset(schema, np.zeros((5, 2)), np.zeros(5))
    for data, said in (wide, "shape [3]"), (strange, '"fir"'), (real, "real numbers"):
        with pytest.raises(SpecError, match="/dataset") as refused:
            assess(subject, data, range(5), 1)
        assert said in refused.value.errors[0].detail


def test_rows_that_overflow_or_are_not_known_are_named() -> None:
    subject = laid_open([Dense(units=3)], (2,))
    data = some_rows(subject, 600)
    data.x[333] = 1e308
    with pytest.raises(SpecError, match="Row 333 "):
        assess(subject, data, range(600), 1)
    words = laid_open([Embedding(size=5, dimension=2), Flatten(), Dense(units=3)], (4,))
    data = some_rows(words, 600)
    data.x[444, 1] = 5
    with pytest.raises(SpecError, match=r"Row 444: .*0 to 4"):
        assess(words, data, range(600), 1)


def test_masks_count_and_bad_ones_are_refused() -> None:
    subject = laid_open([SimpleRNN(units=3), Dense(units=3)], (4, 2))
    plain = some_rows(subject, 20)
    columns = (Column(name="n", role="mask"),)
    masked = Dataset(plain.schema.model_copy(update={"columns": columns}), plain.x, plain.y, masks=(np.full(20, 2),))
    short = plain.x.copy()
    short[:, 2:] = 99.0  # behind the end of every sequence
    padded = Dataset(masked.schema, short, plain.y, masks=masked.masks)
    assert assess(subject, masked, range(20), 3) == assess(subject, padded, range(20), 3)
    assert assess(subject, masked, range(20), 0).metrics != assess(subject, plain, range(20), 0).metrics
    beyond = Dataset(masked.schema, plain.x, plain.y, masks=(np.full(20, 5),))
    with pytest.raises(SpecError, match="A mask of this dataset holds 5"):
        assess(subject, beyond, range(20), 1)
    two = DataSchema(**{**dict(masked.schema), "columns": (*columns, Column(name="m", role="mask"))})
    with pytest.raises(SpecError, match="2 mask columns do not fit"):
        assess(subject, Dataset(two, plain.x, plain.y, masks=(np.ones(20, int), np.ones(20, int))), range(20), 1)


def test_it_agrees_with_predictions() -> None:
    draw = np.random.default_rng(7)
    schema = DataSchema(rows=200, input_shape=(5,), input_dtype="float32", target=TREES)
    data = Dataset(schema, draw.normal(size=(200, 5)).astype(np.float32), draw.integers(0, 3, 200).astype(np.int32))
    spec = TrainingSpec.model_validate(
        {"dataset": "a", "network": {"layers": [{"type": "dense", "units": 3}]}, "loss": {"type": "cross_entropy"}}
    )
    content = [step for step in fit(spec, data) if isinstance(step, Epoch)][-1].checkpoint().to_bytes()
    checkpoint = Checkpoint.from_bytes(content)
    predictor = Predictor.from_checkpoint(checkpoint)
    labels = predictor.label(predictor.predict(data.x), 1)
    for row in assess(Subject.from_checkpoint(checkpoint), data, range(200), 200).costliest:
        assert row.prediction == labels[row.row]["class"]
        assert row.probability == pytest.approx(labels[row.row]["probability"], rel=1e-5)
