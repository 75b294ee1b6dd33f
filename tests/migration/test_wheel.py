"""The wheel carries the migrations: an installed convostore makes a store from an empty folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "convostore", "migrations")

USE = """
import asyncio, sys
from pathlib import Path
import convostore
from convostore.providers.echo import Echo

async def main():
    async with convostore.open(Path("chats.db"), provider=Echo()) as store:
        chat = await store.create(title="From a wheel")
        await chat.send("Hi")
        print(*(await store.check(deep=True)).problems, sep="\\n", end="")

assert Path(convostore.__file__).is_relative_to(sys.prefix), convostore.__file__
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, so that nothing is left in the project."""
    folder = tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        origin = ROOT / part
        if origin.is_dir():
            shutil.copytree(origin, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(origin, folder)
    quiet = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*quiet, "wheel", "--no-deps", "-w", folder / "dist", folder], check=True)
    [built] = (folder / "dist").glob("*.whl")
    return built


def test_wheel_holds_every_revision_and_what_alembic_needs(wheel: Path) -> None:
    """Each file of the history is in the wheel, under the package's name, and no test is."""
    names = set(zipfile.ZipFile(wheel).namelist())
    history = {
        f"convostore/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / "migrations").rglob("*")
        if path.suffix in {".py", ".mako"}
    }
    assert history <= names
    assert "convostore/py.typed" in names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"convostore"}


def test_installed_wheel_makes_a_store_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """In a fresh environment, away from the sources, the first call makes a whole store."""
    home, work = tmp_path / "venv", tmp_path / "work"
    venv.create(home, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # The dependencies are those of this environment; a .pth would bring its editable install too.
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if "convostore" not in package.name and not (packages / package.name).exists():
            (packages / package.name).symlink_to(package)
    work.mkdir()
    done = subprocess.run(
        [home / "bin" / "python", "-c", USE], cwd=work, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (work / "chats.db").exists()
