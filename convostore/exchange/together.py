"""Records that are a conversation only together: a line for each message, a row for each exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convostore.exchange.refusing import conversation_of
from convostore.formats import llama_cpp, llm_json
from convostore.formats.found import Refused

if TYPE_CHECKING:
    from convostore.exchange.limits import Limits
    from convostore.formats.found import Found

FORMATS: Final = (llama_cpp.SOURCE, llm_json.SOURCE)
_TOO_MANY: Final = "what belongs together with it is longer than {:,} bytes"


class Together:
    """Keeps such records until all of their conversation are there; no more than a record may be.

    Args:
        limits: how much.
        format: the one that is looked for; None for both.
    """

    def __init__(self, limits: Limits, format: str | None) -> None:
        self._most = limits.record_bytes
        self._formats = FORMATS if format is None else (format,)
        self._session: list[dict[str, Any]] = []
        self._session_at, self._session_bytes = "", 0
        self._rows: dict[str, tuple[str, list[dict[str, Any]]]] = {}  # by their conversation
        self._row_bytes = 0

    def put(self, where: str, value: Any, size: int) -> tuple[bool, list[Found]]:
        """Keep a record, if it is one of these.

        Returns:
            Whether it is, and what has come to its end with it.
        """
        if llm_json.is_row(value) and llm_json.SOURCE in self._formats:
            return True, self._put_row(where, value, size)
        if llama_cpp.is_first(value) and llama_cpp.SOURCE in self._formats:
            ended = self._end_session()
            self._session, self._session_at, self._session_bytes = [value], where, size
            return True, ended
        if self._session and isinstance(value, dict) and value.get("type") == "message":
            self._session_bytes += size
            if self._session_bytes > self._most:
                return True, [self._too_many(where, llama_cpp.SOURCE)]
            self._session.append(value)
            return True, []
        return False, self._end_session()

    def end(self) -> list[Found]:
        """Return what has come to its end with the file."""
        found = self._end_session()
        for where, rows in self._rows.values():
            found.append(conversation_of(where, llm_json.SOURCE, llm_json.read, rows))
        self._rows = {}
        return found

    def _put_row(self, where: str, row: dict[str, Any], size: int) -> list[Found]:
        self._row_bytes += size
        if self._row_bytes > self._most:
            return [self._too_many(where, llm_json.SOURCE)]
        self._rows.setdefault(llm_json.conversation_id(row), (where, []))[1].append(row)
        return []

    def _end_session(self) -> list[Found]:
        if not self._session:
            return []
        lines, self._session = self._session, []
        return [conversation_of(self._session_at, llama_cpp.SOURCE, llama_cpp.read, lines)]

    def _too_many(self, where: str, format: str) -> Refused:
        return Refused(where=where, reason=_TOO_MANY.format(self._most), format=format)
