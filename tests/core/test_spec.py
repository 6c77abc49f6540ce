"""Specs: what is refused, where the finding points, and what it says."""

import json
import re
from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

import core.prediction_spec  # noqa: F401 (its examples are tried like all others)
from core.layers import SelfAttention
from core.readers import ReadOptions
from core.schema import ClassTarget, DataSchema, RealTarget, class_key
from core.sentences import EXAMPLES, LISTS
from core.spec import Finding, Spec, SpecError, findings, pointer
from core.training_spec import TrainingSpec

MINIMAL = {
    "dataset": "ds_1",
    "network": {"layers": [{"type": "flatten"}, {"type": "dense", "units": 10}]},
    "loss": {"type": "quadratic"},
}


def refused(text):
    with pytest.raises(ValidationError) as caught:
        TrainingSpec.model_validate_json(text)
    return findings(caught.value)


def refused_with(**changes):
    return refused(json.dumps(MINIMAL | changes))


def test_the_defaults_are_written_out():
    told = TrainingSpec.model_validate(MINIMAL).model_dump(mode="json")
    assert told == {
        "spec_version": 1,
        "name": None,
        "dataset": "ds_1",
        "validation": None,
        "preprocessing": {"scale": "unit"},
        "augmentation": [],
        "network": {
            "layers": [
                {"type": "flatten"},
                {
                    "type": "dense",
                    "units": 10,
                    "weights": {"type": "glorot_uniform"},
                    "biases": {"type": "zeros"},
                },
            ]
        },
        "loss": {"type": "quadratic"},
        "optimizer": {"type": "sgd", "learning_rate": 0.1, "momentum": 0.0},
        "regularization": {"l1": 0.0, "l2": 0.0, "nielsen_lambda": 0.0, "weight_decay": 0.0, "max_norm": None},
        "gradient_clipping": {"value": None, "norm": None},
        "metrics": [],
        "batch_size": 32,
        "epochs": 10,
        "seed": 0,
        "dtype": "float32",
        "threads": 1,
        "early_stopping": None,
        "checkpoints": {"every_epochs": 1, "keep": 2},
        "limits": {"runtime_s": None, "attempts": 5},
        "from_checkpoint": None,
        "from_optimizer_state": False,
        "from_weights": None,
        "doctor": True,
        "trace": {"surface": False},
        "metadata": {},
        "priority": 0,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"validation": {"fraction": 0.2}},
        {"validation": {"dataset": "ds_2"}},
        {"optimizer": {"type": "adam", "learning_rate": {"type": "exponential", "learning_rate": 1, "factor": 0.5}}},
        {"early_stopping": {"metric": "train_loss", "patience": 3}, "metadata": {"a": [1, None, {"b": 0.1}]}},
        {"limits": {"runtime_s": 0.1}, "seed": 2**63 - 1, "from_checkpoint": "ckpt_1", "name": "digits"},
        {"from_checkpoint": "ckpt_1", "from_optimizer_state": True},
    ],
)
def test_json_round_trip_is_exact(changes):
    spec = TrainingSpec.model_validate(MINIMAL | changes)
    assert TrainingSpec.model_validate_json(spec.model_dump_json()) == spec
    assert TrainingSpec.model_validate(spec.model_dump(mode="json")) == spec


def layers(*given):
    return {"network": {"layers": list(given)}}


