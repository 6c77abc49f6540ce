"""Train the same network from the same start here and there, and see how far apart the weights are after 20 steps.

One epoch of 20 batches, the last one short, in the order that our seed gives. Ours is `fit` itself. PyTorch's side is
its own layers, losses and optimizers under the smallest loop that has our rules of regularisation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data import Dataset
from core.engine import Engine
from core.network import Network
from core.random import Purpose, Random
from core.schedules import rate_at
from core.schema import ClassTarget, Column, DataSchema, RealTarget
from core.training import Epoch, fit
from core.training_spec import TrainingSpec
from peers.losses import COSTS
from peers.optimizers import optimizer_of
from peers.twins import TwinNetwork

STEPS, BATCH, MISSING = 20, 8, 3
ROWS = STEPS * BATCH - MISSING  # the last batch is short


@dataclass(frozen=True)
class Distance:
    """Between the weights (and running state) of ours and PyTorch's: `largest` absolute, and as a share of the way."""

    largest: float
    share: float


def dataset(
    shape: Sequence[int],
    *,
    classes: int | None = 3,
    outputs: int = 2,
    categories: int | None = None,
    lengths: bool = False,
    seed: int = 7,
) -> Dataset:
    """Random rows: normal numbers, or whole ones below `categories`; classes, or `outputs` numbers; masks if wanted."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((ROWS, *shape))
    if categories is not None:
        x = random.integers(0, categories, x.shape).astype(np.float64)
    target: ClassTarget | RealTarget
    y: NDArray[Any]
    if classes is None:
        target, y = RealTarget(shape=(outputs,)), random.standard_normal((ROWS, outputs))
    else:
        target, y = ClassTarget(classes=tuple(range(classes))), random.integers(0, classes, ROWS).astype(np.int32)
    columns = (Column(name="length", role="mask"),) if lengths else ()
    masks = (random.integers(1, shape[0] + 1, ROWS),) if lengths else ()
    schema = DataSchema(rows=ROWS, input_shape=tuple(shape), input_dtype="float64", target=target, columns=columns)
    return Dataset(schema, x, y, masks=masks)


def training(layers: Sequence[Any], **fields: Any) -> TrainingSpec:
    """A spec for one epoch of the steps that are compared."""
    told = [layer if isinstance(layer, dict) else layer.model_dump(mode="json") for layer in layers]
    given: dict[str, Any] = {
        "dataset": "random",
        "network": {"layers": told},
        "loss": {"type": "cross_entropy"},
        "optimizer": {"type": "sgd", "learning_rate": 0.1},
        "batch_size": BATCH,
        "epochs": 1,
        "seed": 5,
        "preprocessing": {"scale": "none"},
    }
    return TrainingSpec.model_validate(given | fields)


def compare(spec: TrainingSpec, data: Dataset, dtype: str, *, compiled: bool = True) -> Distance:
    """How far ours, in `dtype`, is from PyTorch in float64."""
    start, ours = _ours(spec.model_copy(update={"dtype": dtype}), data, compiled)
    theirs = _theirs(spec, data)
    difference = np.abs(ours - theirs)
    way = float(np.linalg.norm(theirs - start))
    return Distance(float(difference.max(initial=0)), float(np.linalg.norm(difference)) / max(way, 1e-300))


def sensitivity(spec: TrainingSpec, data: Dataset, dtype: str) -> float:
    """How far PyTorch in float64 moves away from itself when it begins a few roundings of `dtype` aside: the largest
    difference of a weight. Where this is much, as in chaos, two exact programs need not agree."""
    aside = 8 * float(np.finfo(dtype).eps)
    return float(np.abs(_theirs(spec, data) - _theirs(spec, data, aside)).max(initial=0))


def _ours(spec: TrainingSpec, data: Dataset, compiled: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    network = Network.trace(spec.network.layers, data.schema.input_shape)
    start = network.allocate("float64")
    network.draw(spec.seed, *start)
    theta, state = network.allocate("float64")
    *_, end = fit(spec, data, engine=Engine(compiled=compiled))
    assert isinstance(end, Epoch)
    tensors = end.checkpoint().tensors
    for vector, pieces, prefix in (theta, network.parameters(), ""), (state, network.state(), "state."):
        for piece in pieces:
            piece.of(vector)[...] = tensors[prefix + piece.name]
    return np.concatenate(start), np.concatenate([theta, state])


def _theirs(spec: TrainingSpec, data: Dataset, aside: float = 0.0) -> NDArray[np.float64]:
    network = Network.trace(spec.network.layers, data.schema.input_shape)
    twin = TwinNetwork(network, "float64")
    theta, state = network.allocate("float64")
    network.draw(spec.seed, theta, state)
    theta *= 1 + aside * np.random.default_rng(0).choice([-1.0, 1.0], theta.shape)
    twin.load(theta, state)
    twin.train()
    owned = [(_owner(tensor), piece.variable.penalised) for piece, tensor in twin.learned()]
    weights = [tensor for tensor, penalised in owned if penalised]
    others = [tensor for tensor, penalised in owned if not penalised]
    optimizer = optimizer_of(spec.optimizer, weights, others, spec.regularization.weight_decay)
    columns = [tensor for piece, tensor in twin.learned() if piece.variable.penalised]
    order = Random(spec.seed, Purpose.SHUFFLE, epoch=0).permutation(ROWS)
    x = torch.from_numpy(data.x)
    y = torch.from_numpy(data.y.astype(np.int64) if isinstance(data.schema.target, ClassTarget) else data.y)
    for step in range(STEPS):
        rows = order[step * BATCH :][:BATCH]
        twin.randomise(spec.seed, 0, step)
        twin.mask(torch.from_numpy(data.mask(rows)) if data.masks else None)
        optimizer.zero_grad()
        COSTS[spec.loss.type](spec.loss, twin(x[rows]), y[rows]).mean().backward()
        rate = rate_at(spec.optimizer.learning_rate, step, STEPS, 1)
        with torch.no_grad():
            _restrain(spec, weights, [*weights, *others], rate)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        if spec.regularization.max_norm is not None:
            with torch.no_grad():
                for tensor in columns:
                    _bound(tensor, spec.regularization.max_norm)
    return np.concatenate([twin.theta(), twin.state()])


def _owner(tensor: Tensor) -> Tensor:
    """PyTorch's parameter behind a view."""
    return tensor if tensor._base is None else tensor._base


