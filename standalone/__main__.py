"""`nudged`: the server's side of Nudge; each command imports only what it needs."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run Nudge, or one part of it.

    On one machine, `nudged up` is everything. In production `serve` and `work` run as many times as needed,
    after `migrate`; DATABASE_URL, BROKER_URL and BLOBS_URL say what they share.
    """


@main.command()
def serve() -> None:
    """Answer HTTP requests (NUDGE_HOST, NUDGE_PORT)."""
    from service.__main__ import main as run  # noqa: PLC0415

    run()


@main.command()
def work() -> None:
    """Train the jobs that are queued (NUDGE_CONCURRENCY at a time)."""
    # In a process image of its own: each trainer's parent reads the main module, and the worker's is small.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "worker"])  # noqa: S606


@main.command()
def migrate() -> None:
    """Bring the database to this version's schema; safe to run again, and by several at once."""
    from store.database import Database  # noqa: PLC0415
    from store.environment import read_settings  # noqa: PLC0415
    from store.errors import Unavailable  # noqa: PLC0415
    from store.migrate import migrate as run  # noqa: PLC0415
    from store.settings import StoreSettings  # noqa: PLC0415

    database = Database(read_settings(StoreSettings).database)
    try:
        run(database)
    except Unavailable as error:
        raise click.ClickException(str(error)) from error
    finally:
        database.dispose()


@main.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data"),
    envvar="NUDGE_DATA",
    show_default=True,
    show_envvar=True,
    help="Directory of the database, the blobs and the logs.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    envvar="NUDGE_PORT",
    show_default=True,
    show_envvar=True,
    help="Port to listen on; 0 takes any free one, and so does 8080 when it is taken.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    envvar="NUDGE_HOST",
    show_default=True,
    show_envvar=True,
    help="Address to listen on.",
)
@click.option(
    "--insecure",
    is_flag=True,
    envvar="NUDGE_INSECURE",
    show_envvar=True,
    help="Allow an address that other machines can reach, although nobody has to identify themselves.",
)
@click.option("--verbose", is_flag=True, help="Log to the terminal rather than to DATA/logs.")
def up(data: Path, port: int, host: str, insecure: bool, verbose: bool) -> None:
    """Run the whole system on this machine until Ctrl-C.

    Starts a private broker, a worker and the server over SQLite in DATA, and restarts what dies.
    DATABASE_URL and BROKER_URL switch to servers that already run.
    """
    from service.settings import ServiceSettings  # noqa: PLC0415
    from standalone.data_lock import DataInUse  # noqa: PLC0415
    from standalone.port import CannotListen  # noqa: PLC0415
    from standalone.supervisor import ChildFailed  # noqa: PLC0415
    from standalone.up import Options  # noqa: PLC0415
    from standalone.up import up as run  # noqa: PLC0415
    from store.environment import read_settings  # noqa: PLC0415
    from store.settings import StoreSettings  # noqa: PLC0415
    from worker.settings import WorkerSettings  # noqa: PLC0415

    def say(words: str) -> None:
        with suppress(OSError):  # whoever listened may have gone; the system stays
            click.echo(words)

    for settings in (StoreSettings, WorkerSettings):
        read_settings(settings)
    refusal = read_settings(ServiceSettings, host=host, port=port, insecure=insecure).refusal_to_listen()
    if refusal:
        raise click.UsageError(f"{refusal} With this command: --insecure.")
    try:
        run(Options(data, host, port, insecure, verbose), say)
    except (CannotListen, DataInUse, ChildFailed, OSError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
