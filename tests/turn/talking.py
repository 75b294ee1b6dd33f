"""What was said and asked in a turn, and a far side that breaks off; shared by these tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convostore import Message, clock
from convostore.errors import ProviderConnectError
from convostore.records import RemoteThread
from convostore.testing import Fail
from tests.engines import change

if TYPE_CHECKING:
    from convostore import Conversation
    from convostore.testing import ScriptedProvider
    from tests.engines import Where

BROKEN = Fail(ProviderConnectError("gone", provider="scripted", retryable=True))
BROKEN_OFF = Message(role="assistant", text="", status="interrupted")
REMOTE = RemoteThread(
    server_url="http://far", dialect="threads", remote_id="msg_A", user_remote_id="msg_U"
)


def keyed(text: str, key: str) -> Message:
    """Return a question that is appended once."""
    return msgspec.structs.replace(Message.user(text), idempotency_key=key)


async def said(chat: Conversation) -> list[str]:
    """Return the texts of the history."""
    return [one.text for one in await chat.history()]


def asked(provider: ScriptedProvider) -> list[str]:
    """Return the texts of the newest request."""
    return [one.text for one in provider.requests[-1].messages]


def write_elsewhere(where: Where, *, lives: bool = True) -> None:
    """Make each broken or running reply one of a process on another machine, which lives or not."""
    seen_ms = clock.now_ms() if lives else 0
    change(
        where,
        f"UPDATE message SET status = 'streaming', lease = 't|far|far|1|1|{seen_ms}'"
        " WHERE status IN ('interrupted', 'streaming')",
    )
