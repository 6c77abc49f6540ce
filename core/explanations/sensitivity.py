"""Which weights the cost hears best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.explanations.names import Names
from core.layers.layer import Array
from core.network import Network


@dataclass(frozen=True)
class Sensitive:
    """A weight with its place in the ranking, from 1: dC/dw, its size, and how many times that of the middle one."""

    rank: int
    parameter: str
    index: list[int]
    name: str
    derivative: float
    sensitivity: float
    times: float


@dataclass(frozen=True)
class Sensitivity:
    """|dC/dw| over all parameters, the largest first; `middle` is the median of those that are not 0.

    unmoved: how many have the derivative 0. says: the largest beside the middle one.
    """

    parameters: int
    unmoved: int
    ranking: list[Sensitive]
    middle: Sensitive | None
    says: str


def sensitivity(network: Network, gradient: Array, top: int) -> Sensitivity:
    """The ranking of the `top` largest of the gradient (size,); equal ones stand in the order of theta."""
    sizes = np.abs(gradient)
    count = int(np.count_nonzero(sizes))
    if not count:
        said = "No weight moves the cost here: every derivative is 0." if network.size else "This model has no weights."
        return Sensitivity(network.size, network.size, [], None, said)
    middle = (count + 1) // 2
    told = min(top, network.size)
    parted = np.argpartition(-sizes, sorted({middle - 1, told - 1}))
    first = parted[:told]
    first = first[np.lexsort((first, -sizes[first]))]
    half, names = int(parted[middle - 1]), Names(network)

    def named(rank: int, number: int) -> Sensitive:
        size = float(sizes[number])
        return Sensitive(rank, *names.weight(number), float(gradient[number]), size, size / float(sizes[half]))

    ranking = [named(rank, int(number)) for rank, number in enumerate(first, start=1)]
    best = int(first[0])
    if count == 1:
        said = f"Only {ranking[0].name} moves the cost."
    else:
        # Beside the middle one, or where they are two, or as large, one that is not the best itself.
        rivals = np.flatnonzero(sizes == sizes[half]) if count > 2 else np.flatnonzero(sizes)
        rival = int(next(number for number in rivals[::-1] if number != best))
        whose = f"which is number {middle:,} of {count:,} that move it" if count > 2 else "the only other that moves it"
        said = f"{_beside(float(sizes[best] / sizes[rival]), ranking[0].name, names.weight(rival).name)}, {whose}."
    return Sensitivity(network.size, network.size - count, ranking, named(middle, half), said)


def _beside(ratio: float, one: str, other: str) -> str:
    if ratio < 1.05:
        return f"The cost is about as sensitive to {one} as to {other}"
    times = f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"
    return f"The cost is {times} times more sensitive to {one} than to {other}"
