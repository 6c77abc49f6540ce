"""Write openapi.json and openapi-v2.json from the application, or check that they are in step: openapi/export.py
[--check]."""

import json
import sys
from pathlib import Path

from service import openapi
from service.app import create_app
from service.settings import ServiceSettings
from store.settings import StoreSettings

HERE = Path(__file__).parent
FILES = {"openapi.json": openapi.document, "openapi-v2.json": openapi.document_v2}


def text(name: str) -> str:
    """A document as it stands in its file: sorted, so that a difference is a change."""
    # Settings of the environment must not show in the document.
    document = FILES[name](create_app(ServiceSettings.model_construct(), StoreSettings.model_construct()))
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the files, or with --check say whether they are in step."""
    stale = [name for name in FILES if not (HERE / name).exists() or (HERE / name).read_text() != text(name)]
    if "--check" not in sys.argv[1:]:
        for name in stale:
            (HERE / name).write_text(text(name))
        return 0
    for name in stale:
        sys.stderr.write(f"openapi/{name} is not in step with the application; run `make openapi`.\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
