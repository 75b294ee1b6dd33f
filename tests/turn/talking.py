"""What was said and asked in a turn, and a far side that breaks off; shared by these tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostore.errors import ProviderConnectError
from convostore.records import RemoteThread
from convostore.testing import Fail

if TYPE_CHECKING:
    from convostore import Conversation
    from convostore.testing import ScriptedProvider

BROKEN = Fail(ProviderConnectError("gone", provider="scripted", retryable=True))
REMOTE = RemoteThread(
    server_url="http://far", dialect="threads", remote_id="msg_A", user_remote_id="msg_U"
)


async def said(chat: Conversation) -> list[str]:
    """Return the texts of the history."""
    return [one.text for one in await chat.history()]


def asked(provider: ScriptedProvider) -> list[str]:
    """Return the texts of the newest request."""
    return [one.text for one in provider.requests[-1].messages]
