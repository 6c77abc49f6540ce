"""Writes a job's life into architecture.md, the diagram and the table of events, from the table of transitions.

.venv/bin/python docs/lifecycle.py
"""

import re
from pathlib import Path

from store.lifecycle import EVENTS, TRANSITIONS, Status

PAGE = Path(__file__).parent / "architecture.md"
DIAGRAM = re.compile(r"(?<=```mermaid\n)stateDiagram-v2\n.*?(?=```)", re.DOTALL)
TABLE = re.compile(r"(?<=\| event \| says \|\n\| --- \| --- \|\n)(\|.*\n)+")


def diagram() -> str:
    """Every legal move as an arrow."""
    arrows = [f"    [*] --> {Status.QUEUED} : submit\n"]
    for name, way in TRANSITIONS.items():
        arrows += [f"    {source} --> {way.target} : {name}\n" for source in Status if source in way.sources]
    return "stateDiagram-v2\n" + "".join(arrows)


def table() -> str:
    """Every type of event with what it says."""
    return "".join(f"| `{event}` | {meaning} |\n" for event, meaning in EVENTS.items())


def written(page: str) -> str:
    """The page with both as they are now."""
    for place, text in ((DIAGRAM, diagram()), (TABLE, table())):
        page, count = place.subn(lambda _, text=text: text, page)
        if count != 1:
            raise ValueError(f"the page has {count} places for {text.split()[0]}, not one")
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