@pytest.mark.parametrize(
    ("changes", "at", "says"),
    [
        (layers(), "/network/layers", "at least 1 entry"),
        (layers({"type": "dens"}), "/network/layers/0/type", 'known are dense, .*Did you mean "dense"'),
        (layers({"type": float("nan")}), "/network/layers/0/type", "the name of a type; known are dense"),
        (layers({"units": 3}), "/network/layers/0/type", 'a field "type"'),
        (layers({"type": "dense"}), "/network/layers/0/units", "required"),
        (layers({"type": "dense", "units": 10**12}), "/network/layers/0/units", "at most"),
        (layers({"type": "dense", "units": 0}), "/network/layers/0/units", "at least 1"),
        (layers({"type": "dense", "units": True}), "/network/layers/0/units", "a whole number"),
        (layers({"type": "dense", "units": "3"}), "/network/layers/0/units", "a whole number"),
        (layers({"type": "dense", "units": 3, "unit": 3}), "/network/layers/0/unit", "no field"),
        (layers({"type": "dropout", "rate": 1.0}), "/network/layers/0/rate", "less than 1"),
        (layers({"type": "gru", "units": 3, "sequence": 1}), "/network/layers/0/sequence", "true or false, without"),
        ({"optimizer": {"type": "sgd", "learning_rate": float("nan")}}, "/optimizer/learning_rate", "finite"),
        ({"optimizer": {"type": "sgd", "learning_rate": float("inf")}}, "/optimizer/learning_rate", "finite|less"),
        ({"optimizer": {"type": "sgd", "learning_rate": 0}}, "/optimizer/learning_rate", "greater than 0"),
        ({"optimizer": {"type": "sgd", "learning_rate": "fast"}}, "/optimizer/learning_rate", "number"),
        (
            {"optimizer": {"type": "sgd", "learning_rate": {"type": "step", "learning_rate": 1}}},
            "/optimizer/learning_rate/every_epochs",
            "required",
        ),
        ({"optimizer": {"type": "sgd", "learning_rate": {"type": "stop"}}}, "/optimizer/learning_rate/type", "step"),
        ({"optimizer": {"type": "sdg"}}, "/optimizer/type", 'Did you mean "sgd"'),
        ({"loss": {"type": "mse"}}, "/loss/type", "known are quadratic"),
        ({"validation": {"fraction": 1.0}}, "/validation/fraction", "less than 1"),
        ({"validation": {"dataset": "a b"}}, "/validation/dataset", "id of a dataset"),
        ({"seed": 2**63}, "/seed", "less than"),
        ({"seed": -1}, "/seed", "at least 0"),
        ({"epochs": 2.5}, "/epochs", "a whole number"),
        ({"name": "job_1"}, "/name", "like an id"),
        ({"name": "a/b"}, "/name", "letters, digits"),
        ({"priority": 11}, "/priority", "at most"),
        ({"metadata": {"a": {"b": float("nan")}}}, "/metadata", "NaN"),
        ({"metadata": {"a": "\0"}}, "/metadata", "NUL"),
        ({"metadata": {"a": 2**70}}, "/metadata", "64 bits"),
        ({"metadata": {"a": [[[[[[[[[[1]]]]]]]]]]}}, "/metadata", "nested"),
        ({"metadata": {"a": {"dense": float("inf")}}}, "/metadata", "Infinity"),
        ({"metadata": {"a\0": 1}}, "/metadata", "NUL"),
        ({"metadata": [1]}, "/metadata", "an object"),
        ({"spec_version": 2}, "/spec_version", "1"),
        ({"typo": 1}, "/typo", "no field"),
    ],
)
def test_a_bad_field_is_found_where_it_stands(changes, at, says):
    found = refused_with(**changes)
    assert [f.pointer for f in found] == [at]
    assert found == [Finding(at, found[0].detail)]
    assert re.search(says, found[0].detail)
    assert "nan" not in found[0].detail


def flags(cls=Spec):
    """The class and name of each field of any spec that is true or false."""
    found = set()
    for name, field in cls.model_fields.items():
        allowed = field.annotation, *get_args(field.annotation)
        if bool in [getattr(kind, "__origin__", kind) for kind in allowed] and cls.__module__.startswith("core."):
            found.add((cls, name))
    return found.union(*map(flags, cls.__subclasses__()))


@pytest.mark.parametrize("given", ["yes", "true", "false", 0, 1, 1.0])
def test_flags_are_true_or_false_and_nothing_like_it(given):
    found = flags()
    assert {(SelfAttention, "positions"), (ReadOptions, "header")} < found
    for cls, name in found:
        with pytest.raises(ValidationError) as caught:
            cls.model_validate_json(json.dumps({name: given}))
        assert f"/{name}" in [at for at, _ in findings(caught.value)], (cls, name)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 5000, '{"dataset": "\\ud800"}', '{"seed": 1e400}'])
def test_what_is_no_spec_at_all_is_refused(text):
    assert refused(text)


@pytest.mark.parametrize("depth", [9, 900, 50_000])
def test_deep_metadata_are_refused_without_descending(depth):
    nested = 1
    for _ in range(depth):
        nested = [nested]
    with pytest.raises(ValidationError) as caught:
        TrainingSpec.model_validate(MINIMAL | {"metadata": {"a": nested}})
    assert findings(caught.value) == [Finding("/metadata", "Metadata may be nested 8 deep at most.")]


