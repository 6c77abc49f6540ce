"""Contenders as processes: started, asked, and always ended."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from benchmarks.datasets import ROOT

# What makes each of them what it is; the rest of the environment is the same for all.
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "nudge": {},
    "nudge_dense": {},
    "torch": {},
    "jax_scan": {"JAX_PLATFORMS": "cpu"},
    "sklearn": {},
    "products": {},
}
OURS = ("nudge", "nudge_dense")
PEERS = ("torch", "jax_scan", "sklearn")
LIMIT = "products"
PATIENCE_S = 600.0


class Contestant:
    """A contender in its process, bound to some cores."""

    def __init__(self, name: str, cores: Sequence[int], threads: int) -> None:
        self.name = name
        environment = dict(os.environ)
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[variable] = str(threads)
        if threads == 1:
            environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contenders", name, ",".join(map(str, cores)), str(threads)],
            cwd=ROOT,
            env=environment | ENVIRONMENTS[name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        print(json.dumps({"do": do, **request}), file=process.stdin, flush=True)
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
        line = process.stdout.readline() if ready else ""
        if not line:
            what = "ended" if ready else f"was silent for {PATIENCE_S:.0f} s"
            raise SystemExit(f"{self.name} {what} when asked for {do} {request.get('workload', '')}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """Close its input, which ends it; a process that goes on is killed."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Contest:
    """All contestants of a run, on the same cores."""

    def __init__(self, names: Sequence[str], threads: int) -> None:
        allowed = sorted(os.sched_getaffinity(0))
        if threads > len(allowed):
            raise SystemExit(f"There are {len(allowed)} cores here: --threads {threads} cannot be measured.")
        self.cores = allowed[:threads]
        # Whoever measures stays off the cores that are measured, if there is another one.
        os.sched_setaffinity(0, set(allowed[threads:]) or set(allowed))
        self.contestants: dict[str, Contestant] = {}
        for name in names:
            self.contestants[name] = Contestant(name, self.cores, threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for contestant in self.contestants.values():
            contestant.end()
