"""Names that people give to datasets and models."""

from typing import Annotated

from pydantic import AfterValidator, Field

from service.dependencies import NAME_PATTERN, begins_like_id


def _no_id(name: str) -> str:
    if begins_like_id(name):
        raise ValueError("A name must not begin like an id (ds_, job_, ckpt_, mdl_, wts_)")
    return name


Name = Annotated[
    str,
    Field(
        pattern=NAME_PATTERN,
        description="Letters, digits, dot, underscore and hyphen; at most 64, the first one a letter or digit.",
        examples=["digits"],
    ),
    AfterValidator(_no_id),
]