def test_all_findings_are_reported_at_once():
    found = refused_with(batch_size=0, epochs=0, loss={"type": "x"})
    assert {f.pointer for f in found} == {"/batch_size", "/epochs", "/loss/type"}


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"optimizer": {"type": "momentum", "momentum": 2}}, "/optimizer/momentum"),
        ({"optimizer": {"type": "sgd", "momentum": 2}}, "/optimizer/momentum"),
        ({"preprocessing": {"scale": 3}}, "/preprocessing/scale"),
        ({"augmentation": [{"type": "scale", "factor": 0}]}, "/augmentation/0/factor"),
        ({"metrics": ["f1", {"type": "top_k", "k": 0}]}, "/metrics/1/k"),
        (
            {"optimizer": {"type": "momentum", "learning_rate": {"type": "step", "learning_rate": 1, "factor": 2}}},
            "/optimizer/learning_rate/factor",
        ),
    ],
)
def test_a_field_may_have_the_name_of_a_type(changes, pointer):
    assert pointer in [found.pointer for found in refused_with(**changes)]


def test_pointers_escape():
    assert pointer(["a/b", 0, "c~d"]) == "/a~1b/0/c~0d"
    assert pointer([]) == ""
    assert "/a: wrong" in str(SpecError([Finding("/a", "wrong")]))


def test_specs_are_immutable():
    spec = TrainingSpec.model_validate(MINIMAL)
    with pytest.raises(ValidationError):
        spec.epochs = 3


def test_identity_leaves_out_names_ids_and_habits():
    plain = TrainingSpec.model_validate(MINIMAL | {"validation": {"dataset": "ds_2"}})
    other = {
        "dataset": "ds_9",
        "validation": {"dataset": "ds_8"},
        "name": "x",
        "metadata": {"a": 1},
        "limits": {"attempts": 1},
        "checkpoints": {"keep": 9},
        "priority": 3,
        "from_checkpoint": "ckpt_5",
    }
    assert plain.identity() == TrainingSpec.model_validate(MINIMAL | other).identity()
    assert plain.identity() != TrainingSpec.model_validate(MINIMAL).identity()
    assert plain.identity() != plain.model_copy(update={"seed": 1}).identity()


def test_the_optimizer_state_to_begin_with_is_part_of_the_identity_of_those_runs_alone():
    weights = TrainingSpec.model_validate(MINIMAL | {"from_checkpoint": "ckpt_5"})
    state = TrainingSpec.model_validate(MINIMAL | {"from_checkpoint": "ckpt_5", "from_optimizer_state": True})
    assert "from_optimizer_state" not in weights.identity()
    assert state.identity() == weights.identity() | {"from_optimizer_state": True}


CLASSES = (None, False, True, -3, 1, 2.5, 10, "", "1", "a")


def test_class_labels_keep_their_json_type():
    target = ClassTarget(classes=CLASSES)
    back = ClassTarget.model_validate_json(target.model_dump_json())
    assert [(type(c), c) for c in back.classes] == [(type(c), c) for c in CLASSES]
    assert sorted([*CLASSES[5:], *CLASSES[:5]], key=class_key) == list(CLASSES)
    assert class_key(1) == class_key(1.0)
    assert len({class_key(c) for c in (1, True, "1")}) == 3


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([1], "one class"),
        ([1, 1], "one class"),
        ([1, 1.0, 2], "distinct"),
        ([2, 1], "sorted"),
        ([0, float("nan")], "NaN"),
        ([0, 2**64], "64 bits"),
        ([0, [1]], "string"),
    ],
)
def test_bad_classes_are_refused(given, says):
    with pytest.raises(ValidationError, match=says):
        ClassTarget.model_validate({"kind": "class", "classes": given})


def test_targets_have_widths():
    assert ClassTarget(classes=(0, 1, 2)).width == 3
    assert RealTarget(shape=()).width == 1
    assert RealTarget(shape=(2, 3)).width == 6
    with pytest.raises(ValidationError):
        RealTarget(shape=(0,))


