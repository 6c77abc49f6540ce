"""Pin every requirement with its hashes, or check that the pins still answer pyproject.toml."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
COMPILE = ["pip", "compile", "--universal", "--generate-hashes", "--no-header", "--quiet", "--python-version", "3.11"]

# name -> what is compiled into requirements/<name>.txt; later ones are constrained by the default set,
# so that a test never runs against another version than the one that is shipped.
LOCKS: dict[str, list[str]] = {
    "bootstrap": ["requirements/bootstrap.in"],
    "build": ["requirements/build.in"],
    "compiler": ["requirements/compiler.in"],
    "default": ["pyproject.toml"],
    "dev": ["pyproject.toml", "--all-extras", "--group", "dev", "-c", "requirements/default.txt"],
    "peers": ["requirements/peers.in", "-c", "requirements/dev.txt"],
    "serving": ["requirements/serving.in"],
}


def compile_lock(name: str, output: Path, upgrade: bool) -> None:
    """Write the pins of one set to `output`, which keeps the versions it already holds unless `upgrade`."""
    uv = Path(sys.executable).parent / "uv"
    command = [str(uv), *COMPILE, *LOCKS[name], "-o", str(output), *(["--upgrade"] if upgrade else [])]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


def without_comments(text: str) -> list[str]:
    """The pins alone: the comments name the requester, which is the path of a temporary file under --check."""
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


def main() -> int:
    """Lock, or with --check exit 1 and name the files that are out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a lock is out of date")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    arguments = parser.parse_args()
    stale = []
    for name in LOCKS:
        lock = HERE / f"{name}.txt"
        if not arguments.check:
            compile_lock(name, lock, arguments.upgrade)
            continue
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder) / lock.name
            fresh.write_text(lock.read_text())
            compile_lock(name, fresh, upgrade=False)
            if without_comments(fresh.read_text()) != without_comments(lock.read_text()):
                stale.append(str(lock.relative_to(ROOT)))
    if stale:
        print(f"out of date: {', '.join(stale)}; run `make lock` and commit the result", file=sys.stderr)  # noqa: T201
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
