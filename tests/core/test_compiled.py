"""The compiled form equals the plain one: over 20 steps, for every layer, loss, optimizer and type of numbers."""

import os
import re
import subprocess
import sys
from math import prod
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.compiled import build, library
from core.data import Dataset
from core.engine import Engine
from core.layers import Embedding
from core.losses import AnyLoss
from core.network import Network, ShapeError
from core.optimizers import AnyOptimizer
from core.random import Purpose, Random
from core.schema import ClassTarget, DataSchema, RealTarget
from core.training import Chunk, Diverged, Epoch, fit
from core.training_spec import TrainingSpec
from tests.core.layer_cases import CASES

PLAIN, COMPILED, DENSE = Engine(compiled=False), Engine(), Engine(sparse=False)
# Differences are relative to the largest number of a tensor. Over 20 steps rounding grows, in float32 from 6e-8.
BOUNDS = {"float64": 1e-12, "float32": 2e-4}
CLASSES = 3


def dataset(shape=(4, 3), rows=46, kind="class", dtype="uint8", seed=0, zeros=0.8, top=90):
    """Few rows, so that 16 to a batch leave a short one; uint8 mostly zero."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, *shape))
    if dtype == "uint8":
        x = random.integers(0, top, (rows, *shape)) * (random.random((rows, *shape)) >= zeros)
    if kind == "class":
        y = random.integers(0, CLASSES, rows, dtype=np.int32)
        y[:CLASSES] = np.arange(CLASSES)
        target = ClassTarget(classes=tuple(range(CLASSES)))
    else:
        y, target = random.normal(size=(rows, CLASSES)), RealTarget(shape=(CLASSES,))
    schema = DataSchema(rows=rows, input_shape=shape, input_dtype=dtype, target=target)
    return Dataset(schema, x.astype(dtype), y)


def fits(spec, shape):
    """Whether the layers take each other's outputs: a softmax over one number is refused, for example."""
    try:
        Network.trace(spec.network.layers, shape)
    except ShapeError:
        return False
    return True


def spec_of(layers, **changes):
    fields = {
        "dataset": "ds_1",
        "network": {"layers": layers},
        "loss": {"type": "cross_entropy"},
        "optimizer": {"type": "sgd", "learning_rate": 0.05},
        "batch_size": 16,
        "epochs": 7,
        "seed": 3,
        "dtype": "float64",
        "validation": {"fraction": 0.1},
    }
    return TrainingSpec.model_validate(fields | changes)


def trained(spec, data, engine, start=None):
    checkpoint, metrics = None, []
    for event in fit(spec, data, start=start, engine=engine):
        if isinstance(event, Epoch):
            checkpoint = event.checkpoint()
            metrics.append({k: v for k, v in event.metrics.items() if k not in ("seconds", "examples_per_s")})
    return checkpoint, metrics


def assert_equal(spec, data, *, exact=True, start=None):
    """Plain and compiled agree; threads and sparsity change no bit."""
    plain, told = trained(spec, data, PLAIN, start)
    compiled, also_told = trained(spec, data, COMPILED, start)
    bound = BOUNDS[spec.dtype]
    for name, expected in plain.tensors.items():
        if expected.size:
            difference = np.abs(compiled.tensors[name] - expected).max()
            assert difference <= bound * max(1e-3, np.abs(expected).max()), name
    for ours, theirs in zip(also_told, told, strict=True):
        for name, value in theirs.items():
            hits = name.endswith("accuracy") and spec.dtype == "float32"
            assert ours[name] == value or np.isclose(ours[name], value, rtol=1e3 * bound, atol=0.2 * hits), name
    if exact:
        assert trained(spec, data, DENSE, start)[0].digest == compiled.digest
        two = trained(spec.model_copy(update={"threads": 2}), data, COMPILED, start)[0]
        assert all(np.array_equal(two.tensors[name], compiled.tensors[name]) for name in compiled.tensors)


over_types = pytest.mark.parametrize("dtype", ["float64", "float32"])
DENSE_STACK = [{"type": "flatten"}, {"type": "dense", "units": 20}, {"type": "tanh"}, {"type": "dense", "units": 3}]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_there_is_a_driver(dtype):
    assert library.load(dtype) is not None


