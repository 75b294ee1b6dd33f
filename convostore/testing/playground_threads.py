"""The messages that a Playground server keeps: a tree by parent, which expires."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ANONYMOUS_LIFE_MS = 24 * 3600 * 1000  # Source: olmo-api, message_expiration_time


@dataclass(slots=True, kw_only=True)
class KeptMessage:
    """One message as the server keeps it.

    Attributes:
        id: `msg_` and five letter-digit pairs.
        role: system, user, assistant or tool_call_result.
        content: the text; of an unfinished reply empty.
        creator: the client that made it.
        root: the id of the first message of its thread.
        parent: the id of the message before it; the newer server may lose it.
        created_ms: when it was made.
        expires_ms: when it vanishes; None is never.
        final: False until the turn has ended well enough for the server.
    """

    id: str
    role: str
    content: str
    creator: str
    root: str
    parent: str | None
    created_ms: int
    expires_ms: int | None
    model_id: str
    model_host: str
    opts: dict[str, Any]
    private: bool
    final: bool = False
    original: str | None = None
    template: str | None = None
    model_type: str | None = None
    completion: str | None = None
    finish_reason: str | None = None
    harmful: bool | None = None
    thinking: str | None = None
    error_code: str | None = None
    error_description: str | None = None
    error_severity: str | None = None
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    tool_definitions: list[dict[str, Any]] = field(default_factory=list)
    input_parts: list[dict[str, Any]] = field(default_factory=list)


class KeptThreads:
    """Everything that one server keeps.

    Attributes:
        by_id: all messages, expired ones included.
    """

    def __init__(self, now_ms: Callable[[], int], *, loses_branches: bool) -> None:
        self.by_id: dict[str, KeptMessage] = {}
        self._now_ms = now_ms
        self._loses_branches = loses_branches

    def add(self, message: KeptMessage) -> KeptMessage:
        """Keep a new message; the newer server cuts its older siblings loose."""
        if self._loses_branches and message.parent is not None:
            for sibling in self.by_id.values():
                if sibling.parent == message.parent:
                    sibling.parent = None
        self.by_id[message.id] = message
        return message

    def live(self, message_id: str | None) -> KeptMessage | None:
        """Return the message, unless it is unknown, deleted or expired."""
        message = self.by_id.get(message_id or "")
        return message if message is not None and self._is_live(message) else None

    def children(self, message: KeptMessage) -> list[KeptMessage]:
        """Return the live children, oldest first."""
        return [
            other
            for other in self.by_id.values()
            if other.parent == message.id and self._is_live(other)
        ]

    def subtree(self, message: KeptMessage) -> Iterator[KeptMessage]:
        """Yield the message and all below it, depth first."""
        yield message
        for child in self.children(message):
            yield from self.subtree(child)

    def path(self, message: KeptMessage) -> list[KeptMessage]:
        """Return the chain from the first message that can still be reached to this one."""
        chain = [message]
        while (above := self.live(chain[0].parent)) is not None:
            chain.insert(0, above)
        return chain

    def threads(self) -> list[KeptMessage]:
        """Return the live first messages of all threads, newest first."""
        kept = reversed(self.by_id.values())  # the newest first also within a millisecond
        roots = [m for m in kept if m.parent is None and self._is_live(m)]
        return sorted(roots, key=lambda m: m.created_ms, reverse=True)

    def delete(self, root_id: str) -> None:
        """Forget a whole thread."""
        for message in [m for m in self.by_id.values() if m.root == root_id]:
            del self.by_id[message.id]

    def _is_live(self, message: KeptMessage) -> bool:
        return message.expires_ms is None or message.expires_ms > self._now_ms()


def new_message_id() -> str:
    """Make an id: `msg_` and five letter-digit pairs."""
    pairs = (
        secrets.choice(string.ascii_uppercase) + secrets.choice(string.digits) for _ in range(5)
    )
    return "msg_" + "".join(pairs)
