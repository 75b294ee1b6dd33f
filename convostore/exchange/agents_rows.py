"""Sessions of the OpenAI Agents SDK in a SQLite file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convostore.formats import agents_sessions

if TYPE_CHECKING:
    from convostore.exchange.foreign_rows import Row, Rows
    from convostore.formats.foreign import ForeignConversation

_SESSIONS: Final = "SELECT session_id, created_at, updated_at FROM agent_sessions ORDER BY rowid"
_MESSAGES: Final = (
    "SELECT id, message_data, created_at FROM agent_messages WHERE session_id = ? ORDER BY id"
)
_STRUCTURE: Final = (
    "SELECT message_id, branch_id FROM message_structure WHERE session_id = ?"
    " ORDER BY branch_id = 'main' DESC, branch_id, sequence_number, id"
)


class AgentsRows:
    """Reads sessions, those of the kind with branches too."""

    format: Final = agents_sessions.SOURCE

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @staticmethod
    def has(tables: frozenset[str]) -> bool:
        """Tell whether a file with these tables holds sessions."""
        return {"agent_sessions", "agent_messages"} <= tables

    def places(self) -> list[Row]:
        """Return what names each conversation.

        Raises:
            sqlite3.Error: the file cannot be read.
        """
        return self._rows.all(_SESSIONS)

    def where(self, place: Row) -> str:
        """Say where a conversation is."""
        return f"session {place['session_id']}"

    def read(self, place: Row) -> ForeignConversation:
        """Read one session.

        Raises:
            FormatError: it is none.
            sqlite3.Error: its rows cannot be read.
        """
        id_ = place["session_id"]
        structure = self._rows.of("message_structure", _STRUCTURE, id_)
        return agents_sessions.read(place, self._rows.all(_MESSAGES, id_), structure)
