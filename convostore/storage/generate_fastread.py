"""Write `fastread_sql.py`, the text of the statements that the reading commands run.

`python -m convostore.storage.generate_fastread` writes it; a test holds it equal to what would
be written now.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from sqlalchemy.dialects import sqlite

from convostore.storage import (
    access,
    conversations,
    listing,
    lookup,
    reads,
    search_reads,
)
from convostore.storage.rows import MESSAGE_COLUMNS, RECORD_NAMES
from convostore.storage.tables import REVISION

WHERE: Final = Path(__file__).with_name("fastread_sql.py")
STATEMENTS: Final = (
    (conversations, "PERSONAL_OWNER"),
    (conversations, "OWNER_BY_NAME"),
    (listing, "_PAGE"),
    (listing, "_ARCHIVE"),
    (listing, "_BIN"),
    (lookup, "_NTH"),
    (lookup, "_BY_ID"),
    (lookup, "_BY_KEY"),
    (lookup, "_BY_HANDLE"),
    (reads, "_UP_TO"),
    (reads, "_REMOTE"),
    (search_reads, "STATE"),
    (search_reads, "FILE_RANKED"),
    (search_reads, "FILE_SCORED"),
    (search_reads, "FILE_NEWEST"),
    (search_reads, "FILE_RANKED_NARROWED"),
    (search_reads, "FILE_NEWEST_NARROWED"),
    (search_reads, "FILE_DETAILS"),
    (search_reads, "BRANCHED"),
    (search_reads, "LINKS"),
)
_HEAD = '''"""Made by `python -m convostore.storage.generate_fastread`; do not change it by hand.

Each statement: its text, the names of its values in order, and those values that are fixed.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Statement: TypeAlias = tuple[str, tuple[str, ...], dict[str, Any]]
'''


def generated() -> str:
    """Return what belongs into the file, as the statements are now."""
    blocks = [
        f"REVISION = {_quoted(REVISION)}",
        f"STORED_REVISION = {_quoted(access.REVISION_QUERY)}",
        f"CONVERSATION_COLUMNS = {_names(RECORD_NAMES)}",
        f"MESSAGE_COLUMNS = {_names([*(c.name for c in MESSAGE_COLUMNS), 'journal'])}",
    ]
    blocks += [_statement(name.strip("_"), getattr(home, name)) for home, name in STATEMENTS]
    return "\n".join((_HEAD, *blocks))


def _statement(name: str, hot: Any) -> str:
    compiled = hot.compiled(sqlite.dialect())
    fixed = {key: value for key, value in compiled.params.items() if value is not None}
    lines = "".join(
        f"        {_quoted(line)}\n" for line in str(compiled).splitlines(keepends=True)
    )
    values = ", ".join(f"{_quoted(key)}: {json.dumps(value)}" for key, value in fixed.items())
    return (
        f"{name}: Statement = (\n    (\n{lines}    ),\n"
        f"    {_names(compiled.positiontup or ())},\n    {{{values}}},\n)"
    )


def _names(names: Any) -> str:
    return f"({', '.join(_quoted(name) for name in names)},)"


def _quoted(text: str) -> str:
    return json.dumps(text)


if __name__ == "__main__":
    WHERE.write_text(generated() + "\n", encoding="utf-8")
