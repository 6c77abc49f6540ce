"""The memory of real runs, each in a process of its own: what was estimated, and nothing more from step to step."""

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from core.compiled import library
from core.data import Dataset
from core.engine import Engine
from core.estimate import check
from core.footprint import ROOM
from core.schema import ClassTarget, DataSchema, RealTarget
from core.training import fit
from core.training_spec import TrainingSpec

FLAT, RELU, POOL = {"type": "flatten"}, {"type": "relu"}, {"type": "max_pool2d", "size": 2}


def dense(units):
    return {"type": "dense", "units": units}


def conv(filters, **changes):
    return {"type": "conv2d", "filters": filters, "kernel": 3} | changes


def dataset(shape, rows, kind="class", dtype="uint8", width=10, zeros=0.0):
    random = np.random.default_rng(0)
    if dtype == "uint8":
        x = random.integers(0, 256, (rows, *shape), np.uint8)
        x[random.random(x.shape, np.float32) < zeros] = 0
    else:
        x = random.random((rows, *shape), np.float32).astype(dtype)
    y, target = random.random((rows, width)), RealTarget(shape=(width,))
    if kind == "class":
        y = np.arange(rows, dtype=np.int32) % width
        target = ClassTarget(classes=tuple(range(width)))
    return Dataset(DataSchema(rows=rows, input_shape=shape, input_dtype=dtype, target=target), x, y)


def spec_of(layers, **changes):
    fields = {
        "dataset": "ds_1",
        "network": {"layers": layers},
        "loss": {"type": "cross_entropy"},
        "optimizer": {"type": "adam"},
        "epochs": 1,
        "seed": 1,
        "dtype": "float32",
    }
    return TrainingSpec.model_validate(fields | changes)


# What a trainer does, and the most memory it has held beyond that of the bare process. The kernel keeps the mark; files
# that are mapped do not count, all of whose pages are there before the run begins.
TRAINER = """
import json, sys
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

from core.checkpoint import Checkpoint
from core.compiled.library import load
from core.data import Dataset
from core.training import Epoch, fit
from core.training_spec import TrainingSpec

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))

spec = TrainingSpec.model_validate_json(sys.argv[1])
data = Dataset.open(Path(sys.argv[2]))
assert load(spec.dtype) is not None
for array in data.x, data.y:
    array.view("uint8").reshape(-1)[::4096].max()
bare = status("RssAnon")
Path("/proc/self/clear_refs").write_text("5")
begin = {name: Checkpoint.open(Path(path)) for name, path in json.loads(sys.argv[3]).items()}
events = fit(spec, data, **begin)
del begin
for event in events:
    if isinstance(event, Epoch):
        checkpoint = event.checkpoint()
        content = checkpoint.to_bytes()
        ForkingPickler.dumps(content)
        del checkpoint, content
print(json.dumps(status("VmHWM") - status("RssFile") - bare))
"""


def peak_of(spec, folder, **begin):
    """Bytes, measured. begin: the checkpoint file to `resume` or to `start` from."""
    files = json.dumps({name: str(path) for name, path in begin.items()})
    command = [sys.executable, "-c", TRAINER, spec.model_dump_json(), str(folder), files]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


