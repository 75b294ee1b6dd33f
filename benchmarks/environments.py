"""The peers' virtual environments: one each, in `.bench/`, made from the pinned requirements."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".bench"  # ignored by git; `make clean` removes it
PINNED = Path(__file__).parent / "peers"
OWN = ""  # the environment that runs the benchmark, with convostore in it


def names() -> list[str]:
    """List the environments that there are requirements for."""
    return sorted(file.stem for file in PINNED.glob("*.txt"))


def python_of(environment: str) -> Path | None:
    """Return the environment's interpreter; None when it was not made, or for other pins."""
    if environment == OWN:
        return Path(sys.executable)
    made_from = HOME / environment / "requirements.txt"
    python = HOME / environment / "bin" / "python"
    wanted = (PINNED / f"{environment}.txt").read_text("utf-8")
    if python.exists() and made_from.exists() and made_from.read_text("utf-8") == wanted:
        return python
    return None


def make(environment: str) -> str | None:
    """Make one environment, unless it is there; return why that failed, or None."""
    if python_of(environment) is not None:
        return None
    folder = HOME / environment
    requirements = PINNED / f"{environment}.txt"
    steps = (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [
            *(str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"),
            *("--requirement", str(requirements)),
        ],
        [str(folder / "bin" / "python"), "-m", "compileall", "-q", str(folder / "lib")],
    )
    for step in steps[:2]:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "pip failed"
    # Compiled beforehand, for a first start that compiles would count as the peer's own; what
    # does not compile (templates, other Pythons' syntax) is never imported either.
    subprocess.run(steps[2], capture_output=True, check=False)
    (folder / "requirements.txt").write_text(requirements.read_text("utf-8"), "utf-8")
    return None


def make_all() -> dict[str, str]:
    """Make what is missing, and return for each that failed the reason."""
    failed = {}
    for environment in names():
        print(f"environment {environment} ...", flush=True)
        if reason := make(environment):
            failed[environment] = reason
            print(f"  left out: {reason}", flush=True)
    return failed
