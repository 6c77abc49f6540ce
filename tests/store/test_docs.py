"""What docs/architecture.md says of a job's life is what the table of transitions says."""

import re
from pathlib import Path

from store.lifecycle import NOTICES, TRANSITIONS

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


def test_the_state_diagram_is_the_table_of_transitions() -> None:
    drawn = set(re.findall(r"^    (\w+) --> (\w+) : (\w+)$", PAGE.read_text(), re.MULTILINE))
    legal = {(str(source), str(way.target), name) for name, way in TRANSITIONS.items() for source in way.sources}
    assert drawn == legal


def test_every_event_type_has_its_line() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE))
    meanings = {way.event: way.meaning for way in TRANSITIONS.values()} | NOTICES
    packages = {"core", "store", "service", "worker", "standalone", "client"}
    assert {name: told[name] for name in told if name not in packages} == meanings
