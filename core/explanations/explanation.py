"""What every layer of a trained network wishes for some examples, and the three ways to get it.

A wish is minus a derivative: the direction in which the cost falls. M. Nielsen, "Neural Networks and Deep Learning"
(2015), chapter 2, has the derivatives; the reading of them as wishes is that of 3Blue1Brown's "What is backpropagation
really doing?" (2017).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from core.explanations.averages import Averages
from core.explanations.backpropagation import Examples
from core.explanations.nudges import (
    Nudge,
    PreviousDesire,
    bias_nudge,
    is_whole,
    other_nudges,
    previous_desire,
    weight_nudge,
)
from core.explanations.sensitivity import Sensitivity, sensitivity
from core.explanations.subject import Subject
from core.layers.dense import Dense
from core.layers.layer import Array
from core.losses import CrossEntropy
from core.network import Network, Placed
from core.schema import ClassTarget, JsonScalar


@dataclass(frozen=True, eq=False)
class InputExplanation:
    """The input as the network sees it, preprocessed, and -dC/d(input as it was uploaded)."""

    shape: list[int]
    activations: Array
    units: Literal["raw"]
    desire: Array | None


@dataclass(frozen=True, eq=False)
class LayerExplanation:
    """One layer; `index` counts from 0 among the layers in a row, those inside it stand in `inner`."""

    index: int
    type: str
    activations: Array
    desire: Array | None
    bias_nudge: Array | None
    weight_nudge: Nudge | None
    other_nudges: list[Nudge]
    previous_desire: PreviousDesire | None
    inner: list[LayerExplanation]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Everything of one example, or the average of several."""

    object: Literal["explanation"]
    rows: int
    cost: float
    classes: list[JsonScalar] | None
    outputs: Array
    target: Array
    input: InputExplanation
    layers: list[LayerExplanation]
    sensitivity: Sensitivity
    notes: list[str]


@dataclass(frozen=True)
class Detail:
    """How much is told: how many of the strongest, of which layers (None: all), and whether weights come `whole`
    (None: where they are few)."""

    top: int = 5
    layers: Collection[int] | None = None
    whole: bool | None = None

    def tells(self, index: int) -> bool:
        """Of a layer of the network."""
        return self.layers is None or index in self.layers

    def numbers(self, network: Network) -> int:
        """About how many numbers an explanation holds."""
        told = (at for index, at in enumerate(network.layers) if self.tells(index))
        ends = 2 * prod(network.input_shape) + 2 * prod(network.output_shape)
        return ends + 4 * min(self.top, network.size) + sum(self._of(inner) for at in told for inner in at.walk())

    def _of(self, at: Placed) -> int:
        before, behind = prod(at.input_shape), prod(at.output_shape)
        voices = min(self.top, behind) if isinstance(at.layer, Dense) else 0
        count = 2 * behind + (1 + voices) * before
        for piece in at.parameters:
            size = prod(piece.variable.shape)
            count += 5 * min(self.top, size) + (size if is_whole(size, self.whole) else 0)
        return count


class NotFinite(Exception):
    """The cost or a derivative of it is not a finite number."""


def explain(subject: Subject, examples: Examples, detail: Detail) -> Explanation:
    """The explanation of the examples' mean cost; raises NotFinite."""
    found = Averages.over(subject, examples)
    if not (np.isfinite(found.cost) and np.isfinite(found.gradient).all()):
        raise NotFinite
    target = subject.schema.target
    layers = _Teller(subject, found, detail).layers()
    dx = found.layers[0].previous
    return Explanation(
        object="explanation",
        rows=found.rows,
        cost=found.cost,
        classes=list(target.classes) if isinstance(target, ClassTarget) else None,
        outputs=found.outputs,
        target=found.target,
        input=InputExplanation(
            list(subject.network.input_shape),
            found.inputs,
            "raw",
            None if dx is None else subject.preprocessing.backward(dx[None])[0] + 0.0,
        ),
        layers=layers,
        sensitivity=sensitivity(subject.network, found.gradient, detail.top),
        notes=[*_ends(subject), *_notes(subject, found.rows)],
    )


class _Teller:
    """Tells the layers one after the other, those inside others in their places."""

    def __init__(self, subject: Subject, found: Averages, detail: Detail) -> None:
        self._subject, self._detail = subject, detail
        self._gradient = found.gradient
        self._wishes = found.layers  # by their numbers

    def layers(self) -> list[LayerExplanation]:
        """The layers of the network that are asked for."""
        layers = enumerate(self._subject.network.layers)
        return [self._told(index, at, raw=index == 0) for index, at in layers if self._detail.tells(index)]

    def _told(self, index: int, at: Placed, *, raw: bool = False) -> LayerExplanation:
        wishes, gradient, detail = self._wishes[at.number], self._gradient, self._detail
        preprocessing = self._subject.preprocessing if raw else None
        return LayerExplanation(
            index=index,
            type=at.layer.type,
            activations=wishes.activations,
            desire=wishes.desire,
            bias_nudge=bias_nudge(wishes, gradient),
            weight_nudge=weight_nudge(wishes, gradient, detail.top, detail.whole),
            other_nudges=other_nudges(wishes, gradient, detail.top, detail.whole),
            previous_desire=previous_desire(wishes, self._subject.theta, detail.top, preprocessing),
            inner=[self._told(place, within) for place, within in enumerate(at.inner)],
        )


def _ends(subject: Subject) -> Iterator[str]:
    """How outputs and target are to be read."""
    loss, target = subject.loss, subject.schema.target
    if isinstance(target, ClassTarget) and subject.network.output_shape[0] == 1:
        what = "is the probability of" if loss.logits else f"says, where it is above {loss.even:g},"
        yield f"One output tells the two classes apart: it {what} {target.classes[1]!r}, and so the target is 0 or 1."
    if isinstance(loss, CrossEntropy) and loss.label_smoothing:
        yield (
            f"The target is smoothed, as the loss's label_smoothing of {loss.label_smoothing:g} has it: each class has "
            "its share of that, and the right one the rest."
        )


def _notes(subject: Subject, rows: int) -> Iterator[str]:
    if rows > 1:
        yield (
            f"Everything is the average over the {rows} rows. A weight's nudge is the average of its nudges, not the "
            "product of the average activation and the average wish."
        )
    if subject.looks_up:
        yield "The inputs are numbers that are looked up: nothing can be wished of them."
    elif subject.preprocessing.steps:
        yield (
            "Wishes for the inputs are in raw units: by how much the cost falls for a change by 1 of an input as it "
            "was uploaded, before preprocessing."
        )
    else:
        yield "Wishes for the inputs are in raw units; there is no preprocessing."
    if any(at.layer.type == "batch_norm" for at in subject.network.walk()):
        yield (
            "Batch norm: mean and variance are fixed, those that training has kept for predictions, so nothing is "
            "wished by way of them."
        )
    if any(at.layer.type == "dropout" for at in subject.network.walk()):
        yield "Dropout drops nothing here, as in predictions."
