"""`nudged work`: run a worker until SIGTERM. Imports stay inside: a trainer's parent reads this file too."""

import os
import sys


def main() -> int:
    """Run a worker; 0 after a clean drain, 1 when the database is not ready for this version."""
    # Before NumPy is imported anywhere: one BLAS thread each, and more only where a job's spec asks for them.
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    from worker.worker import run_worker  # noqa: PLC0415

    return run_worker()


if __name__ == "__main__":
    sys.exit(main())
