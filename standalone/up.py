"""`nudged up`: broker, database, worker and server, in the order in which they need each other."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core.compiled.build import missing, summary
from standalone.broker import PrivateBroker, find_server, socket_folder
from standalone.child import Child
from standalone.data_lock import DataLock
from standalone.logs import Log
from standalone.port import Port
from standalone.readiness import address, is_ready
from standalone.supervisor import StopAsked, Supervisor

MIGRATED_S = 120.0
BROKER_READY_S = 10.0
READY_S = 60.0
# How long each may take to stop: a little more than it allows itself.
SERVER_STOP_S = 15.0
WORKER_STOP_S = 15.0
BROKER_STOP_S = 5.0


@dataclass(frozen=True)
class Options:
    """What `nudged up` was asked for."""

    data: Path
    host: str
    port: int
    insecure: bool
    verbose: bool


def up(options: Options, say: Callable[[str], None]) -> None:
    """Run everything until a signal asks to stop.

    Raises: CannotListen, DataInUse; ChildFailed when a part cannot start or keeps dying. Nothing runs afterwards.
    """
    options.data.mkdir(mode=0o700, parents=True, exist_ok=True)  # other users have no business in it
    data = options.data.resolve()
    say(f"Starting Nudge in {data} ...")
    if missing():
        say("Its worker compiles the kernels first, once, which takes up to a minute; jobs wait for that.")
    with ExitStack() as stack:
        lock = DataLock(data)
        stack.callback(lock.release)
        port = Port(options.host, options.port)
        stack.callback(port.release)
        if options.port not in (0, port.number):
            say(f"Port {options.port} is taken by another program, so this is port {port.number}.")
        broker = stack.enter_context(_private_broker(data))
        supervisor = stack.enter_context(Supervisor(say))
        with suppress(StopAsked):
            _start(supervisor, options, data, port.number, broker)
            url = address(options.host, port.number)
            lock.describe(url)
            say(_welcome(url, data, broker, options.verbose))
            supervisor.keep_running()


def _start(supervisor: Supervisor, options: Options, data: Path, port: int, broker: PrivateBroker | None) -> None:
    environment = os.environ | {
        "NUDGE_DATA": str(data),
        "NUDGE_HOST": options.host,
        "NUDGE_PORT": str(port),
        "NUDGE_INSECURE": str(options.insecure).lower(),
        "PYTHONUNBUFFERED": "1",
    }
    if broker:
        environment["BROKER_URL"] = broker.url

    def child(name: str, command: list[str], stop_s: float) -> Child:
        return Child(
            name, command, environment, Log(None if options.verbose else data / "logs" / f"{name}.log"), stop_s
        )

    if broker:
        valkey = child("broker", broker.command, BROKER_STOP_S)
        supervisor.start(valkey)
    supervisor.run_to_end(child("migration", _python("standalone", "migrate"), BROKER_STOP_S), MIGRATED_S)
    if broker:
        supervisor.wait_for(valkey, broker.answers, BROKER_READY_S)
    supervisor.start(child("worker", _python("worker"), WORKER_STOP_S))
    server = child("server", _python("service"), SERVER_STOP_S)
    supervisor.start(server)
    supervisor.wait_for(server, lambda: is_ready(options.host, port), READY_S)


def _python(module: str, *arguments: str) -> list[str]:
    # -P: a folder of the same name in the current directory must not be taken for a part of the system.
    return [sys.executable, "-P", "-m", module, *arguments]


@contextmanager
def _private_broker(data: Path) -> Iterator[PrivateBroker | None]:
    """The broker to start, or None when one is named by BROKER_URL or there is no program for one."""
    program = None if os.environ.get("BROKER_URL") else find_server()
    if program is None:
        yield None
        return
    folder = socket_folder(data)
    try:
        yield PrivateBroker(program, folder / "valkey.sock")
    finally:
        if folder != data:
            shutil.rmtree(folder, ignore_errors=True)


def _welcome(url: str, data: Path, broker: PrivateBroker | None, verbose: bool) -> str:
    if broker:
        rings = f"private {broker.program.name} on {broker.socket}"
    elif os.environ.get("BROKER_URL"):
        rings = "the one in BROKER_URL"
    else:
        rings = "none; the worker looks into the database by itself"
    return "\n".join(
        [
            f"Nudge is up at {url} (its API is described at {url}/docs).",
            f"  data    {data}",
            f"  logs    {'here' if verbose else data / 'logs'}",
            f"  broker  {rings}",
            f"  kernels {summary()}",
            "Ctrl-C stops it.",
        ]
    )
