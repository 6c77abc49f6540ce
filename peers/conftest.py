"""Keeps what the comparisons measured, and shows it at the end."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from rich.table import Table

from peers.comparison import STEPS, Distance
from peers.conventions import LAYERS, LOSSES, OPTIMIZERS

# Largest absolute difference of a weight or a running value; the rounding of one number is 1e-16 or 6e-8 of it.
BOUNDS = {"float64": 1e-9, "float32": 1e-5}

# What looks into a network: largest difference, as a share of the largest number that PyTorch has, or of FLOOR.
NEAR, FLOOR = 1e-12, 1e-3

Hold = Callable[[str, str, str, Distance], None]
Near = Callable[..., None]
_KINDS = {"layer": LAYERS, "loss": LOSSES, "optimizer": OPTIMIZERS}
_largest: dict[tuple[str, str, str], float] = {}
_deviations: dict[str, tuple[float, float]] = {}


@pytest.fixture(autouse=True)
def _plain() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_default_dtype(torch.float64)  # NAdam keeps the product of its momenta in the default type


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Remember a distance for the table, and fail beyond the bound of its dtype."""

    def hold(kind: str, type_: str, dtype: str, distance: Distance) -> None:
        key = kind, type_, dtype
        _largest[key] = float(np.fmax(_largest.get(key, 0.0), distance.largest))
        assert distance.largest <= BOUNDS[dtype], f"{kind} {type_} {dtype}: {distance}"

    return hold


@pytest.fixture
def near() -> Near:
    """Remember by how much what was found differs from what PyTorch has, and fail beyond the bound.

    `scale`: what the difference is a share of, where it is not the largest number or FLOOR.
    """

    def near(what: str, found: Any, wanted: Any, scale: float | None = None, bound: float = NEAR) -> None:
        found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
        assert found.shape == wanted.shape, f"{what}: {found.shape} is not {wanted.shape}"
        share = np.abs(found - wanted) / (scale or max(FLOOR, float(np.abs(wanted).max(initial=0.0))))
        deviation = float(share.max(initial=0.0))
        _deviations[what] = float(np.fmax(_deviations.get(what, (0.0, bound))[0], deviation)), bound
        assert deviation <= bound, f"{what}: {deviation:.1e} is more than {bound:.0e}"

    return near


def pytest_terminal_summary() -> None:
    """The tables."""
    console = Console(width=150)
    for kind in dict.fromkeys(kind for kind, _, _ in _largest):
        table = Table(title=f"{kind}: largest difference", title_justify="left")
        for heading in ("", "float64", "float32", "held against", "convention"):
            table.add_column(heading)
        for type_ in dict.fromkeys(t for k, t, _ in _largest if k == kind):
            told = [_largest.get((kind, type_, dtype)) for dtype in ("float64", "float32")]
            against, convention = _KINDS.get(kind, {}).get(type_, ("", ""))
            table.add_row(type_, *("" if t is None else f"{t:.0e}" for t in told), against, convention)
        console.print(table)
    if _largest:
        console.print(
            f"Largest absolute difference of a weight or a running value after {STEPS} steps from PyTorch "
            f"{torch.__version__} in float64; bounds: float64 {BOUNDS['float64']:.0e}, float32 {BOUNDS['float32']:.0e}."
        )
    if _deviations:
        table = Table(title="Looked into, beside autograd", title_justify="left")
        for heading in ("", "largest deviation", "bound"):
            table.add_column(heading)
        for what, (deviation, bound) in _deviations.items():
            table.add_row(what, f"{deviation:.0e}", f"{bound:.0e}")
        console.print(table)
