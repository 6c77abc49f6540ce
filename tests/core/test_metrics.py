"""Every metric against its definition, written out in loops, and on its way through a run."""

from statistics import mean

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from core.checkpoint import Checkpoint
from core.estimate import check
from core.metrics import (
    F1,
    MAE,
    R2,
    RMSE,
    Accuracy,
    AnyMetric,
    ConfusionMatrix,
    Metric,
    MetricOrName,
    Precision,
    Recall,
    TopK,
    by_class,
)
from core.predictor import Predictor
from core.schema import ClassTarget, DataSchema, RealTarget
from core.spec import SpecError, findings
from core.training import Epoch, fit
from tests.core.unions import concrete, members

METRICS = [Accuracy(), TopK(k=1), TopK(k=3), ConfusionMatrix(), Precision(), Recall(), F1(), MAE(), RMSE(), R2()]
over_metrics = pytest.mark.parametrize("metric", METRICS, ids=str)
WIDTH = 6


def outputs(rows=60):
    """Outputs with many ties; class 3 is never said, class 4 never occurs, class 5 neither."""
    random = np.random.default_rng(3)
    a = random.integers(0, 4, (rows, WIDTH)).astype(float)
    a[:, [3, 5]] -= 10
    return a, random.integers(0, 4, rows)


def reals(rows=60):
    random = np.random.default_rng(4)
    y = random.normal(size=(rows, WIDTH)) + 1e6
    return y + 0.3 * random.normal(size=y.shape), y


def measured(metric, a, y, cuts=()):
    sums = np.zeros(metric.room(WIDTH))
    for part, targets in zip(np.split(a, cuts), np.split(y, cuts), strict=True):
        metric.add(sums, part, targets)
    return metric.value(sums)


def expected(metric, a, y):
    """Plain loops over rows and classes."""
    if not metric.for_classes:
        columns = list(zip(a.T.tolist(), y.T.tolist(), strict=True))
        errors = [p - q for ps, qs in columns for p, q in zip(ps, qs, strict=True)]
        if metric.type == "r2":
            return mean(
                1 - sum((p - q) ** 2 for p, q in zip(ps, qs, strict=True)) / sum((q - mean(qs)) ** 2 for q in qs)
                for ps, qs in columns
            )
        return mean(map(abs, errors)) if metric.type == "mae" else mean(e * e for e in errors) ** 0.5
    order = [sorted(range(WIDTH), key=lambda j: -row[j]) for row in a.tolist()]  # a stable sort: ties to the first
    said, true = [ranked[0] for ranked in order], y.tolist()
    pairs = list(zip(true, said, strict=True))
    if metric.type == "confusion_matrix":
        return [[pairs.count((i, j)) for j in range(WIDTH)] for i in range(WIDTH)]
    if metric.type == "accuracy":
        return mean(t == s for t, s in pairs)
    if metric.type == "top_k":
        return mean(t in ranked[: metric.k] for t, ranked in zip(true, order, strict=True))
    scores = []
    for c in {*true, *said}:
        hits, of_said, of_true = pairs.count((c, c)), said.count(c), true.count(c)
        precision, recall = (hits / n if n else 0.0 for n in (of_said, of_true))
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        scores.append({"precision": precision, "recall": recall, "f1": f1}[metric.type])
    return mean(scores)


def test_every_metric_is_in_the_union_has_a_case_and_may_be_named():
    assert concrete(Metric) == set(members(AnyMetric)) == {type(m) for m in METRICS}
    adapter = TypeAdapter(MetricOrName)
    for cls in members(AnyMetric):
        assert adapter.validate_python(cls().type) == cls()
    names = adapter.json_schema()["anyOf"][-1]["enum"]
    assert names == [cls().type for cls in members(AnyMetric)]


@over_metrics
@pytest.mark.parametrize("cuts", [(), (1,), (7, 20, 59)])
def test_metrics_are_as_defined_wherever_batches_end(metric, cuts):
    a, y = outputs() if metric.for_classes else reals()
    value = measured(metric, a, y, cuts)
    if metric.is_number:
        assert isinstance(value, float)
        assert np.isclose(value, expected(metric, a, y), rtol=1e-9, atol=0)
    else:
        assert value == expected(metric, a, y)


@over_metrics
def test_json_brings_the_metric_back(metric):
    adapter = TypeAdapter(AnyMetric)
    assert adapter.validate_json(adapter.dump_json(metric)) == metric


def test_what_never_varies_has_no_r2():
    a, y = reals()
    y[:, 2] = 7
    assert measured(R2(), a, y) is None
    assert measured(R2(), *[reals()[1]] * 2) == 1


def test_one_output_tells_two_classes_apart():
    a = np.array([[0.2], [0.5], [0.7]])
    assert by_class(a, 0.5).argmax(axis=1).tolist() == [0, 0, 1]
    assert by_class(a - 0.5, 0.0).argmax(axis=1).tolist() == [0, 0, 1]
    assert by_class(np.eye(3), 0.5) is not None


def test_a_run_measures_what_it_is_asked_for(classes, make_spec):
    data, apart = classes(rows=80), classes(rows=300, seed=2)
    asked = ["accuracy", {"type": "top_k", "k": 2}, "confusion_matrix", "precision", "recall", "f1"]
    spec = make_spec(validation={"dataset": "ds_2"}, metrics=asked, epochs=2)
    (*_, last) = fit(spec, data, apart)
    a = Predictor.from_checkpoint(last.checkpoint()).predict(apart.x)
    for metric in spec.metrics:
        sums = np.zeros(metric.room(3))
        metric.add(sums, a, apart.y)
        value = last.metrics[f"validation_{metric.name}"]
        assert (
            value == metric.value(sums) if metric.type == "confusion_matrix" else np.isclose(value, metric.value(sums))
        )
    assert last.metrics["validation_accuracy"] == np.trace(last.metrics["validation_confusion_matrix"]) / 300
    kept = Checkpoint.from_bytes(last.checkpoint().to_bytes()).metrics
    assert kept == {name: value for name, value in last.metrics.items() if name not in ("seconds", "examples_per_s")}


