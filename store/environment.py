"""Settings from the environment, with a sentence instead of a traceback where one of them is wrong."""

from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from core.sentences import sentence

S = TypeVar("S", bound=BaseSettings)


def read_settings(kind: type[S], **given: Any) -> S:
    """Read settings of a kind, some of them `given`; ends the process with a sentence for each that is wrong."""
    try:
        return kind(**given)
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        lines = []
        for item in error.errors(include_url=False, include_input=False):
            place = str(item["loc"][0]) if item["loc"] else ""
            name = f"{prefix}{place}".upper() if place in kind.model_fields else place
            lines.append(f"{name}: {sentence(item, (), {})}")
        raise SystemExit("Error in the environment: " + " ".join(lines)) from None
