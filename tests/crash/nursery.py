"""Starts servers and workers as children of one process that has imported all of them, in milliseconds each.

Each line of stdin is a command in JSON; each is answered by one number:
`{"module": "worker", "environment": {..}, "log": "file"}` by the id of the new process, which runs that module as
`python -m` would; `{"wait": id}` by the exit code of a process that is over or about to be.
Nothing outlives the nursery.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import service.app
import service.wire
import worker.app
import worker.worker
from standalone.lifeline import dies_with_parent

PRELOADED = (service.app, service.wire, worker.app, worker.worker)


class Nursery:
    """The test's side of it. `environment` is that of the nursery and of all that it starts."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.nursery"],
            cwd=Path(__file__).parents[2],
            env=environment | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=dies_with_parent(signal.SIGKILL),  # noqa: PLW1509 (one C call)
        )

    def start(self, module: str, log: Path, **environment: str) -> int:
        return self._tell(module=module, log=str(log), environment=environment)

    def wait(self, process: int) -> int:
        return self._tell(wait=process)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _tell(self, **command: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _run(module: str, log: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    null, file = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for target, source in enumerate((null, file, file)):
        os.dup2(source, target)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def main() -> None:
    die_with_us = dies_with_parent(signal.SIGKILL)
    assert die_with_us is not None, "the fleet runs on Linux only"
    for line in sys.stdin:
        command = json.loads(line)
        if "wait" in command:
            answer = os.waitstatus_to_exitcode(os.waitpid(command["wait"], 0)[1])
        elif (answer := os.fork()) == 0:
            die_with_us()
            sys.argv = [command["module"]]
            _run(**command)
            return
        print(answer, flush=True)


if __name__ == "__main__":
    main()
