"""`nudge jobs checkpoints` and `nudge jobs checkpoint`."""

from pathlib import Path

import click

from client.standing import place
from client.terminal import Terminal, connected


@click.command()
@click.argument("job")
@connected
def checkpoints(terminal: Terminal, job: str) -> None:
    """List the checkpoints of a job."""
    kept = terminal.client().jobs.get(job).checkpoints()
    if terminal.json:
        terminal.document([record.to_json() for record in kept])
    else:
        terminal.table(("id", "place", "digest"), ((record.id, place(record), record.digest) for record in kept))


@click.command()
@click.argument("job")
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="The file to write.",
)
@click.option(
    "--which", default="newest", show_default=True, metavar="newest|best|start|ID", help="start: what it began with."
)
@connected
def checkpoint(terminal: Terminal, job: str, output: Path, which: str) -> None:
    """Download a checkpoint of a job, as a safetensors file."""
    content = terminal.client().jobs.get(job).download(which)
    try:
        output.write_bytes(content)
    except OSError as error:
        raise click.BadParameter(f"{output} cannot be written: {error.strerror}.", param_hint="--output") from error
    if terminal.json:
        terminal.document({"job": job, "file": str(output), "bytes": len(content)})
    else:
        terminal.out.print(f"Wrote {len(content):,} bytes to {output}.", soft_wrap=True)
