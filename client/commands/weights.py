"""`nudge weights`."""

import math
from pathlib import Path

import click
from rich.markup import escape

from client.commands.listing import limit_option, listed
from client.schemas import Weights
from client.terminal import Terminal, connected


@click.group(invoke_without_command=True)
@click.pass_context
def weights(context: click.Context) -> None:
    """Upload weights that jobs can begin with. Alone, it lists them."""
    if context.invoked_subcommand is None:
        context.invoke(list_)


@weights.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@connected
def upload(terminal: Terminal, file: Path) -> None:
    """Upload a safetensors or NPZ file whose tensors are named as an export names them."""
    with terminal.talk.status(f"Uploading {escape(str(file))} ..."):
        kept = terminal.client().weights.upload(file)
    terminal.talk.print(f"Uploaded {kept.id}: {described(kept)}. A job begins with them by from_weights.")
    if terminal.json:
        terminal.document(kept.to_json())


@weights.command("list")
@limit_option
@connected
def list_(terminal: Terminal, limit: int) -> None:
    """List uploaded weights, newest first."""
    found = listed(terminal, terminal.client().weights.list, limit)
    if terminal.json:
        terminal.document([kept.to_json() for kept in found])
    else:
        rows = ((kept.id, described(kept), f"{kept.bytes:,}", f"{kept.created_at:%Y-%m-%d %H:%M}") for kept in found)
        terminal.table(("id", "what", "bytes", "uploaded (UTC)"), rows)


@weights.command()
@click.argument("weights")
@connected
def show(terminal: Terminal, weights: str) -> None:
    """Show the tensors of uploaded weights."""
    kept = terminal.client().weights.get(weights)
    if terminal.json:
        terminal.document(kept.to_json())
        return
    terminal.facts({"id": kept.id, "digest": kept.digest, "bytes": f"{kept.bytes:,}"})
    rows = ((one["name"], one["dtype"], " × ".join(map(str, one["shape"])) or "1") for one in kept.tensors)
    terminal.table(("tensor", "type", "shape"), rows)


@weights.command()
@click.argument("weights")
@connected
def delete(terminal: Terminal, weights: str) -> None:
    """Delete uploaded weights; jobs that began with them keep what they need."""
    terminal.client().weights.delete(weights)
    terminal.deleted(weights)


def described(kept: Weights) -> str:
    """Uploaded weights in a few words."""
    numbers = sum(math.prod(tensor["shape"]) for tensor in kept.tensors)
    return f"{numbers:,} numbers in {len(kept.tensors)} tensors"
