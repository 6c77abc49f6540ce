"""The experiments of M. Nielsen, "Neural Networks and Deep Learning" (2015), and the figures he printed.

Each is a training spec under `examples/nielsen/`; nothing is changed here but the data it learns from.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter

from benchmarks.literature.mnist import Mnist
from core.training import Chunk, Epoch, fit
from core.training_spec import TrainingSpec

EXAMPLES = Path(__file__).parents[2] / "examples"
MARGIN = 0.3  # points that an accuracy may lie under the published one


@dataclass(frozen=True)
class Experiment:
    """One figure of the book. `published` is in percent; `remark` says where it is not what is measured here."""

    name: str
    what: str
    published: float
    quick: bool = False
    remark: str = ""

    @cached_property
    def spec(self) -> TrainingSpec:
        """The spec of examples/nielsen, trained on 50,000 images and watched on the 10,000 test images."""
        return read_spec(f"nielsen/{self.name}", validation={"dataset": "mnist-test"})


@dataclass(frozen=True)
class Result:
    """Test accuracies in percent after each epoch of a run, and the seconds that all of them took."""

    experiment: Experiment
    seed: int
    accuracies: tuple[float, ...]
    seconds: float

    @property
    def best(self) -> float:
        """The figure that the book prints."""
        return max(self.accuracies)

    @property
    def last(self) -> float:
        """The figure of someone who did not look at the test images in between."""
        return self.accuracies[-1]

    @property
    def gap(self) -> float:
        """Points over the published figure, negative under it."""
        return round(self.best - self.experiment.published, 2)

    @property
    def reached(self) -> bool:
        """Whether the published figure was reached, within the margin."""
        return self.gap >= -MARGIN


EXPERIMENTS = (
    Experiment("quadratic-30", "chapter 1: [784, 30, 10], quadratic cost", 95.42, quick=True),
    Experiment(
        "quadratic-100",
        "chapter 1: [784, 100, 10], quadratic cost",
        96.59,
        quick=True,
        remark="The book warns that some runs are much worse: an output that is saturated from the start never "
        "learns its digit. Most seeds lose one or two digits so.",
    ),
    Experiment("cross-entropy-30", "chapter 3: [784, 30, 10], cross-entropy, λ = 5", 96.49, quick=True),
    Experiment(
        "cross-entropy-100",
        "chapter 3: [784, 100, 10], cross-entropy, λ = 5",
        97.92,
        quick=True,
        remark="The book's figure is on the 10,000 validation images, ours is on the test images.",
    ),
    Experiment("softmax-100", "chapter 6: [784, 100, 10], softmax", 97.80, quick=True),
    Experiment("conv-one", "chapter 6: one convolution and pooling", 98.78),
    Experiment("conv-two", "chapter 6: two of them", 99.06),
    Experiment("conv-relu", "chapter 6: two, ReLU, λ = 0.1", 99.23),
    Experiment(
        "conv-shifted",
        "chapter 6: and shifted images",
        99.37,
        remark="The book trained on five fixed copies of each image for 60 epochs; here one copy of each is drawn "
        "anew in every epoch, so the same number of epochs is a fifth of the steps.",
    ),
    Experiment(
        "conv-dropout",
        "chapter 6: and dropout, two layers of 1,000",
        99.60,
        remark="Shifted as above, 40 epochs.",
    ),
)


def read_spec(name: str, **fields: object) -> TrainingSpec:
    """The spec of examples/<name>.json, with `fields` over it."""
    told = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return TrainingSpec.model_validate({"dataset": name.rpartition("/")[2], **told, **fields})


def run(
    experiment: Experiment,
    data: Mnist,
    *,
    epochs: int | None = None,
    seed: int | None = None,
    watch: Callable[[Chunk | Epoch], None] = lambda moment: None,
) -> Result:
    """Train as the spec says, or for fewer epochs, or from another seed; `watch` sees every moment of it."""
    spec = experiment.spec
    spec = spec.model_copy(
        update={
            "epochs": spec.epochs if epochs is None else min(epochs, spec.epochs),
            "seed": spec.seed if seed is None else seed,
        }
    )
    began = perf_counter()
    accuracies = []
    for moment in fit(spec, data.training, data.test):
        watch(moment)
        if isinstance(moment, Epoch):
            accuracy = moment.metrics["validation_accuracy"]
            assert isinstance(accuracy, float)
            accuracies.append(round(100 * accuracy, 2))
    return Result(experiment, spec.seed, tuple(accuracies), perf_counter() - began)
