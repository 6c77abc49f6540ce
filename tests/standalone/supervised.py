"""A supervisor over the shell scripts given as arguments; the tests run it as a process of its own."""

import os
import sys
from pathlib import Path

from standalone.child import Child
from standalone.logs import Log
from standalone.supervisor import ChildFailed, StopAsked, Supervisor


def main(folder: Path, stop_s: float, scripts: list[str]) -> None:
    with Supervisor(lambda words: print(words, flush=True)) as supervisor:
        for number, script in enumerate(scripts):
            command = ["/bin/sh", "-c", script, f"child-{number}"]
            supervisor.start(Child(f"child-{number}", command, os.environ, Log(folder / f"{number}.log"), stop_s))
        try:
            print("running", flush=True)
            supervisor.keep_running()
        except StopAsked:
            pass
        except ChildFailed as error:
            sys.exit(str(error))


main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