RUNS = {
    "dense": (
        spec_of([FLAT, dense(2048), RELU, dense(2048), RELU, dense(10)], batch_size=100, validation={"fraction": 0.1}),
        lambda: dataset((28, 28), 600),
    ),
    "convolutional": (
        spec_of(
            [
                *(conv(48, padding="same"), RELU, conv(48), {"type": "gelu"}, {"type": "batch_norm"}, POOL),
                *(conv(64), POOL, RELU, FLAT, dense(10)),
            ],
            batch_size=144,
            threads=2,
            validation={"fraction": 0.2},
            augmentation=[{"type": "shift", "pixels": 2}, {"type": "rotate", "degrees": 10}, {"type": "flip"}],
            early_stopping={"metric": "validation_loss", "patience": 1},
            epochs=2,
        ),
        lambda: dataset((28, 28, 3), 200),
    ),
    "recurrent": (
        spec_of(
            [{"type": "lstm", "units": 128, "sequence": True}, {"type": "lstm", "units": 128}, dense(10)],
            batch_size=200,
            validation={"fraction": 0.2},
            preprocessing={"scale": "standard"},
        ),
        lambda: dataset((50, 32), 500, dtype="float32"),
    ),
    "autoencoder": (
        spec_of(
            [dense(4096), {"type": "sigmoid"}, dense(784)],
            loss={"type": "mean_squared_error"},
            optimizer={"type": "sgd", "learning_rate": 0.01, "momentum": 0.9},
            batch_size=100,
            validation={"fraction": 0.2},
            preprocessing={"scale": "standard"},
        ),
        lambda: dataset((784,), 500, kind="real", dtype="float32", width=784),
    ),
    "attention": (
        spec_of(
            [
                {"type": "residual", "layers": [{"type": "self_attention", "heads": 4, "positions": True}]},
                *({"type": "layer_norm"}, {"type": "dropout", "rate": 0.1}, {"type": "global_avg_pool"}, dense(10)),
            ],
            batch_size=100,
            optimizer={"type": "sgd", "learning_rate": 0.01},
        ),
        lambda: dataset((128, 64), 200, dtype="float32"),
    ),
    "many rows": (
        spec_of(
            [dense(8), RELU, dense(10)], batch_size=10_000, validation={"fraction": 0.3}, optimizer={"type": "adam"}
        ),
        lambda: dataset((1,), 4_000_000, dtype="float32"),
    ),
    "wide batches": (
        spec_of(
            [dense(2048), RELU, dense(1024), {"type": "tanh"}, dense(10)],
            batch_size=2000,
            optimizer={"type": "adagrad"},
        ),
        lambda: dataset((784,), 4000),
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_takes_what_was_estimated(name, tmp_path):
    spec, made = RUNS[name]
    data = made()
    data.save(tmp_path)
    peak = peak_of(spec, tmp_path)
    estimate = check(spec, data.schema, None).memory_bytes
    print(f"{name}: peak {peak / 1e6:.1f} MB, estimate {estimate / 1e6:.1f} MB, {estimate / peak:.3f}")
    assert peak > 100e6
    assert peak <= estimate <= 1.2 * peak


@pytest.mark.parametrize("way", ["resume", "start"])
def test_a_checkpoint_to_begin_from_takes_nothing_more(way, tmp_path):
    spec, made = RUNS["dense"]
    data, file = made(), tmp_path / "checkpoint.safetensors"
    data.save(tmp_path)
    chunk = next(fit(spec, data, chunk_s=0))
    assert 0 < chunk.step < chunk.steps
    file.write_bytes(chunk.checkpoint().to_bytes())
    peak = peak_of(spec, tmp_path, **{way: file})
    estimate = check(spec, data.schema, None).memory_bytes
    print(f"{way}: peak {peak / 1e6:.1f} MB, estimate {estimate / 1e6:.1f} MB, {estimate / peak:.3f}")
    assert peak > 100e6
    assert peak <= estimate <= 1.2 * peak


def test_a_dataset_is_never_copied_whole(tmp_path):
    data = dataset((784,), 80_000, zeros=0.5)
    data.save(tmp_path)
    layers = [dense(30), RELU, dense(10)]
    spec = spec_of(layers, batch_size=100, validation={"fraction": 0.2}, preprocessing={"scale": "standard"})
    peak = peak_of(spec, tmp_path)
    assert peak < data.x.nbytes / 2
    assert peak <= check(spec, data.schema, None).memory_bytes


def test_inputs_that_are_mostly_zero_are_told_once(tmp_path):
    data = dataset((784,), 60_000, zeros=0.85)
    data.save(tmp_path)
    spec = spec_of([dense(30), RELU, dense(10)], batch_size=100, validation={"fraction": 0.2})
    entries = 3 * np.count_nonzero(data.x)
    assert entries < peak_of(spec, tmp_path) < 2 * entries
    assert entries < check(spec, data.schema, None).memory_bytes


def test_a_large_network_spends_nothing_on_zeros():
    small, large = (spec_of([dense(units), dense(10)], batch_size=100) for units in (30, 3000))
    few, many = (dataset((784,), rows).schema for rows in (1000, 20_000))
    more = [check(spec, many, None).memory_bytes - check(spec, few, None).memory_bytes for spec in (small, large)]
    assert more[0] > 3 * 784 * 19_000 / 4
    assert more[1] < 1e6


def test_the_room_of_a_thread_is_that_of_the_driver():
    for dtype, size in (("float32", 4), ("float64", 8)):
        assert library.load(dtype).room == ROOM * size


LAYERS = {
    "dense": ((784,), "uint8", [dense(256), RELU, {"type": "dropout", "rate": 0.5}, dense(256), {"type": "gelu"}]),
    "conv2d": ((16, 16, 4), "uint8", [conv(16), RELU, {"type": "batch_norm"}, POOL, FLAT]),
    "pooled": ((16, 16, 4), "uint8", [conv(16, padding="same"), POOL, RELU, FLAT]),
    "lstm": ((20, 30), "float32", [{"type": "lstm", "units": 32, "sequence": True}, {"type": "lstm", "units": 32}]),
    "gru": ((20, 30), "float64", [{"type": "gru", "units": 32}, {"type": "layer_norm"}]),
    "attention": ((20, 32), "float32", [{"type": "self_attention", "heads": 4}, {"type": "global_max_pool"}]),
    "residual": ((400,), "float32", [{"type": "residual", "layers": [dense(400), {"type": "tanh"}]}]),
}


def largest_step(spec, data, engine):
    """The most bytes that a step after the first takes in passing, and what all of them leave behind."""
    events = fit(spec, data, chunk_s=0, engine=engine)
    next(events)
    next(events)
    tracemalloc.start()
    next(events)  # tracing finds its own ways
    before, _ = tracemalloc.get_traced_memory()
    largest = 0
    for _ in range(8):
        tracemalloc.reset_peak()
        now, _ = tracemalloc.get_traced_memory()
        next(events)
        largest = max(largest, tracemalloc.get_traced_memory()[1] - now)
    left = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return largest, left


# A batch of 128 is a hundred kilobytes or more in each of these layers.
@pytest.mark.parametrize("name", LAYERS)
def test_a_step_takes_nothing(name):
    shape, dtype, layers = LAYERS[name]
    spec = spec_of([*layers, dense(10)], batch_size=128)
    largest, left = largest_step(spec, dataset(shape, 128 * 12, dtype=dtype), Engine())
    assert largest < 8_000
    assert left < 8_000


def test_a_step_of_the_plain_form_takes_less_than_the_outputs_of_a_layer():
    spec = spec_of([dense(512), RELU, dense(512), {"type": "tanh"}, dense(10)], batch_size=512)
    largest, left = largest_step(spec, dataset((784,), 512 * 12), Engine(compiled=False))
    assert largest < 512 * 512 * 4 / 2
    assert left < 20_000


PAGES = """
import resource, sys
from core import memory
if sys.argv[1] == "kept":
    memory.keep(4 * 2**20, 16 * 2**20)
else:
    memory.give_back()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    bytearray(b"1") * (3 * 2**20)
before = faults()
for _ in range(20):
    bytearray(b"1") * (3 * 2**20)
print(faults() - before)
"""


@pytest.mark.parametrize("how", ["kept", "given back"])
def test_freed_memory_is_kept_or_given_back(how):
    """How many pages the kernel had to make for twenty arrays of 3 MiB, one after another."""
    done = subprocess.run([sys.executable, "-c", PAGES, how], capture_output=True, text=True, check=True)
    assert (int(done.stdout) < 20) == (how == "kept"), done.stdout
