"""Which layers an answer is about."""

from typing import Annotated

from pydantic import Field

from core.network import Network
from core.spec import Finding, SpecError

Only = Annotated[
    Annotated[list[Annotated[int, Field(strict=True, ge=0)]], Field(min_length=1)] | None,
    Field(
        description="Only these layers, counted from 0 as the spec lists them; all if left out.",
        examples=[[1]],
    ),
]


def chosen(only: Only, network: Network) -> frozenset[int] | None:
    """The layers that are meant, None for all; raises SpecError for one that the network does not have."""
    if only is None:
        return None
    count = len(network.layers)
    strange = [
        Finding(f"/only/{place}", f"The model has {count} layers: the last is {count - 1}.")
        for place, index in enumerate(only)
        if index >= count
    ]
    if strange:
        raise SpecError(strange)
    return frozenset(only)
