"""Which numbers of a network are probabilities, and may be told in percent."""

from collections.abc import Mapping, Sequence
from typing import Any

from client.display import percent

ROUNDING = 1e-5  # of float32, over many classes
GIVE_CHANCES = {"cross_entropy", "binary_cross_entropy"}  # losses that make probabilities of what the network gives


def are_chances(outputs: Sequence[float | None]) -> bool:
    """Whether the outputs of a row for classes are probabilities: none negative and together 1, or one within 0 and 1,
    which is that of the second class of two."""
    known = [value for value in outputs if value is not None]
    if len(known) < len(outputs) or min(known, default=-1.0) < 0.0:
        return False
    return known[0] <= 1.0 if len(known) == 1 else abs(sum(known) - 1.0) <= ROUNDING


def gives_chances(spec: Mapping[str, Any]) -> bool:
    """The same where only the spec of the training is known: its loss makes them, or its last layer does."""
    layers = spec.get("network", {}).get("layers") or [{}]
    softmax = layers[-1].get("type") == "softmax"
    return softmax or spec.get("loss", {}).get("type") in GIVE_CHANCES


def told(value: float | None, *, chances: bool) -> str:
    """Such a number in percent, or as it is."""
    return percent(value) if chances or value is None else f"{value:.4g}"