def test_real_targets_have_errors(reals, make_spec):
    data, apart = reals(rows=60), reals(rows=300, seed=1)
    layers = [{"type": "dense", "units": 2}]
    spec = make_spec(
        layers=layers,
        loss={"type": "mean_squared_error"},
        validation={"dataset": "ds_2"},
        metrics=["mae", "rmse", "r2"],
    )
    (*_, last) = fit(spec, data, apart)
    a = Predictor.from_checkpoint(last.checkpoint()).predict(apart.x)
    around = np.square(apart.y - apart.y.mean(axis=0)).sum(axis=0)
    assert np.isclose(last.metrics["validation_mae"], np.abs(a - apart.y).mean())
    assert np.isclose(last.metrics["validation_rmse"], np.sqrt(last.metrics["validation_loss"]))
    assert np.isclose(last.metrics["validation_r2"], (1 - np.square(a - apart.y).sum(axis=0) / around).mean())


def test_metrics_do_not_change_what_is_learned(classes, make_spec):
    data = classes()
    plain, measuring = make_spec(validation={"fraction": 0.2}), make_spec(validation={"fraction": 0.2}, metrics=["f1"])
    a, b = (list(fit(spec, data))[-1].checkpoint().tensors for spec in (plain, measuring))
    assert all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("metric", "name", "better"), [("f1", "validation_f1", 1), ({"type": "top_k", "k": 2}, "validation_top_2", 1)]
)
def test_early_stopping_watches_any_number(classes, make_spec, metric, name, better):
    spec = make_spec(
        early_stopping={"metric": name, "patience": 2},
        metrics=[metric],
        validation={"fraction": 0.4},
        epochs=100,
    )
    told = [event for event in fit(spec, classes()) if isinstance(event, Epoch)]
    values = [better * e.metrics[name] for e in told]
    assert [e.stop for e in told] == [False] * (len(told) - 1) + [True]
    assert [e.best for e in told] == [v > max(values[:i], default=-np.inf) for i, v in enumerate(values)]


def test_of_errors_the_smallest_is_best(reals, make_spec):
    spec = make_spec(
        layers=[{"type": "dense", "units": 2}],
        loss={"type": "quadratic"},
        optimizer={"type": "sgd", "learning_rate": 0.01},
        early_stopping={"metric": "validation_mae", "patience": 2},
        metrics=["mae"],
        validation={"fraction": 0.4},
        epochs=30,
    )
    told = [event for event in fit(spec, reals()) if isinstance(event, Epoch)]
    values = [e.metrics["validation_mae"] for e in told]
    assert [e.best for e in told] == [v < min(values[:i], default=np.inf) for i, v in enumerate(values)]
    assert sum(e.best for e in told) > 3


MANY = DataSchema(rows=500, input_shape=(4, 3), input_dtype="uint8", target=ClassTarget(classes=tuple(range(200))))
REAL = DataSchema(rows=100, input_shape=(4, 3), input_dtype="uint8", target=RealTarget(shape=(3,)))


@pytest.mark.parametrize(
    ("schema", "changes", "at", "says"),
    [
        (MANY, {"validation": None}, "/metrics/0", "set validation"),
        (MANY, {"metrics": ["confusion_matrix"]}, "/metrics/0", "at most 128 classes, and here are 200"),
        (MANY, {"metrics": ["f1", "mae"]}, "/metrics/1", "mae is for real targets"),
        (REAL, {"metrics": ["f1"], "loss": {"type": "quadratic"}}, "/metrics/0", "f1 is for classes"),
        (
            MANY,
            {"metrics": [{"type": "top_k", "k": 200}]},
            "/metrics/0/k",
            "has 200 classes, so the 200 likeliest always hold the right one: k may be 199 at most",
        ),
        (MANY, {"metrics": ["f1", "f1"]}, "/metrics/1", "twice"),
        (MANY, {"early_stopping": {"metric": "validation_recall", "patience": 1}}, "/early_stopping/metric", "no"),
        (
            MANY,
            {
                "metrics": ["confusion_matrix"],
                "early_stopping": {"metric": "validation_confusion_matrix", "patience": 1},
            },
            "/early_stopping/metric",
            "is not a number that is measured here",
        ),
    ],
)
def test_metrics_that_do_not_fit_are_refused(make_spec, schema, changes, at, says):
    layers = [{"type": "flatten"}, {"type": "dense", "units": schema.target.width}]
    fields = {"validation": {"fraction": 0.2}, "metrics": ["f1"], "layers": layers} | changes
    with pytest.raises(SpecError) as caught:
        check(make_spec(**fields), schema, None)
    assert any(found.pointer == at and says in found.detail for found in caught.value.errors)


def test_an_unknown_metric_is_answered_with_the_known_ones(make_spec):
    with pytest.raises(ValidationError) as caught:
        make_spec(metrics=["f1", "recal"])
    (found,) = findings(caught.value)
    assert found.pointer == "/metrics/1/type"
    assert 'Did you mean "recall"?' in found.detail
