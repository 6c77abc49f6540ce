"""Write openapi.json from the application, or check that it is in step: openapi/export.py [--check]."""

import json
import sys
from pathlib import Path

from service.app import create_app
from service.settings import ServiceSettings
from store.settings import StoreSettings

FILE = Path(__file__).parent / "openapi.json"


def text() -> str:
    """The document as it stands in the file: sorted, so that a difference is a change."""
    # Settings of the environment must not show in the document.
    document = create_app(ServiceSettings.model_construct(), StoreSettings.model_construct()).openapi()
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the file, or with --check say whether it is in step."""
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text())
        return 0
    if FILE.exists() and FILE.read_text() == text():
        return 0
    sys.stderr.write("openapi/openapi.json is not in step with the application; run `make openapi`.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
