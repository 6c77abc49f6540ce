"""The command `nudge`: everything the server does, from a terminal or a script."""

import sys
from importlib.metadata import EntryPoint, EntryPoints, entry_points

import click

from client.client import DEFAULT_URL
from client.commands.batch_predict import batch_predict
from client.commands.datasets import datasets
from client.commands.evaluation import evaluate
from client.commands.explain import explain
from client.commands.exports import export_job, export_model
from client.commands.gradient_check import gradient_check
from client.commands.jobs import jobs
from client.commands.models import models, predict
from client.commands.registry import alias, aliases, create, delete, notes, unalias
from client.commands.train import train
from client.commands.weights import weights
from client.commands.what_if import what_if
from client.errors import NudgeError
from client.terminal import INTERRUPTED, Terminal

PLUGINS = "nudge.commands"


class Commands(click.Group):
    """The commands of this client, and those that other installed packages bring along."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*super().list_commands(context), *_brought().names})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        own = super().get_command(context, name)
        if own is not None or name not in _brought().names:
            return own
        entry: EntryPoint = _brought()[name]
        command: click.Command = entry.load()
        return command


def _brought() -> EntryPoints:
    return entry_points(group=PLUGINS)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 the job or the server failed or verify found a difference, 2 wrong usage, "
    "3 no server there, 4 input refused, 130 interrupted.",
)
@click.option("--url", envvar="NUDGE_URL", help=f"The server; also NUDGE_URL. Default: {DEFAULT_URL}")
@click.option("--json", "as_json", is_flag=True, help="Pure JSON on stdout, for scripts; all else on stderr.")
@click.pass_obj
def cli(terminal: Terminal, url: str | None, as_json: bool) -> None:
    """Train neural networks on a Nudge server, watch them learn, and ask them."""
    terminal.url = url or terminal.url
    terminal.json = as_json


jobs.add_command(export_job, "export")
models.add_command(export_model, "export")
for command in (datasets, train, jobs, models, predict, batch_predict, explain, what_if, gradient_check, weights):
    cli.add_command(command)
for command in (alias, aliases, create, delete, evaluate, notes, unalias):
    models.add_command(command)


def main() -> None:
    """Run `nudge` and exit with a code that means something."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign must not end the command
    terminal = Terminal()
    try:
        code = cli.main(prog_name="nudge", obj=terminal, standalone_mode=False)
    except NudgeError as error:
        code = terminal.fail(error)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        terminal.err.print("Interrupted.")
        code = INTERRUPTED
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
