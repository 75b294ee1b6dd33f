"""What `import convostore` brings, and what it must not bring."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import convostore

HEAVY = {
    "sqlalchemy", "aiosqlite", "aiohttp", "alembic", "rich", "platformdirs", "asyncio", "ijson", "yaml"
}  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that *statement* loads in a new process."""
    program = f"import sys\n{statement}\nprint(*(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["convostore", "convostore.config", "convostore.providers"])
def test_import_is_light(module: str) -> None:
    """Importing the package, its configuration or the list of providers loads nothing heavy."""
    assert not HEAVY & loaded_by(f"import {module}")


def test_child_that_reads_an_export_loads_no_repository_layer() -> None:
    """It stores nothing: what it would load for that is a third of its memory."""
    loaded = loaded_by(
        "from convostore.exchange.aside import Task; from convostore.exchange import reading"
    )
    assert not loaded & (HEAVY - {"ijson", "yaml"})


def test_configuration_reads_toml_only_when_there_is_something_to_read() -> None:
    """The TOML reader is loaded by `load`, not by the import."""
    assert "tomllib" not in loaded_by("import convostore.config")


def test_promised_names_are_the_importable_names() -> None:
    """Every name that type checkers are told of can be had from the package, and the reverse."""
    tree = ast.parse(Path(convostore.__file__).read_text(encoding="utf-8"))
    told = {
        name.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
        if name.asname
    }
    assert told == set(convostore._HOME)
    assert all(hasattr(convostore, name) for name in told)


def test_unknown_name_is_an_attribute_error() -> None:
    """A name that the package does not have fails as on any module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = convostore.nothing
