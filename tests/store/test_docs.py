"""What docs/architecture.md says of a job's life is what the table of transitions says."""

import importlib.util
import re
from pathlib import Path

from store.lifecycle import TRANSITIONS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "architecture.md"


def test_the_page_is_as_it_is_drawn_from_the_table() -> None:
    found = importlib.util.spec_from_file_location("lifecycle", DOCS / "lifecycle.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    assert PAGE.read_text() == module.written(PAGE.read_text()), "run `python docs/lifecycle.py`"


def test_the_state_diagram_is_the_table_of_transitions() -> None:
    drawn = set(re.findall(r"^    (\w+) --> (\w+) : (\w+)$", PAGE.read_text(), re.MULTILINE))
    legal = {(str(source), str(way.target), name) for name, way in TRANSITIONS.items() for source in way.sources}
    assert drawn == legal
