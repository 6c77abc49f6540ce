"""Compiling the kernels, once for each kind of processor: `python -m core.compiled.build`.

The compiler is the one that the `ziglang` package carries, so that every machine compiles with the same, and needs no
other. The libraries lie beside the sources or, where that may not be written, in the
user's cache. Their names carry a hash of the sources and flags: what is stale is never loaded.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parent
DTYPES = {"float32": (), "float64": ("-DDOUBLE",)}
FLAGS = (
    *("-std=c17", "-O3", "-shared", "-fPIC", "-fvisibility=hidden"),
    *("-ffp-contract=off", "-fno-sanitize=undefined", "-fno-math-errno", "-nostdlib"),
    *("-Wall", "-Wextra", "-Werror"),
)
# The levels of the x86-64 psABI, all of which the compiler may use, as Linux names them: pni is SSE3, abm LZCNT.
V2 = ("cx16", "lahf_lm", "pni", "popcnt", "sse4_1", "sse4_2", "ssse3")
V3 = (*V2, "abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave")
V4 = (*V3, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")
# For each variant: the flags a processor must have, and those for the compiler.
VARIANTS = {
    "x86-64-v4": (V4, ("-target", "x86_64-linux-gnu", "-march=x86_64_v4")),
    "x86-64-v3": (V3, ("-target", "x86_64-linux-gnu", "-march=x86_64_v3")),
    "aarch64": (("asimd",), ("-target", "aarch64-linux-gnu")),
}


class CannotCompile(Exception):
    """There is no compiler, or it failed."""


def sources() -> list[Path]:
    """All that is compiled; the Makefile compiles again when one of them changes."""
    return sorted([*SOURCES.glob("*.h"), *SOURCES.glob("*.c")])


@cache
def stamp() -> str:
    """What the sources and flags are, in 16 hexadecimal digits."""
    total = hashlib.sha256(repr((FLAGS, DTYPES, VARIANTS)).encode())
    for file in sources():
        total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:16]


@cache
def variant() -> str | None:
    """The best variant that this processor runs; None where it is older than all of them, or unknown."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return best(told, platform.machine())


def best(told: str, machine: str) -> str | None:
    """The best variant for a kind of processor, as `platform.machine()` names it, of which /proc/cpuinfo has `told`."""
    has = {word for line in told.splitlines() if line.startswith(("flags", "Features")) for word in line.split()}
    named = "aarch64" if machine == "aarch64" else "x86-64"
    return next(
        (name for name, (needs, _) in VARIANTS.items() if name.startswith(named) and has.issuperset(needs)), None
    )


def places() -> list[Path]:
    """Where libraries may lie, in order."""
    try:
        cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home, as containers have
        return [SOURCES / "built"]
    return [SOURCES / "built", cached / "nudge" / "built"]


def find(dtype: str) -> Path | None:
    """The library for this processor and dtype, if it has been compiled."""
    name = f"{variant()}-{dtype}-{stamp()}.so"
    return next((folder / name for folder in places() if (folder / name).is_file()), None)


def compiler() -> list[str] | None:
    """The command that compiles, or None."""
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    return None


def missing() -> bool:
    """Whether there are kernels for this processor that can be compiled, and have not been."""
    return variant() is not None and compiler() is not None and not all(map(find, DTYPES))


def summary() -> str:
    """Which kernels compute on this machine, in a few words for people; compiles nothing."""
    found = variant()
    if found is None:
        return "none for this processor; NumPy computes, slower"
    if all(map(find, DTYPES)):
        return found
    if missing():
        return f"{found}, still to be compiled"
    return "none compiled; NumPy computes, slower, until `make env` has compiled them"


def build(wanted: str) -> list[Path]:
    """Compile the libraries of one variant; raises CannotCompile."""
    command = compiler()
    if command is None:
        raise CannotCompile("There is no compiler: pip install ziglang.")
    folder = _writable()
    with _workshop(folder) as made:
        jobs = [(dtype, made / f"{wanted}-{dtype}-{stamp()}.so") for dtype in DTYPES]
        cache_of_zig = {"ZIG_GLOBAL_CACHE_DIR": f"{made}/cache", "ZIG_LOCAL_CACHE_DIR": f"{made}/cache"}
        running = [
            subprocess.Popen(  # noqa: S603  (our own command)
                [*command, *FLAGS, *VARIANTS[wanted][1], *DTYPES[dtype], "-o", target, SOURCES / "driver.c"],
                stderr=subprocess.PIPE,
                env=os.environ | cache_of_zig,
            )
            for dtype, target in jobs
        ]
        for process in running:
            _, said = process.communicate()
            if process.returncode:
                raise CannotCompile(f"The kernels could not be compiled:\n{said.decode(errors='replace')}")
        # Renamed whole: a library that is there is complete, also where several compile at once.
        return [target.rename(folder / target.name) for _, target in jobs]


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """A folder to compile in, locked as long as we live, so that others know what a killed compilation has left."""
    with ExitStack() as stack:
        with _locked(folder):  # nobody sweeps between the making of ours and its lock
            sweep(folder)
            made = stack.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix="compiling-"))
            stack.enter_context(_locked(Path(made)))
        yield Path(made)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    held = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks, where nothing is swept either
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def sweep(folder: Path) -> None:
    """Remove what compilations that were killed have left."""
    for left in folder.glob("compiling-*"):
        with suppress(OSError):
            held = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its compilation lives
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(held)


def _writable() -> Path:
    for folder in places():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise CannotCompile("Neither the package nor the user's cache can be written to: set XDG_CACHE_HOME.")


def main() -> None:
    """Compile for this processor, or for the variants named, or for `all` of this kind; remove what is stale."""
    if not sys.argv[1:] and variant() is None:
        sys.stdout.write("There are no kernels for this processor; NumPy does the work, slower.\n")
        return
    wanted = sys.argv[1:] or [variant() or ""]
    if wanted == ["all"]:
        wanted = [name for name in VARIANTS if name.startswith(platform.machine().replace("_", "-"))]
    for name in wanted:
        if name not in VARIANTS:
            sys.exit(f"There are no kernels for this processor; known are {', '.join(VARIANTS)}. NumPy does the work.")
        try:
            if any(not (SOURCES / "built" / f"{name}-{dtype}-{stamp()}.so").is_file() for dtype in DTYPES):
                build(name)
        except CannotCompile as error:
            sys.exit(str(error))
    sweep(SOURCES / "built")
    for old in (SOURCES / "built").glob("*.so"):
        if stamp() not in old.name:
            old.unlink()


if __name__ == "__main__":
    main()
