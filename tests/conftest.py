"""What holds for all tests."""

from __future__ import annotations

import platform
import sqlite3
from importlib.metadata import version


def pytest_report_header() -> str:
    """Say on what the tests ran, as much depends on it."""
    return (
        f"SQLite {sqlite3.sqlite_version}, SQLAlchemy {version('sqlalchemy')}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )
