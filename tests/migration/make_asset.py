"""Make the database that is kept of the newest schema; run it once, before a release.

    python tests/migration/make_asset.py

An asset that is there already is left alone: it shows what that version really wrote.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from schemas import fill  # type: ignore[import-not-found] # a script's folder is on the path

from convostore.storage.backup import backup
from convostore.storage.tables import REVISION


def main() -> None:
    """Fill a store with the public API, and keep a backup of it."""
    asset = Path(__file__).parent / "assets" / f"{REVISION}.db"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chats.db"
        asyncio.run(fill(path))
        backup(path, asset)
    asset.chmod(0o644)


if __name__ == "__main__":
    main()
