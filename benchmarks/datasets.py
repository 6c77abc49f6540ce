"""What is trained on: MNIST as it comes, and three sets made of it or of random numbers."""

import gzip
import os
from functools import cache
from pathlib import Path

import numpy as np

from core.data import Dataset
from core.schema import ClassTarget, DataSchema, RealTarget

ROOT = Path(__file__).resolve().parents[1]
MNIST = Path(os.environ.get("NUDGE_MNIST", ROOT / "../shared/data/mnist"))
DIGITS = ClassTarget(kind="class", classes=tuple(range(10)))
SEED = 1


@cache
def mnist() -> Dataset:
    """The 60,000 training images, uint8 (28, 28), and their digits."""
    try:
        images = gzip.decompress((MNIST / "train-images-idx3-ubyte.gz").read_bytes())
        labels = gzip.decompress((MNIST / "train-labels-idx1-ubyte.gz").read_bytes())
    except OSError as error:
        raise SystemExit(f"MNIST's four files are not in {MNIST}: set NUDGE_MNIST to their folder.") from error
    x = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    y = np.frombuffer(labels, np.uint8, offset=8).astype(np.int32)
    return Dataset(DataSchema(rows=len(x), input_shape=(28, 28), input_dtype="uint8", target=DIGITS), x, y)


@cache
def noise() -> Dataset:
    """MNIST's digits under images without a single zero: what a skipped zero is worth shows in the comparison."""
    digits = mnist()
    x = np.random.default_rng(SEED).integers(1, 256, digits.x.shape, np.uint8)
    return Dataset(digits.schema, x, digits.y)


@cache
def regression() -> Dataset:
    """10,000 rows of 30 standard normal numbers; y is a smooth function of them."""
    random = np.random.default_rng(SEED)
    x = random.standard_normal((10_000, 30), np.float32)
    y = np.tanh(x @ random.standard_normal((30, 1)) / 5) + x[:, :1] * x[:, 1:2] / 4
    target = RealTarget(kind="real", shape=(1,))
    return Dataset(
        DataSchema(rows=len(x), input_shape=(30,), input_dtype="float32", target=target), x, y.astype(np.float64)
    )


@cache
def reconstruction() -> Dataset:
    """MNIST's images as inputs and, divided by 255, as targets."""
    digits = mnist()
    x = digits.x[:6_000]
    target = RealTarget(kind="real", shape=(784,))
    y = x.reshape(len(x), 784) / 255.0
    return Dataset(DataSchema(rows=len(x), input_shape=(28, 28), input_dtype="uint8", target=target), x, y)


DATASETS = {"mnist": mnist, "noise": noise, "regression": regression, "reconstruction": reconstruction}
