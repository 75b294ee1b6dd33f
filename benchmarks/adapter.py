"""What the worker asks of a system: the few verbs that an adapter gives it.

A plain adapter is driven in a loop, whether its functions are plain or coroutines; any other has
coroutines and is driven by tasks. Verbs a system does not have are left out: what needs them leaves the system out.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, TypeAlias

Chat: TypeAlias = Any  # whatever the adapter needs to find a conversation again
Turn: TypeAlias = tuple[Chat, str, str]  # conversation, question, answer


class Adapter(Protocol):
    """One system, on one database file.

    Beside these it may have: `append_group(turns)` and `turn_group(turns)` (plain ones that
    commit once for all), `turn(chat, question, answer)` (two durable writes), `fill(messages)`
    (a long conversation, quickly), `load(chat)` (returns the number of messages read), `count()`
    (of all messages stored), and what single workloads name.
    """

    plain: ClassVar[bool]
    packages: ClassVar[tuple[str, ...]]

    def open(self, path: str) -> Any:
        """Open the file, making it if it is new."""
        ...

    def create(self) -> Any:
        """Make an empty conversation."""
        ...

    def append(self, chat: Chat, question: str, answer: str) -> Any:
        """Store both messages durably, in whatever is the system's own way."""
        ...

    def close(self) -> Any:
        """Let go of the file."""
        ...
