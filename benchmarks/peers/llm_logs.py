"""llm: its log database, by `Response.log_to_db`, with a model that answers at once."""

from __future__ import annotations

from itertools import count
from typing import Any, ClassVar

import llm
import sqlite_utils
from llm.logs import LogStore


class Instant(llm.Model):  # type: ignore[misc] # llm is not installed where types are checked
    """Answers at once what it was given."""

    model_id = "instant"
    can_stream = False

    def __init__(self) -> None:
        self.answer = ""

    def execute(
        self,
        prompt: Any,  # noqa: ARG002 - llm's signature
        stream: bool,  # noqa: ARG002 - llm's signature
        response: Any,  # noqa: ARG002 - llm's signature
        conversation: Any = None,  # noqa: ARG002 - llm's signature
    ) -> Any:
        """Answer."""
        yield self.answer


class LogDatabase:
    """One sqlite_utils database; the schema and the search index are llm's own."""

    plain: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("llm", "sqlite-utils")

    def open(self, path: str) -> None:
        """Open the database; LogStore brings it to llm's schema."""
        self.database = sqlite_utils.Database(path)
        self.store = LogStore(self.database)
        self.model = Instant()
        self.numbers = count()

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def create(self) -> Any:
        """Make a conversation."""
        return llm.Conversation(model=self.model)

    def append(self, chat: Any, question: str, answer: str) -> None:
        """Ask, and log the response."""
        self.model.answer = answer
        response = chat.prompt(question, stream=False)
        response.text()
        response.log_to_db(self.database)

    def fill(self, messages: int) -> Any:
        """Make a conversation of that many messages."""
        chat = self.create()
        for at in range(messages // 2):
            self.append(chat, f"{at} " + "x" * 490, f"{at} " + "x" * 1_990)
        return chat

    def load(self, chat: Any) -> int:
        """Read a conversation's messages."""
        return len(self.store.thread_messages(chat.id))
