"""Query parameters taken at their word: an unknown one is refused, one that comes twice, and a number that only Python
would read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

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
    known = _known(route) if isinstance(route, APIRoute) else {}
    given = request.query_params.multi_items()
    for name, value in given:
        if name not in known:
            choice = f"known are {', '.join(sorted(known))}" if known else "it takes none"
            raise BadParameter(name[:80], f"This operation has no query parameter {name[:80]!r}; {choice}.")
        if not known[name] and [other for other, _ in given].count(name) > 1:
            raise BadParameter(name, f"{name!r} is given twice; keep one of them.")
        if GROUPED.fullmatch(value):
            raise BadParameter(name, f"Write the number of {name!r} in digits alone, without underscores.")


def no_parameters(request: Request) -> None:
    """The same for a plain route, for which no dependency is solved and which takes none; raises BadParameter."""
    if request.scope["query_string"]:
        name = next(iter(request.query_params), "")[:80]
        raise BadParameter(name, "This operation takes no query parameters; what it is asked stands in its body.")


def _known(route: APIRoute) -> Mapping[str, bool]:
    """The parameters of a route; True for those that may be repeated."""
    waiting, known = [route.dependant], dict[str, bool]()
    while waiting:
        dependant = waiting.pop()
        known |= {field.alias: _is_list(field.field_info.annotation) for field in dependant.query_params}
        waiting.extend(dependant.dependencies)
    return known


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(_is_list(part) for part in get_args(annotation))
