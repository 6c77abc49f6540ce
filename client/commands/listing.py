"""Lists of any length, taken page by page."""

from collections.abc import Callable
from typing import TypeVar

import click

from client.schemas import Page
from client.terminal import Terminal

PAGE = 200  # the most that the server lists at once
Item = TypeVar("Item")

limit_option = click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many at most, the newest first."
)


def listed(terminal: Terminal, ask: Callable[[int, str | None], Page[Item]], limit: int) -> list[Item]:
    """The first `limit` items of what `ask` (how many, cursor) gives; that there are more is said on stderr."""
    items: list[Item] = []
    cursor: str | None = None
    while True:
        page = ask(min(limit - len(items), PAGE), cursor)
        items += page.data
        cursor = page.next_cursor
        if cursor is None:
            return items
        if len(items) >= limit:
            terminal.err.print(f"There are more than these {limit:,}: --limit takes any number.")
            return items