@over_types
@pytest.mark.parametrize(("layer", "shape"), CASES, ids=lambda v: getattr(v, "type", str(v)))
def test_every_layer(layer, shape, dtype):
    told = layer.model_dump(mode="json")
    if isinstance(layer, Embedding):
        data = dataset(shape, top=layer.size, zeros=0.2)
        spec = spec_of(
            [told, {"type": "flatten"}, {"type": "dense", "units": 3}], dtype=dtype, preprocessing={"scale": "none"}
        )
    else:
        # With learned layers on both sides, gradients go through it and beyond it.
        before = [{"type": "flatten"}, {"type": "dense", "units": prod(shape)}, {"type": "reshape", "shape": shape}]
        spec = spec_of([*before, told, {"type": "flatten"}, {"type": "dense", "units": 3}], dtype=dtype)
        data = dataset()
    assert_equal(spec, data)


@over_types
@pytest.mark.parametrize("layers", [("sigmoid",), ("relu",), ("tanh", "sigmoid"), ("dropout", "relu"), ()], ids=str)
@pytest.mark.parametrize("units", [1, 16, 30, 70, 100])
def test_dense_stacks_of_odd_widths(layers, units, dtype):
    made = [{"type": name, **({"rate": 0.3} if name == "dropout" else {})} for name in layers]
    spec = spec_of(
        [{"type": "flatten"}, {"type": "dense", "units": units}, *made, {"type": "dense", "units": 3}], dtype=dtype
    )
    assert_equal(spec, dataset((7, 9)))


@over_types
@pytest.mark.parametrize(("batch", "epochs"), [(16, 1), (400, 12)])
@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_matrices_beyond_the_blocks_they_move_in(optimizer, batch, epochs, dtype):
    layers = [{"type": "dense", "units": units} for units in (600, 130, 3)]
    spec = spec_of(
        [{"type": "flatten"}, layers[0], {"type": "relu"}, layers[1], {"type": "tanh"}, layers[2]],
        optimizer={"type": optimizer} | ({"epsilon": 1e-3} if optimizer == "adam" else {}),
        regularization={"l1": 1e-4, "weight_decay": 0.01},
        batch_size=batch,
        epochs=epochs,
        dtype=dtype,
    )
    assert_equal(spec, dataset((10, 10), rows=500, zeros=0.85))


@over_types
@pytest.mark.parametrize("source", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("scale", ["unit", "standard", "none"])
def test_every_kind_of_input(source, scale, dtype):
    spec = spec_of(DENSE_STACK, dtype=dtype, preprocessing={"scale": scale}, optimizer={"type": "sgd"})
    assert_equal(spec, dataset(dtype=source, top=4))


LOSSES = [
    *({"type": cls.model_fields["type"].default} for cls in get_args(get_args(AnyLoss)[0])),
    {"type": "huber", "delta": 0.3},
    {"type": "cross_entropy", "label_smoothing": 0.1, "class_weights": [1, 2, 0.5]},
    {"type": "binary_cross_entropy", "class_weights": [1, 2, 0.5]},
]


@over_types
@pytest.mark.parametrize("kind", ["class", "real"])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: "-".join(map(str, loss)) + loss["type"])
def test_every_loss(loss, kind, dtype):
    classes_only = loss["type"] in ("cross_entropy", "binary_cross_entropy", "hinge")
    kind = "class" if classes_only else kind
    assert_equal(spec_of(DENSE_STACK, loss=loss, dtype=dtype), dataset(kind=kind))


@over_types
@pytest.mark.parametrize("loss", ["quadratic", "binary_cross_entropy", "hinge"])
def test_one_output_for_two_classes(loss, dtype):
    data = dataset()
    schema = data.schema.model_copy(update={"target": ClassTarget(classes=(0, 1))})
    data = Dataset(schema, data.x, data.y % 2)
    assert_equal(spec_of([*DENSE_STACK[:3], {"type": "dense", "units": 1}], loss={"type": loss}, dtype=dtype), data)


OPTIMIZERS = [
    *({"type": cls.model_fields["type"].default} for cls in get_args(get_args(AnyOptimizer)[0])),
    {"type": "sgd", "momentum": 0.9, "learning_rate": 0.05},
    {"type": "adam", "learning_rate": {"type": "step", "learning_rate": 0.01, "every_epochs": 2}},
]


