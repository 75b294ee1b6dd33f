"""Where a caller stands in a conversation, shared by the conversation object and its turns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from convostore.ids import identity_at

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from convostore.providers.provider import Provider
    from convostore.pulse import Pulse
    from convostore.records import ConversationRecord, Message, RemoteThread
    from convostore.storage.database import Database
    from convostore.storage.standing import Change


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long a turn waits for its provider.

    Attributes:
        idle_timeout_s: for the next event.
        total_timeout_s: for the whole reply.
    """

    idle_timeout_s: float = 120.0
    total_timeout_s: float = 1800.0


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long turns wait, as far as the store was told; None is as the provider has it."""

    idle_timeout_s: float | None = None
    total_timeout_s: float | None = None

    def limits_of(self, provider: Provider) -> Limits:
        """Return the limits of a turn with *provider*: told, else its own, else the defaults."""
        own = Limits()
        return Limits(
            **{
                name: getattr(self, name) or getattr(provider, name, None) or getattr(own, name)
                for name in Limits.__struct_fields__
            }
        )


class Opened:
    """What all conversations of an opened store share.

    Attributes:
        swept: the owners whose dead replies were looked for already.
    """

    def __init__(self, database: Database, pulse: Pulse, patience: Patience) -> None:
        self.database = database
        self.pulse = pulse
        self.patience = patience
        self.swept: set[str] = set()


class Place:
    """Where a caller stands: the record as last seen, and its own head.

    Attributes:
        record: replaced after each verb.
        head_seq: where this caller goes on; the stored head may be elsewhere by now.
        remote: what the far side keeps of the message at the head.
        home_url: the server that knows the conversation's anonymous user id, which goes to no
            other one; None while no server does.
    """

    def __init__(
        self,
        opened: Opened,
        owner_id: str,
        record: ConversationRecord,
        remote: RemoteThread | None,
        home_url: str | None,
    ) -> None:
        self.opened = opened
        self.database, self.pulse = opened.database, opened.pulse
        self.owner_id = owner_id
        self.record = record
        self.head_seq = record.head_seq
        self.remote = remote
        self.home_url = home_url
        self._forsaken: asyncio.Future[None] | None = None

    def identity_at(self, server_url: str) -> str:
        """Return who this conversation is at a server."""
        return identity_at(self.record.anonymous_user_id or "", self.home_url, server_url)

    def forsake(self, ending: Coroutine[Any, Any, None]) -> None:
        """End in the background a turn that nobody waits for; the next turn begins after it."""
        self._forsaken = asyncio.ensure_future(ending)
        self.pulse.see_through(self._forsaken)

    async def settled(self) -> None:
        """Wait until a forsaken turn has ended: then it is known where the caller stands."""
        while self._forsaken is not None and not self._forsaken.done():
            await asyncio.wait({self._forsaken})

    def changed(self, change: Change) -> None:
        """Stand where a write has left the conversation's own head."""
        self.record = msgspec.structs.replace(self.record, **msgspec.structs.asdict(change))
        self.head_seq, self.remote = change.head_seq, None

    def moved_to(self, message: Message, remote: RemoteThread | None) -> None:
        """Stand at *message*, which was just stored."""
        self.head_seq, self.remote = message.seq, remote
        record = self.record
        self.record = msgspec.structs.replace(
            record,
            last_seq=max(record.last_seq, message.seq),
            model=record.model or message.model,
            updated_at_ms=max(record.updated_at_ms, message.finished_at_ms or 0),
        )