def test_a_schema_round_trips():
    schema = DataSchema(
        rows=3,
        input_shape=(2,),
        input_dtype="float32",
        target=RealTarget(shape=(1,)),
        columns=[{"name": "a", "role": "feature"}],
    )
    assert DataSchema.model_validate_json(schema.model_dump_json()) == schema
    with pytest.raises(ValidationError):
        DataSchema.model_validate(schema.model_dump() | {"input_shape": []})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"loss": "quadratic"}, 'such as {"type": "quadratic"}'),
        ({"validation": 0.2}, 'such as {"fraction": 0.2}'),
        ({"name": "my digits"}, "no spaces"),
        ({"batch_size": 2**40}, "at most 2147483647"),
        ({"optimizer": "adam"}, 'such as {"type": "adam"}.'),
        ({"loss": "mse"}, "Known types are quadratic"),
        ({"augmentation": "flip"}, 'a list in brackets, such as [{"type": "flip"}].'),
        ({"from_checkpoint": "x"}, "ckpt_ and then letters"),
        ({"from_optimizer_state": True}, "name one with from_checkpoint."),
        ({"from_optimizer_state": 1, "from_checkpoint": "ckpt_1"}, "true or false"),
        ({"dtype": "float16"}, 'This must be "float32" or "float64".'),
        ({"checkpoints": 5}, 'such as {"every_epochs": 5}'),
    ],
)
def test_a_beginners_slip_is_answered_with_the_right_form(change, says):
    body = {
        "dataset": "ds_1",
        "network": {"layers": [{"type": "dense", "units": 2}]},
        "loss": {"type": "quadratic"},
        **change,
    }
    with pytest.raises(ValidationError) as refused:
        TrainingSpec.model_validate(body)
    (finding,) = findings(refused.value)
    assert finding.pointer == f"/{next(iter(change))}"
    assert says in finding.detail


def rate(value):
    return {"optimizer": {"type": "sgd", "learning_rate": value}}


def dense(**fields):
    return layers({"type": "dense", "units": 2, **fields})


@pytest.mark.parametrize(
    ("changes", "at", "says"),
    [
        (layers("relu"), "/network/layers/0", 'This must be an object in braces, such as {"type": "relu"}.'),
        (layers("dense"), "/network/layers/0", 'such as {"type": "dense", "units": 16}.'),
        (layers("rellu"), "/network/layers/0", 'such as {"type": "relu"}. Known types are dense, flatten'),
        (dense(weights="he_normal"), "/network/layers/0/weights", 'such as {"type": "he_normal"}.'),
        ({"augmentation": ["flip"]}, "/augmentation/0", 'such as {"type": "flip"}.'),
        (
            rate("cosine"),
            "/optimizer/learning_rate",
            'a number, or a schedule as an object, such as {"type": "cosine", ',
        ),
        (rate(None), "/optimizer/learning_rate", "a number, or a schedule"),
        (
            rate({"type": "cosine", "learning_rate": "x"}),
            "/optimizer/learning_rate/learning_rate",
            "This must be a number, without quotes.",
        ),
        (rate(1e40), "/optimizer/learning_rate", "This must be at most 1e30."),
        ({"early_stopping": {"patience": 1, "metric": "Loss!"}}, "/early_stopping/metric", "Name a metric"),
        (
            layers({"type": "reshape", "shape": 3}),
            "/network/layers/0/shape",
            "a list in brackets, such as [28, 28, 1].",
        ),
        (layers({"type": "expression", "expression": ""}), "/network/layers/0/expression", "This must not be empty."),
        (dense(weights={"type": "constant", "value": -1e31}), "/network/layers/0/weights/value", "at least -1e30."),
        (
            layers({"type": "conv2d", "filters": 1, "kernel": 3, "padding": "full"}),
            "/network/layers/0/padding",
            '"valid", "same", a whole number',
        ),
    ],
)
def test_a_sentence_shows_the_form_that_is_meant(changes, at, says):
    (finding,) = refused_with(**changes)
    assert finding.pointer == at
    assert says in finding.detail


def every_type(cls):
    yield cls
    for child in cls.__subclasses__():
        yield from every_type(child)


def test_every_example_of_a_field_is_taken_by_it():
    fields = [(field.alias or name, field) for cls in every_type(Spec) for name, field in cls.model_fields.items()]
    shown = {**EXAMPLES, **LISTS}
    tried = set()
    for key, field in fields:
        if key in shown and field.annotation not in (int, float) and "..." not in shown[key]:
            value = json.loads(shown[key])
            if key in ("layers", "augmentation", "metrics"):
                value = [value]
            TypeAdapter(field.annotation).validate_json(json.dumps(value))
            tried.add(key)
    assert tried == set(shown) - {"network"}