@over_types
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: "-".join(map(str, o)) + o["type"])
def test_every_optimizer(optimizer, dtype):
    if dtype == "float32" and optimizer["type"] in ("adam", "adamw", "nadam", "adadelta", "rmsprop", "adagrad"):
        # Where a gradient is about nothing, its sign is rounding, and a step divides by its size: keep it away from 0.
        optimizer = optimizer | {"epsilon": 1e-3}
    data = dataset(zeros=0.3)
    assert_equal(spec_of(DENSE_STACK, optimizer=optimizer, dtype=dtype), data)
    # And where it goes on with what an optimizer remembers of a run before, also in the middle of an epoch.
    before = fit(spec_of(DENSE_STACK, optimizer=optimizer, dtype=dtype), data, chunk_s=0, stops=[(2, 1)])
    start = next(event for event in before if isinstance(event, Chunk) and event.epoch == 3).checkpoint()
    forked = {"from_checkpoint": "ckpt_1", "from_optimizer_state": True, "seed": 4}
    assert_equal(spec_of(DENSE_STACK, optimizer=optimizer, dtype=dtype, **forked), data, start=start)


@over_types
@pytest.mark.parametrize(
    "changes",
    [
        {"regularization": {"l1": 0.01}},
        {"regularization": {"l2": 0.1, "weight_decay": 0.1}},
        {"regularization": {"nielsen_lambda": 5.0}},
        {"regularization": {"max_norm": 0.5}},
        {"gradient_clipping": {"value": 0.01}},
        {"gradient_clipping": {"norm": 0.1}},
        {"gradient_clipping": {"norm": 0.1, "value": 0.02}, "regularization": {"l1": 0.01, "l2": 0.1, "max_norm": 0.4}},
        {"optimizer": {"type": "adamw", "weight_decay": 0.3, "epsilon": 1e-3}},
    ],
    ids=str,
)
def test_every_restraint(changes, dtype):
    assert_equal(spec_of(DENSE_STACK, dtype=dtype, **changes), dataset())


@over_types
def test_metrics_and_augmentation(dtype):
    spec = spec_of(
        DENSE_STACK,
        dtype=dtype,
        metrics=["confusion_matrix", {"type": "top_k", "k": 2}],
        augmentation=[{"type": "shift", "pixels": 1}, {"type": "noise", "deviation": 0.1}],
    )
    assert_equal(spec, dataset())


