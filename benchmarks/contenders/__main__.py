"""One contender in a process of its own, bound to the cores it is given.

    python -m benchmarks.contenders NAME CORES THREADS

Requests come in as lines of JSON and are answered by one line each: `weights` writes the weights after the steps that
are compared, `prepare` trains until everything is compiled and warm, `round` trains on for a while and tells rows and
seconds. The process ends with its input.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, TextIO

CLASSES = {
    "nudge": "benchmarks.contenders.nudge:Nudge",
    "nudge_dense": "benchmarks.contenders.nudge:Dense",
    "torch": "benchmarks.contenders.torch_eager:TorchEager",
    "jax_scan": "benchmarks.contenders.jax_scan:JaxScan",
    "sklearn": "benchmarks.contenders.scikit_learn:ScikitLearn",
    "products": "benchmarks.contenders.products:Products",
}
WARM_S = 0.5


class Contender:
    """What is asked of it, one method each."""

    def __init__(self, name: str, threads: int) -> None:
        module, class_ = CLASSES[name].split(":")
        self.make = getattr(importlib.import_module(module), class_)
        self.name = name
        self.threads = threads
        self.running: Iterator[int] = iter(())

    def weights(self, workload: str, path: str, dtype: str) -> dict[str, Any]:
        """Write the weights after the compared steps to `path`, where they can be compared."""
        import numpy as np

        theta = self._of(workload).weights(dtype)
        if theta is not None:
            np.save(path, theta)
        return {"comparable": theta is not None}

    def prepare(self, workload: str) -> dict[str, Any]:
        """Compile and warm up."""
        self.running = self._of(workload).epochs()
        next(self.running)
        self.round(WARM_S)
        return {}

    def round(self, seconds: float) -> dict[str, Any]:
        """Whole epochs, until `seconds` have passed."""
        rows, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < seconds:
            rows += next(self.running)
        return {"rows": rows, "seconds": spent}

    def finish(self) -> dict[str, Any]:
        """Give back the room of the last workload."""
        self.running = iter(())
        return {}

    def _of(self, workload: str) -> Any:
        from benchmarks.workloads import BY_NAME

        return self.make(BY_NAME[workload], self.threads)


def serve(contender: Contender, answers: TextIO) -> None:
    """Answer requests until there are no more."""
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(contender, request.pop("do"))(**request)
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    """Bind first: libraries count the cores when they are imported."""
    name, cores, threads = sys.argv[1:]
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    serve(Contender(name, int(threads)), answers)


if __name__ == "__main__":
    main()
