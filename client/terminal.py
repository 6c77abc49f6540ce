"""How a command speaks: results on stdout, everything else on stderr, errors as exit codes."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from client.client import DEFAULT_URL, Client
from client.errors import InputError, NudgeError, UnreachableError

OK, FAILED, USAGE, UNREACHABLE, REFUSED, INTERRUPTED = 0, 1, 2, 3, 4, 130
PLAIN_WIDTH = 160
P = ParamSpec("P")
R = TypeVar("R")


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:  # a pipe has no width; do not cut ids for one it does not have
        console.width = max(console.width, PLAIN_WIDTH)
    return console


@dataclass
class Terminal:
    """The options every command has, and where its words go."""

    url: str = DEFAULT_URL
    json: bool = False
    out: Console = field(default_factory=lambda: _console(stderr=False))
    err: Console = field(default_factory=lambda: _console(stderr=True))

    def client(self) -> Client:
        """The client for `--url`, closed when the command ends."""
        try:
            client = Client(self.url)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--url") from error
        click.get_current_context().call_on_close(client.close)
        return client

    @property
    def talk(self) -> Console:
        """Where to talk to a person: stdout, or stderr when stdout belongs to a script."""
        return self.err if self.json else self.out

    def document(self, value: Any) -> None:
        """Write one JSON document to stdout."""
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))

    def table(self, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
        """Write a table to stdout."""
        grid = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            grid.add_row(*(Text(str(cell)) for cell in row))
        self.out.print(grid, soft_wrap=not self.out.is_terminal)

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Write names and values to stdout, one pair in a line; what is None is left out."""
        width = max(map(len, facts))
        for name, value in facts.items():
            if value is None:
                continue
            told = Text(str(value))
            if " " in told.plain and self.out.is_terminal:  # words are broken; ids and digests stay whole, to be copied
                grid = Table.grid(padding=(0, 2, 0, 0))
                grid.add_row(Text(name.ljust(width), "bold", no_wrap=True), told)
                self.out.print(grid)
            else:
                self.out.print(Text.assemble((name.ljust(width), "bold"), "  ", told), soft_wrap=True)

    def deleted(self, name: str) -> None:
        """Say that what has this id is gone."""
        if self.json:
            self.document({"id": name, "deleted": True})
        else:
            self.out.print(f"Deleted {name}.")

    def fail(self, error: NudgeError) -> int:
        """Say what went wrong, and give the exit code that means it."""
        if self.json:
            problem = error.problem or {"status": error.status, "type": error.type, "detail": error.detail}
            self.document({"error": problem})
        self.err.print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True)
        if isinstance(error, InputError):
            return USAGE
        if isinstance(error, UnreachableError):
            return UNREACHABLE
        return REFUSED if error.refused else FAILED


pass_terminal = click.make_pass_decorator(Terminal, ensure=True)


def connected(command: Callable[Concatenate[Terminal, P], R]) -> Callable[P, R]:
    """Give a command `--url` and `--json`, and the terminal that they are kept in."""
    told = pass_terminal(command)

    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value and parameter.name:
            setattr(context.ensure_object(Terminal), parameter.name, value)

    for option in (
        click.option(
            "--json", is_flag=True, expose_value=False, callback=keep, help="Pure JSON on stdout, for scripts."
        ),
        click.option(
            "--url", expose_value=False, callback=keep, help=f"The server; also NUDGE_URL. Default: {DEFAULT_URL}"
        ),
    ):
        told = option(told)
    return told
