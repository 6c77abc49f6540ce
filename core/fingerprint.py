"""What computes here, as far as it decides the bits of a result: two runs of one spec with equal fingerprints give
equal bytes. With other ones they may too, but nobody promises it, because sums may be rounded in another order."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version
from typing import Any, cast

import numpy as np
from threadpoolctl import threadpool_info

from core.compiled.build import stamp, variant
from core.compiled.library import load
from core.training_spec import TrainingSpec

Fingerprint = dict[str, str | int | None]


def fingerprint(spec: TrainingSpec) -> Fingerprint:
    """Of this process, for this spec: JSON values under the names that `differences` speaks of."""
    kernels = f"{variant()} {stamp()}" if load(spec.dtype) is not None else None
    return {**machine(), "kernels": kernels, "threads": spec.threads}


def numpy_alone() -> Fingerprint:
    """Of this process where NumPy computes in one thread, as it does for predictions."""
    return {**machine(), "kernels": None, "threads": 1}


@cache
def machine() -> Fingerprint:
    """The part that no spec changes. To look for it takes as long as some short jobs do."""
    configured = cast(Any, np.show_config(mode="dicts"))
    libraries = [
        f"{library['internal_api']} {library['version']} {library.get('architecture', '')}".strip()
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]
    return {
        "nudge": version("nudge-training"),
        "numpy": np.__version__,
        "blas": ", ".join(libraries) or None,
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "processor": " ".join([platform.machine(), *configured["SIMD Extensions"].get("found", ())]),
    }


def differences(one: Fingerprint, other: Fingerprint, where: str = "before") -> str:
    """What the other has that `one`, which was seen `where`, has not, in words; empty where they are equal."""
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return "; ".join(f"{name} {other.get(name) or 'none'} ({where}: {one.get(name) or 'none'})" for name in names)