WIDE = st.integers(1, 40)
BLOCK = st.one_of(
    WIDE.map(lambda units: [{"type": "dense", "units": units}]),
    st.sampled_from(["sigmoid", "tanh", "relu", "gelu", "softmax"]).map(lambda name: [{"type": name}]),
    st.floats(0, 0.6).map(lambda rate: [{"type": "dropout", "rate": rate}]),
    st.just([{"type": "flatten"}]),
    st.just([{"type": "residual", "layers": [{"type": "dropout", "rate": 0.2}, {"type": "tanh"}]}]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    blocks=st.lists(BLOCK, max_size=5), rows=st.integers(5, 20), batch=st.integers(1, 20), seed=st.integers(0, 2**20)
)
def test_random_stacks(blocks, rows, batch, seed):
    layers = [{"type": "flatten"}, *(layer for block in blocks for layer in block), {"type": "dense", "units": 3}]
    batch = min(batch, rows - 1 - rows // 10)
    epochs = min(7, max(1, 20 * batch // rows))  # about 20 steps, for which the bound is meant
    spec = spec_of(layers, batch_size=batch, seed=seed, epochs=epochs)
    assume(fits(spec, (4, 3)))
    assert_equal(spec, dataset(rows=rows, seed=seed))


@over_types
def test_divergence_is_seen_by_both_at_the_same_step(dtype):
    spec = spec_of(
        [{"type": "flatten"}, {"type": "dense", "units": 3}],
        loss={"type": "quadratic"},
        optimizer={"type": "sgd", "learning_rate": 1e12},
        dtype=dtype,
        epochs=30,
    )
    places = []
    for engine in (PLAIN, COMPILED, Engine(sparse=False)):
        with pytest.raises(Diverged) as told:
            trained(spec, dataset(), engine)
        places.append((told.value.epoch, told.value.step))
    two = spec.model_copy(update={"threads": 2})
    with pytest.raises(Diverged) as told:
        trained(two, dataset(), COMPILED)
    assert places == [(told.value.epoch, told.value.step)] * 3


def test_a_hinge_sees_nan_where_numpy_does():
    spec = spec_of([{"type": "flatten"}, {"type": "dense", "units": 3}], loss={"type": "hinge"}, dtype="float64")
    data = dataset()
    x, y = data.x.astype(np.float64), np.minimum(data.y, 1)
    schema = data.schema.model_copy(update={"input_dtype": "float64"})
    start, _ = trained(spec.model_copy(update={"epochs": 1}), Dataset(schema, x, y), PLAIN)
    start.tensors["layers.1.biases"][2] = np.nan
    for engine in (PLAIN, COMPILED):
        with pytest.raises(Diverged) as told:
            list(fit(spec, Dataset(schema, x, y), start=start, engine=engine))
        assert told.value.step == 1


def test_rows_may_repeat_in_a_view():
    data = dataset((8, 8), rows=200, zeros=0.85)
    densest = int(np.count_nonzero(data.x.reshape(200, -1), axis=1).argmax())
    view = data.view(np.full(100, densest))
    spec = spec_of([{"type": "flatten"}, {"type": "dense", "units": 70}, *DENSE_STACK[2:]], batch_size=80, epochs=2)
    assert_equal(spec, view)


WITHOUT = """
import sys
from core.compiled import build, library
build.FLAGS += ("-DANOTHER",)  # other flags: nothing that has been compiled fits
sys.modules["ziglang"] = None
assert build.find("float32") is None
assert library.load("float32") is None
"""


def test_without_a_compiler_numpy_does_the_work(tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    subprocess.run([sys.executable, "-c", WITHOUT], env=environment, check=True)


def test_a_library_is_known_by_the_hash_of_its_sources():
    found = build.find("float32")
    assert found is not None
    assert build.stamp() in found.name


HASWELL = (
    "flags : fpu cx8 sse sse2 ht syscall lm pni ssse3 fma cx16 sse4_1 sse4_2 movbe popcnt xsave avx f16c lahf_lm abm "
    "bmi1 avx2 bmi2"
)
AVX512 = " avx512f avx512dq avx512cd avx512bw avx512vl"


def test_a_processor_gets_what_it_can_run_whole():
    assert build.best(HASWELL, "x86_64") == "x86-64-v3"
    assert build.best(HASWELL + AVX512, "x86_64") == "x86-64-v4"
    for flag in AVX512.split():
        assert build.best(HASWELL + AVX512.replace(f" {flag}", ""), "x86_64") == "x86-64-v3"
    for flag in HASWELL[HASWELL.index("pni") :].split():
        assert build.best(f"{HASWELL} ".replace(f" {flag} ", " ") + AVX512, "x86_64") is None, flag
    assert build.best("Features\t: fp asimd\n", "aarch64") == "aarch64"
    assert build.best(HASWELL, "aarch64") is None
    assert build.best("", "x86_64") is None


def test_make_compiles_again_when_a_source_changes():
    rules = subprocess.run(["make", "-pnq", "help"], capture_output=True, text=True, check=False).stdout
    (line,) = re.findall(r"^core/compiled/built/kernels\.stamp: (.*)$", rules, re.MULTILINE)
    compiled = {Path(name).resolve() for name in line.split() if name.endswith((".c", ".h"))}
    assert compiled == set(build.sources())
    assert "core/compiled/build.py" in line.split()


COMPILING = """
import os, sys
from pathlib import Path
from core.compiled import build
with build._workshop(Path(sys.argv[1])):
    print("compiling", flush=True)
    sys.stdin.read()
"""


def test_what_killed_compilations_left_is_swept_and_nothing_else(tmp_path):
    killed, going = (
        subprocess.Popen(
            [sys.executable, "-c", COMPILING, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
        for _ in range(2)
    )
    with killed, going:
        assert [process.stdout.readline() for process in (killed, going)] == ["compiling\n"] * 2
        assert len(list(tmp_path.iterdir())) == 2
        killed.kill()
        killed.wait()
        build.sweep(tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
        going.communicate("")
    assert going.returncode == 0
    assert not list(tmp_path.iterdir())


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 5000), seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 2**20))
def test_the_driver_shuffles_alike(count, seed, epoch):
    ours = library.load("float32").permutation(seed, Purpose.SHUFFLE, epoch, count)
    assert np.array_equal(ours, Random(seed, Purpose.SHUFFLE, epoch=epoch).permutation(count))
