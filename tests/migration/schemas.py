"""Schemas to compare, a later program to play, and a store with something in it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from importlib import resources
from typing import TYPE_CHECKING

import convostore
from convostore.formats.foreign import ForeignConversation, ForeignMessage
from convostore.providers.echo import Echo
from convostore.storage.tables import REVISION

if TYPE_CHECKING:
    from pathlib import Path

LATER = f"{int(REVISION) + 1:04}"  # the revision of the program that tests play
NEXT = f'''"""What a later version might do: a column, an index, a rebuilt table, a row."""

import sqlalchemy as sa
from alembic import op

revision = "{LATER}"
down_revision = "{REVISION}"


def upgrade() -> None:
    op.add_column("conversation", sa.Column("mood", sa.Text))
    op.create_index("conversation_mood", "conversation", ["owner_id", "mood"])
    with op.batch_alter_table("message", recreate="always") as batch:
        batch.add_column(sa.Column("stars", sa.Integer))
    op.execute("INSERT INTO store_meta (name, value) VALUES ('moods', 'two')")
'''

_CONTENT = {
    "owner": "SELECT id, name, created_at_ms FROM owner ORDER BY 1",
    "conversation": "SELECT owner_id, id, handle, title, head_seq, last_seq, message_count,"
    " updated_at_ms FROM conversation ORDER BY 1, 2",
    "message": "SELECT owner_id, conversation_id, seq, id, parent_seq, role, status, text, parts,"
    " content_hash FROM message ORDER BY 1, 2, 3",
    "journal": "SELECT * FROM journal ORDER BY 1, 2, 3, 4",
}


def schema(path: Path) -> dict[str, str]:
    """Return the name and the SQL of everything in the schema, its spaces made alike."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {name: " ".join(sql.split()) for name, sql in rows}


def revision(path: Path) -> str:
    """Return the revision that a store says it has."""
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT version_num FROM convostore_version").fetchone()[0])


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return every row that matters, by the columns of revision 0001."""
    with closing(sqlite3.connect(path)) as connection:
        return {table: connection.execute(sql).fetchall() for table, sql in _CONTENT.items()}


def write_scripts(folder: Path, *later: str) -> Path:
    """Copy the migrations to *folder*, and add the texts of *later* revisions."""
    with resources.as_file(resources.files("convostore.migrations")) as installed:
        shutil.copytree(installed, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for number, text in enumerate(later, int(LATER)):
        (folder / "versions" / f"{number:04}_next.py").write_text(text)
    return folder


async def fill(path: Path) -> None:
    """Make a store at *path*: three conversations of a turn each, one with an attachment.

    And one of another program, archived, and the trace of another such that was purged.
    """
    async with convostore.open(path, provider=Echo()) as store:
        for title in ("Kyoto", "Bread", "Тест"):
            chat = await store.create(title=title)
            await chat.send(f"Tell me of {title}")
        recipe = await store.attach(b"Flour, water, salt", name="recipe.txt")
        question = convostore.Message.user("See here", attachments=[recipe])
        await chat.append(question, convostore.Message.assistant("Seen."))
        said = ForeignMessage(source_id="m1", parent=None, role="user", raw=b'{"id": "m1"}')
        for id_ in ("purged", "kept"):
            one = ForeignConversation(
                source="chatgpt",
                source_id=id_,
                messages=(said,),
                head="m1",
                archived=True,
                raw=b"{}",
            )
            async for result in store.import_([one]):
                if id_ == "purged":
                    await (await store.resume(result.id or "")).purge(scrub=False)
