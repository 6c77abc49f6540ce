"""Whatever a client may name has a comparison."""

from typing import get_args

import pytest

from core.compiled.build import variant
from core.compiled.library import load
from core.layers import AnyLayer
from core.losses import AnyLoss
from core.optimizers import AnyOptimizer
from peers import test_layers, test_losses, test_optimizers
from peers.conventions import LAYERS, LOSSES, OPTIMIZERS
from peers.losses import COSTS
from peers.optimizers import OPTIMIZERS as THEIRS
from peers.twins import TWINS


def _types(union: object) -> set[str]:
    return {member.model_fields["type"].default for member in get_args(get_args(union)[0])}


@pytest.mark.parametrize(
    ("union", "made", "told", "compared"),
    [
        (AnyLayer, TWINS, LAYERS, [layer.type for layer, _ in test_layers.CASES]),
        (AnyLoss, COSTS, LOSSES, [loss["type"] for loss, _, _ in test_losses.CASES]),
        (AnyOptimizer, THEIRS, OPTIMIZERS, [optimizer["type"] for optimizer in test_optimizers.CASES]),
    ],
    ids=["layers", "losses", "optimizers"],
)
def test_each_member_is_compared(union: object, made: object, told: object, compared: list[str]) -> None:
    assert _types(union) == set(made) == set(told) == set(compared)  # type: ignore[call-overload]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_kernels_are_there(dtype: str) -> None:
    """Else NumPy would stand in for them, and every comparison would hold."""
    assert variant() is None or load(dtype) is not None
