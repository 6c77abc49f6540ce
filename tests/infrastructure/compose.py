"""The compose file as Docker Compose would read it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<word>[^}]*))?\}")


def compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """`docker-compose.yml` with its variables filled in; raises KeyError for a required one that is missing."""
    text = (ROOT / "docker-compose.yml").read_text()

    def value(match: re.Match[str]) -> str:
        if match["name"] in variables:
            return variables[match["name"]]
        if match["kind"] != "-":
            raise KeyError(match["name"])
        return match["word"]

    content: dict[str, Any] = yaml.safe_load(VARIABLE.sub(value, text))
    return content
