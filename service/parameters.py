"""Query parameters taken at their word: an unknown one is refused, and so is a number that only Python would read."""

import re
from dataclasses import dataclass

from fastapi import Request
from fastapi.routing import APIRoute

GROUPED = re.compile(r"[+-]?\d+(_\d+)+")


@dataclass
class BadParameter(Exception):
    """A query parameter that the operation does not have, or whose value is no plain number."""

    name: str
    detail: str

    def __str__(self) -> str:
        return self.detail


async def strict_parameters(request: Request) -> None:
    """A dependency of every route. A mistyped parameter must not pass for one that was left out.

    Raises:
        BadParameter: for the first one that is wrong.
    """
    if not request.scope["query_string"]:
        return
    route = request.scope.get("route")
    known = _known(route) if isinstance(route, APIRoute) else frozenset()
    for name, value in request.query_params.multi_items():
        if name not in known:
            choice = f"known are {', '.join(sorted(known))}" if known else "it takes none"
            raise BadParameter(name[:80], f"This operation has no query parameter {name[:80]!r}; {choice}.")
        if GROUPED.fullmatch(value):
            raise BadParameter(name, f"Write the number of {name!r} in digits alone, without underscores.")


def _known(route: APIRoute) -> frozenset[str]:
    waiting, names = [route.dependant], set[str]()
    while waiting:
        dependant = waiting.pop()
        names.update(field.alias for field in dependant.query_params)
        waiting.extend(dependant.dependencies)
    return frozenset(names)