def _restrain(spec: TrainingSpec, weights: list[Tensor], learned: list[Tensor], rate: float) -> None:
    """Clipping, penalties and decay by their formulas; PyTorch adds 1e-6 to a norm before it divides by it."""
    told, clipping = spec.regularization, spec.gradient_clipping
    if clipping.value is not None:
        torch.nn.utils.clip_grad_value_(learned, clipping.value)
    if clipping.norm is not None:
        norm = torch.nn.utils.get_total_norm([tensor.grad for tensor in learned if tensor.grad is not None])
        for tensor in learned if norm > clipping.norm else ():
            assert tensor.grad is not None
            tensor.grad *= clipping.norm / norm
    for weight in weights:
        assert weight.grad is not None
        weight.grad += told.l1 * weight.sign() + (told.l2 + told.nielsen_lambda / ROWS) * weight
        if spec.optimizer.type != "adamw":  # whose decay is told to PyTorch's own
            weight.mul_(1 - rate * told.weight_decay)


def _bound(column_wise: Tensor, longest: float) -> None:
    """Scale columns (along the last axis) down to `longest`; torch.renorm adds 1e-7 to their norms."""
    norms = column_wise.flatten(0, -2).norm(dim=0)
    column_wise *= torch.where(norms > longest, longest / norms, 1.0)
