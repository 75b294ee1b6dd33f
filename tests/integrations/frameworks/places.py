"""Where the frameworks are: an environment for each, and the sources of its release, with its tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
HERE: Final = Path(__file__).parent
HOME: Final = ROOT / ".bench" / "frameworks"  # ignored by git; `make clean` removes it
_QUIET: Final = ("--disable-pip-version-check", "--quiet")


def python_of(framework: str) -> Path:
    """Make a framework's environment, with convostore from here in it, unless it is there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    ours = [*project["dependencies"], *project["optional-dependencies"]["postgres"]]
    wanted = "\n".join([(HERE / f"{framework}.txt").read_text("utf-8"), *ours])
    folder = HOME / framework
    python, stamp = folder / "bin" / "python", folder / "made-from.txt"
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", *_QUIET, "install", "-e", f"{ROOT}[postgres]"]
        subprocess.run([*install, "-r", str(HERE / f"{framework}.txt")], check=True)
        stamp.write_text(wanted, "utf-8")
    return python


def release(name: str) -> Path:
    """Fetch a release's sources from the registry, unless they are there; return their folder.

    Args:
        name: such as langchain-core==1.8.2.
    """
    folder = HOME / "releases" / name
    if not folder.exists():
        downloads = HOME / "downloads"
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", *_QUIET, "download", "--no-deps"),
                *("--no-binary", ":all:", "--dest", str(downloads), name),
            ],
            check=True,
        )
        stem = name.replace("-", "_").replace("==", "-")
        partial = folder.with_name(f"{name}.partial")
        with tarfile.open(downloads / f"{stem}.tar.gz") as archive:
            archive.extractall(partial, filter="data")
        partial.rename(folder)
    (found,) = folder.iterdir()
    return found


def checkout(variable: str) -> Path | None:
    """Return the folder that an environment variable names; None where it names none."""
    named = os.environ.get(variable)
    return Path(named) if named else None
