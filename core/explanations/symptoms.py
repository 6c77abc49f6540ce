"""What hampers a network, each with the evidence for it: in its activations, its gradients, its steps, its curves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from core.explanations.backpropagation import Backpropagation, Flow
from core.explanations.subject import Subject
from core.layers.layer import Array
from core.layers.relu import ReLU
from core.layers.sigmoid import Sigmoid
from core.layers.tanh import Tanh
from core.metrics import Measured
from core.schema import ClassTarget

DEAD = 0.1  # of a layer's units
SATURATED = 0.5  # of a layer's outputs; a slope below a twentieth of the steepest
FLAT = 0.05
APART = 1e3  # between the gradients of a layer and of the last one, per weight
LARGE_UPDATE, SMALL_UPDATE = 0.1, 1e-7  # of the length of the weights, in one step
AGAINST_A_LARGER_RATE = {
    "dead_relu", "saturated", "vanishing_gradient", "exploding_gradient", "large_update", "bouncing"
}  # fmt: skip
PATIENCE, WORSE = 5, 1.02  # epochs since the smallest validation loss, and how much larger it is now
BOUNCES, BOUNCING = 8, 0.05  # epochs, and the size of their jumps beside the loss
SURE, UNLIKELY = 0.95, 0.02  # of another class, of the label
TOLD = 10  # units or rows that are named


@dataclass(frozen=True)
class Finding:
    """kind: what it is, in a word; layer: of the spec, from 0, or None; advice: a sentence; evidence: JSON values."""

    kind: str
    epoch: int
    layer: int | None
    advice: str
    evidence: dict[str, Any]


def dead(epoch: int, flows: Sequence[Flow]) -> Iterator[Finding]:
    for layer, (at, context, _) in enumerate(flows):
        if isinstance(at.layer, ReLU):
            alive: Array = np.any((context.y > 0).reshape(-1, context.y.shape[-1]), axis=0)
            dead = np.flatnonzero(~alive)
            if len(dead) >= max(1, DEAD * len(alive)):
                advice = (
                    f"{len(dead)} of {len(alive)} units of the ReLU in layer {layer} are 0 for every row looked at, so "
                    "they no longer learn: use a smaller learning rate, He initial weights, or leaky_relu."
                )
                evidence = {
                    "dead": len(dead),
                    "units": len(alive),
                    "first": dead[:TOLD].tolist(),
                    "rows": len(context.y),
                }
                yield Finding("dead_relu", epoch, layer, advice, evidence)


def saturated(epoch: int, flows: Sequence[Flow]) -> Iterator[Finding]:
    """The last layer is left out: there, being sure is what is wanted."""
    for layer, (at, context, _) in enumerate(flows[:-1]):
        y = context.y
        if isinstance(at.layer, Sigmoid):
            slope = 4 * y * (1 - y)
        elif isinstance(at.layer, Tanh):
            slope = 1 - y * y
        else:
            continue
        share = float(np.mean(slope < FLAT))
        if share > SATURATED:
            advice = (
                f"{share:.0%} of what the {at.layer.type} in layer {layer} gives lies where it is nearly flat, so "
                "little gets back through it: scale the inputs, begin with smaller weights, or use relu."
            )
            yield Finding("saturated", epoch, layer, advice, {"share": share, "flat_below": FLAT, "rows": len(y)})


def gradients(epoch: int, flows: Sequence[Flow]) -> Iterator[Finding]:
    """Per weight, by the root of the mean of the squares, beside the layer that is nearest to the cost."""
    sizes = {
        layer: float(np.sqrt(np.mean(np.concatenate([g.reshape(-1) for g in context.gradients]) ** 2)))
        for layer, (_, context, _) in enumerate(flows)
        if context.gradients
    }
    last = max(sizes, default=0)
    for layer, size in sizes.items():
        ratio = size / sizes[last] if sizes[last] > 0 else 1.0
        evidence = {"gradient": size, "gradient_of_last": sizes[last]}
        if 0 < ratio < 1 / APART:
            advice = (
                f"The gradients of layer {layer} are {1 / ratio:,.0f} times smaller than those of the last layer: they "
                "vanish on their way back. Use relu instead of sigmoids, a normalisation, or residual blocks."
            )
            yield Finding("vanishing_gradient", epoch, layer, advice, evidence)
        elif ratio > APART:
            advice = (
                f"The gradients of layer {layer} are {ratio:,.0f} times larger than those of the last layer: they "
                "explode on their way back. Use gradient clipping, smaller first weights, or a normalisation."
            )
            yield Finding("exploding_gradient", epoch, layer, advice, evidence)


def updates(
    epoch: int, epochs: int, flows: Sequence[Flow], change: Array, theta: Array, known: Collection[str]
) -> Iterator[Finding]:
    """`known`: the kinds of what else was found. A larger learning rate is advised where nothing asks for a smaller
    one, and nothing is known that stops the gradient."""
    measured = []
    for layer, (at, *_) in enumerate(flows):
        weights = [piece for piece in at.parameters if piece.variable.penalised]
        length = float(np.sqrt(sum(float(np.square(piece.of(theta)).sum()) for piece in weights)))
        moved = float(np.sqrt(sum(float(np.square(piece.of(change)).sum()) for piece in weights)))
        if weights and length > 0:
            measured.append((layer, moved, length))
    rate_is_small = AGAINST_A_LARGER_RATE.isdisjoint(known)
    rate_is_small = rate_is_small and all(moved <= LARGE_UPDATE * length for _, moved, length in measured)
    for layer, moved, length in measured:
        ratio = moved / length
        evidence = {"update": moved, "weights": length, "ratio": ratio}
        if ratio > LARGE_UPDATE:
            advice = (
                f"One step changes the weights of layer {layer} by {ratio:.0%} of their length; about a thousandth is "
                "usual. Use a smaller learning rate."
            )
            yield Finding("large_update", epoch, layer, advice, evidence)
        elif ratio < SMALL_UPDATE and 2 * epoch <= epochs:
            so = f"changes the weights of layer {layer} by {ratio:.1e} of their length; about a thousandth is usual"
            so = so if moved else f"leaves the weights of layer {layer} as they were"
            way_out = "Use a larger learning rate, or look" if rate_is_small else "Look"
            advice = f"One step {so}. {way_out} for what stops the gradient."
            yield Finding("small_update", epoch, layer, advice, evidence)


def overfitting(epoch: int, history: Sequence[Measured]) -> Iterator[Finding]:
    validated = [_number(metrics, "validation_loss") for metrics in history]
    trained = [_number(metrics, "train_loss") for metrics in history]
    known = [loss for loss in validated if loss is not None]
    if len(known) <= PATIENCE or len(known) < len(validated):
        return
    best = int(np.argmin(known))
    then, now = trained[best], trained[-1]
    if then is None or now is None or best >= len(known) - PATIENCE or known[-1] <= WORSE * known[best] or now >= then:
        return
    since = epoch - (len(known) - 1 - best)
    advice = (
        f"The validation loss was smallest behind epoch {since} and has risen since, from {known[best]:.4g} to "
        f"{known[-1]:.4g}, while the training loss falls: the network learns its rows by heart. Stop early, use "
        "regularisation or dropout, or get more rows."
    )
    evidence = {"best_epoch": since, "validation_loss": [known[best], known[-1]], "train_loss": [then, now]}
    yield Finding("overfitting", epoch, None, advice, evidence)


def bouncing(epoch: int, history: Sequence[Measured]) -> Iterator[Finding]:
    losses = [_number(metrics, "train_loss") for metrics in history[-BOUNCES - 1 :]]
    known = [loss for loss in losses if loss is not None]
    if len(known) <= BOUNCES or len(known) < len(losses):
        return
    steps = np.diff(known)
    turns = int(np.count_nonzero(np.sign(steps[1:]) * np.sign(steps[:-1]) < 0))
    size = float(np.abs(steps).mean() / max(np.mean(np.abs(known)), 1e-300))
    if turns >= BOUNCES - 2 and size > BOUNCING:
        advice = (
            f"In the last {BOUNCES} epochs the training loss went up and down {turns} times, by {size:.0%} on average: "
            "the steps jump from one side of the valley to the other. Use a smaller learning rate, or a schedule."
        )
        yield Finding("bouncing", epoch, None, advice, {"train_loss": known, "turns": turns, "size": size})


def labels(epoch: int, subject: Subject, passed: Backpropagation, rows: Array) -> Iterator[Finding]:
    """Rows of which the network is sure that their label is wrong; `rows` are their places in the whole dataset."""
    target, p = subject.schema.target, passed.outputs
    if not isinstance(target, ClassTarget) or not subject.loss.logits or p.shape[1] != target.width:
        return
    own = (p * passed.examples.y).sum(axis=1)
    if np.mean(p.argmax(axis=1) == passed.examples.y.argmax(axis=1)) < 0.9:
        return  # it does not know better than the labels
    doubtful = np.flatnonzero((p.max(axis=1) > SURE) & (own < UNLIKELY))
    if not len(doubtful):
        return
    worst = doubtful[np.argsort(own[doubtful], kind="stable")][:TOLD]
    named = [
        {
            "row": int(rows[i]),
            "label": target.classes[int(passed.examples.y[i].argmax())],
            "prediction": target.classes[int(p[i].argmax())],
            "probability": float(p[i].max()),
        }
        for i in worst
    ]
    first = named[0]
    advice = (
        f"{len(doubtful)} of {len(rows)} rows looked at have labels that look wrong, such as row {first['row']}: "
        f"labelled {first['label']!r}, but the network is {first['probability']:.1%} sure of "
        f"{first['prediction']!r}. Look at them."
    )
    yield Finding("labels", epoch, None, advice, {"rows": named, "doubtful": len(doubtful), "looked_at": len(rows)})


def _number(metrics: Measured, name: str) -> float | None:
    value = metrics.get(name)
    return value if isinstance(value, float) and isfinite(value) else None
